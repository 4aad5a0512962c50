"""A replay of a step's storages in a card's allocator: allocated and reserved bytes, and the smallest limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from bench.machine.cards import BLAS_WORKSPACES, MIB
from bench.predict.card.allocator import Block, CachingAllocator, OutOfMemory
from bench.predict.storage_log import StorageLog

EXACT_ENOUGH = 16 * MIB  # of the smallest limit


def repeat_span(entries: Sequence[int], first: int, last: int) -> tuple[int, ...]:
    """The entries, with the span from first up to last repeated once directly after it.

    If the span frees a storage from before it and leaves a new one of the same size, its copy frees the new one:
    AdaLoRA replaces its importances this way in every step.
    """
    freed = {~entry for entry in entries[first:last] if entry < 0}
    left = [number for number in range(first, last) if entries[number] > 0 and number not in freed]
    copies: dict[int, int] = {}  # entry of the span that allocates -> its copy's entry
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
    places = list(range(last))  # the new index of each storage that entries after the span free
    for number in replaced:
        places[number] = copies[number]
    for entry in entries[last:]:
        places.append(len(found))
        found.append(entry if entry > 0 else ~places[~entry])
    return tuple(found)


@dataclass(frozen=True)
class Reserved:
    """Peaks of allocated and reserved memory, as torch defines them."""

    allocated_bytes: int
    reserved_bytes: int


def replay(log: StorageLog, blas_bytes: int = 0, limit: int = 0) -> Reserved:
    """Replay the storages in an allocator, beside blas_bytes of workspaces for matrix products.

    As in bench.worker.case, the cache is empty when training starts. From then on the allocator may reserve no more
    than limit (0: no limit). Raises OutOfMemory.
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
def reserve_without_limit(log: StorageLog, blas_bytes: int) -> Reserved:
    """What the allocator takes without a limit, beside blas_bytes of workspaces."""
    return replay(log, blas_bytes)


def runs_within(log: StorageLog, blas_bytes: int, limit: int) -> bool:
    try:
        replay(log, blas_bytes, limit)
    except OutOfMemory:
        return False
    return True


def smallest_limit(log: StorageLog, blas_bytes: int = 0, above: int = 0) -> int:
    """The smallest limit beyond `above` that the log runs within, by bisection to 16 MiB; it reserves more than above.

    No limit below the unlimited run's allocated bytes is tried. Blocks are placed differently under every limit, so a
    smaller limit may work where a larger one fails, by hundreds of MiB in random orders: to test a given limit, use
    runs_within.
    """
    free = reserve_without_limit(log, blas_bytes)
    fails, runs = max(above, free.allocated_bytes - 1), free.reserved_bytes
    while runs - fails > EXACT_ENOUGH:
        middle = (fails + runs) // 2
        fails, runs = (fails, middle) if runs_within(log, blas_bytes, middle) else (middle, runs)
    return runs
