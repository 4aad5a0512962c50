"""What a card's allocator makes of a step's storages: allocated in blocks, reserved, and the least that it needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from bench.machine.cards import BLAS_WORKSPACES, MIB
from bench.predict.card.allocator import Block, CachingAllocator, OutOfMemory
from bench.predict.storage_log import StorageLog

EXACT_ENOUGH = 16 * MIB  # of the smallest limit


def repeated(entries: Sequence[int], first: int, last: int) -> tuple[int, ...]:
    """The entries, with those from first up to last once more behind them.

    What the span leaves behind is let go by its copy, where the span lets go of something as large that was there
    before it: AdaLoRA's importances are replaced so in every step.
    """
    freed = {~entry for entry in entries[first:last] if entry < 0}
    left = [number for number in range(first, last) if entries[number] > 0 and number not in freed]
    copies: dict[int, int] = {}  # where the copy makes what the span makes
    replaced = []
    found = list(entries[:last])
    for number, entry in enumerate(entries[first:last], first):
        if entry > 0:
            copies[number] = len(found)
            found.append(entry)
        elif ~entry in copies:
            found.append(~copies[~entry])
        elif same := [other for other in left if entries[other] == entries[~entry]]:
            left.remove(same[0])
            replaced.append(same[0])
            found.append(~same[0])
    places = list(range(last))  # where lies what the entries behind the span let go
    for number in replaced:
        places[number] = copies[number]
    for entry in entries[last:]:
        places.append(len(found))
        found.append(entry if entry > 0 else ~places[~entry])
    return tuple(found)


@dataclass(frozen=True)
class Reserved:
    """Peaks of what torch calls allocated and reserved."""

    allocated_bytes: int
    reserved_bytes: int


def replay(log: StorageLog, blas_bytes: int = 0, limit: int = 0) -> Reserved:
    """The storages in an allocator's hands, beside blas_bytes of workspaces of matrix products.

    As in bench.worker.case, the cache is empty when training starts; from there on no more than limit may be reserved
    (0: as much as is asked for). Raises OutOfMemory.
    """
    allocator = CachingAllocator()
    blocks: dict[int, Block] = {}
    for number, entry in enumerate(log.entries):
        if number == log.started:
            allocator.give_back()
            allocator.restart_peaks()
            allocator.limit = limit
            for _ in range(BLAS_WORKSPACES if blas_bytes else 0):
                allocator.allocate(blas_bytes // BLAS_WORKSPACES)
        if entry > 0:
            blocks[number] = allocator.allocate(entry)
        else:
            allocator.free(blocks.pop(~entry))
    return Reserved(allocator.peak_allocated_bytes, allocator.peak_reserved_bytes)


@lru_cache(maxsize=8)
def unhindered(log: StorageLog, blas_bytes: int) -> Reserved:
    """What the allocator takes where nothing hinders it, beside so many bytes of workspaces."""
    return replay(log, blas_bytes)


def runs_within(log: StorageLog, blas_bytes: int, limit: int) -> bool:
    try:
        replay(log, blas_bytes, limit)
    except OutOfMemory:
        return False
    return True


def smallest_limit(log: StorageLog, blas_bytes: int = 0, above: int = 0) -> int:
    """The least limit above this one that it runs within, found by halving, to 16 MiB; above is below what it reserves.

    Nothing below what is allocated unhindered is tried. As blocks fall differently under every limit, a smaller one
    may run and a larger one fail: in random orders by hundreds of MiB, so whoever has a limit asks runs_within.
    """
    free = unhindered(log, blas_bytes)
    fails, runs = max(above, free.allocated_bytes - 1), free.reserved_bytes
    while runs - fails > EXACT_ENOUGH:
        middle = (fails + runs) // 2
        fails, runs = (fails, middle) if runs_within(log, blas_bytes, middle) else (middle, runs)
    return runs
