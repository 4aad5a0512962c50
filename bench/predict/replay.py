"""What a card's allocator makes of a step's storages: allocated in blocks, reserved, and the least that it needs."""

from dataclasses import dataclass

from bench.cards import BLAS_WORKSPACES, MIB
from bench.predict.allocator import Block, CachingAllocator, OutOfMemory

EXACT_ENOUGH = 16 * MIB  # of the smallest limit


@dataclass(frozen=True)
class StorageLog:
    """Which storages were made and let go, in order: a positive entry makes one of so many bytes, ~n lets go the nth's.

    Entries before `started` are there when training starts: the model.
    """

    entries: tuple[int, ...]
    started: int


@dataclass(frozen=True)
class Reserved:
    """Peaks of what torch calls allocated and reserved."""

    allocated_bytes: int
    reserved_bytes: int


def replay(log: StorageLog, blas_bytes: int = 0, limit: int = 0) -> Reserved:
    """The storages in an allocator's hands, beside blas_bytes of workspaces of matrix products; limit 0 is none.

    As in bench.run, the cache is empty when training starts. Raises OutOfMemory.
    """
    allocator = CachingAllocator(limit)
    blocks: dict[int, Block] = {}
    for number, entry in enumerate(log.entries):
        if number == log.started:
            allocator.give_back()
            allocator.restart_peaks()
            for _ in range(BLAS_WORKSPACES if blas_bytes else 0):
                allocator.allocate(blas_bytes // BLAS_WORKSPACES)
        if entry > 0:
            blocks[number] = allocator.allocate(entry)
        else:
            allocator.free(blocks.pop(~entry))
    return Reserved(allocator.peak_allocated_bytes, allocator.peak_reserved_bytes)


def runs_within(log: StorageLog, blas_bytes: int, limit: int) -> bool:
    try:
        replay(log, blas_bytes, limit)
    except OutOfMemory:
        return False
    return True


def smallest_limit(log: StorageLog, blas_bytes: int = 0) -> int:
    """The least that the allocator can do with, to 16 MiB: between what it hands out and what it would reserve."""
    free = replay(log, blas_bytes)
    fails, runs = free.allocated_bytes - 1, free.reserved_bytes
    while runs - fails > EXACT_ENOUGH:
        middle = (fails + runs) // 2
        fails, runs = (fails, middle) if runs_within(log, blas_bytes, middle) else (middle, runs)
    return runs
