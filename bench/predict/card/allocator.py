"""A model of torch's caching allocator for CUDA: which blocks storages get, and how much memory is reserved for them.

A card runs out of memory by what the allocator has reserved, not by what tensors hold. The allocator asks the driver
for segments, cuts blocks from them and caches freed blocks, so storages of ever-changing sizes can make it reserve
three times what they hold (results/PREDICTIONS.md). The rules are torch's defaults: one stream, no expandable
segments, no max_split_size (c10/core/AllocatorConfig.h and c10/cuda/CUDACachingAllocator.cpp of torch 2.13).
"""

from bisect import bisect_left, insort
from dataclasses import dataclass

from bench.machine.cards import MIB

GRAIN = 512  # sizes are rounded up to a multiple of this many bytes
SMALL = MIB  # the largest size that is taken from the small pool
SMALL_SEGMENT = 2 * MIB
MIDDLE_SEGMENT = 20 * MIB  # for sizes below LARGE
LARGE = 10 * MIB
LARGE_GRAIN = 2 * MIB  # a segment of a larger size is a multiple of this


class OutOfMemory(RuntimeError):
    """A block does not fit below the limit, even after all cached segments were given back."""


@dataclass(eq=False, slots=True)
class Block:
    """A piece of a segment, with its neighbours in the segment (None at the ends)."""

    address: int
    size: int
    small: bool
    before: "Block | None" = None
    after: "Block | None" = None
    is_free: bool = False


def round_up(size: int, grain: int) -> int:
    return -(-size // grain) * grain


def segment_bytes(size: int) -> int:
    """The size of the segment requested from the driver for a block of this size."""
    if size <= SMALL:
        return SMALL_SEGMENT
    return MIDDLE_SEGMENT if size < LARGE else round_up(size, LARGE_GRAIN)


class CachingAllocator:
    """Allocates and frees blocks; all figures in bytes. limit: the most that may be reserved (0: no limit).

    allocated_bytes is what torch.cuda.memory_allocated reports: whole blocks, each up to a mebibyte larger than
    requested. reserved_bytes is what torch.cuda.memory_reserved reports.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.allocated_bytes = self.reserved_bytes = 0
        self.peak_allocated_bytes = self.peak_reserved_bytes = 0
        self._pools: dict[bool, list[tuple[int, int, Block]]] = {True: [], False: []}  # size, address; sorted
        self._next_address = 0

    def allocate(self, size: int) -> Block:
        """A block of at least this size. Raises OutOfMemory."""
        size = max(GRAIN, round_up(size, GRAIN))
        block = self._found(size) or self._new_segment(size)
        rest = block.size - size
        if rest >= GRAIN if block.small else rest > SMALL:
            self._split(block, size)
        block.is_free = False
        self.allocated_bytes += block.size
        self.peak_allocated_bytes = max(self.peak_allocated_bytes, self.allocated_bytes)
        return block

    def free(self, block: Block) -> None:
        """Cache the block for reuse, merged with its free neighbours."""
        self.allocated_bytes -= block.size
        if block.before and block.before.is_free:
            self._take(block.before)
            block.address = block.before.address
            block.size += block.before.size
            block.before = block.before.before
            if block.before:
                block.before.after = block
        if block.after and block.after.is_free:
            self._take(block.after)
            block.size += block.after.size
            block.after = block.after.after
            if block.after:
                block.after.before = block
        self._keep(block)

    def give_back(self) -> None:
        """Return every unused segment to the driver, as torch.cuda.empty_cache does."""
        for pool in self._pools.values():
            parts = [entry for entry in pool if entry[2].before or entry[2].after]
            self.reserved_bytes -= sum(size for size, _, _ in pool) - sum(size for size, _, _ in parts)
            pool[:] = parts

    def restart_peaks(self) -> None:
        self.peak_allocated_bytes, self.peak_reserved_bytes = self.allocated_bytes, self.reserved_bytes

    def _found(self, size: int) -> Block | None:
        """The smallest free block that is large enough."""
        pool = self._pools[size <= SMALL]
        at = bisect_left(pool, (size,))
        return pool.pop(at)[2] if at < len(pool) else None

    def _new_segment(self, size: int) -> Block:
        asked = segment_bytes(size)
        if self.limit and self.reserved_bytes + asked > self.limit:
            self.give_back()
            if self.reserved_bytes + asked > self.limit:
                raise OutOfMemory(f"{asked} bytes more than {self.reserved_bytes} reserved are over {self.limit}")
        block = Block(self._next_address, asked, size <= SMALL)
        self._next_address += asked
        self.reserved_bytes += asked
        self.peak_reserved_bytes = max(self.peak_reserved_bytes, self.reserved_bytes)
        return block

    def _split(self, block: Block, size: int) -> None:
        rest = Block(block.address + size, block.size - size, block.small, block, block.after)
        if block.after:
            block.after.before = rest
        block.after, block.size = rest, size
        self._keep(rest)

    def _keep(self, block: Block) -> None:
        block.is_free = True
        insort(self._pools[block.small], (block.size, block.address, block))

    def _take(self, block: Block) -> None:
        pool = self._pools[block.small]
        del pool[bisect_left(pool, (block.size, block.address))]
