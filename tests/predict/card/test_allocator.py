"""torch's caching allocator by arithmetic: its rules one by one, and what must hold of any order of things."""

import contextlib
import multiprocessing
import os
import random
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise

import pytest
import torch

from bench.machine.cards import MIB
from bench.predict.card.allocator import CachingAllocator, OutOfMemory
from bench.predict.card.replay import EXACT_ENOUGH, repeat_span, replay, runs_within, smallest_limit
from bench.predict.storage_log import StorageLog

KIB = 1024
GROWING = StorageLog((100 * MIB, 10 * MIB, ~1, 14 * MIB, ~3, 18 * MIB, ~5, 22 * MIB, ~7), 1)


@pytest.mark.parametrize(
    ("asked", "allocated", "reserved"),
    [
        (1, 512, 2 * MIB),
        (513, KIB, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (20 * MIB, 20 * MIB, 20 * MIB),
        (20 * MIB + 1, 20 * MIB + 512, 22 * MIB),
        (21 * MIB, 22 * MIB, 22 * MIB),  # a rest of no more than a mebibyte stays with its block
        (21 * MIB - 512, 21 * MIB - 512, 22 * MIB),
    ],
)
def test_first_allocation_takes_a_segment(asked, allocated, reserved):
    allocator = CachingAllocator()
    allocator.allocate(asked)
    assert (allocator.allocated_bytes, allocator.reserved_bytes) == (allocated, reserved)


def test_small_and_large_do_not_share_segments():
    allocator = CachingAllocator()
    allocator.allocate(2 * MIB)
    allocator.allocate(KIB)
    assert allocator.reserved_bytes == 22 * MIB


def test_the_smallest_block_that_is_large_enough_is_taken():
    allocator = CachingAllocator()
    large, middle = allocator.allocate(40 * MIB), allocator.allocate(30 * MIB)
    allocator.free(large)
    allocator.free(middle)
    assert allocator.allocate(25 * MIB).address == middle.address
    assert allocator.reserved_bytes == 70 * MIB


def test_free_neighbours_become_one():
    allocator = CachingAllocator()
    blocks = [allocator.allocate(5 * MIB) for _ in range(4)]
    assert allocator.reserved_bytes == 20 * MIB
    for block in (blocks[0], blocks[2], blocks[1], blocks[3]):
        allocator.free(block)
    assert allocator.allocate(18 * MIB).address == blocks[0].address
    assert allocator.reserved_bytes == 20 * MIB


def test_only_whole_segments_go_back():
    allocator = CachingAllocator()
    kept, freed, alone = allocator.allocate(5 * MIB), allocator.allocate(5 * MIB), allocator.allocate(30 * MIB)
    allocator.free(freed)
    allocator.free(alone)
    allocator.give_back()
    assert allocator.reserved_bytes == 20 * MIB
    allocator.free(kept)
    allocator.give_back()
    assert (allocator.allocated_bytes, allocator.reserved_bytes) == (0, 0)


def test_a_limit_gives_back_what_is_kept_before_it_refuses():
    allocator = CachingAllocator(limit=50 * MIB)
    allocator.free(allocator.allocate(30 * MIB))
    allocator.allocate(40 * MIB)
    assert allocator.reserved_bytes == 40 * MIB
    with pytest.raises(OutOfMemory, match="reserved are over"):
        allocator.allocate(12 * MIB)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_never_overlap_and_all_can_go_back(seed):
    order, allocator, live = random.Random(seed), CachingAllocator(), {}
    for number in range(600):
        if live and order.random() < 0.45:
            allocator.free(live.pop(order.choice(list(live))))
        else:
            live[number] = allocator.allocate(round(2 ** order.uniform(4, 26)))
        places = sorted((block.address, block.size) for block in live.values())
        assert all(one + size <= other for (one, size), (other, _) in pairwise(places))
        assert allocator.allocated_bytes == sum(size for _, size in places) <= allocator.reserved_bytes
    for block in live.values():
        allocator.free(block)
    allocator.give_back()
    assert (allocator.allocated_bytes, allocator.reserved_bytes) == (0, 0)


def test_sizes_that_grow_reserve_the_sum_of_them():
    seen = replay(GROWING)
    assert (seen.allocated_bytes, seen.reserved_bytes) == (122 * MIB, (100 + 10 + 14 + 18 + 22) * MIB)


def test_the_least_limit_is_the_last_that_runs():
    least = smallest_limit(GROWING)
    assert runs_within(GROWING, 0, least)
    assert not runs_within(GROWING, 0, least - EXACT_ENOUGH)
    assert replay(GROWING, limit=least).reserved_bytes <= least < replay(GROWING).reserved_bytes


def test_what_is_repeated_lets_go_what_it_makes():
    entries = (100 * MIB, 10 * MIB, ~1, 4 * MIB, ~0, ~3)
    twice = repeat_span(entries, 1, 3)
    assert twice == (100 * MIB, 10 * MIB, ~1, 10 * MIB, ~3, 4 * MIB, ~0, ~5)
    assert replay(StorageLog(twice, 1)) == replay(StorageLog(entries, 1))
    assert repeat_span(entries, 6, 6) == entries


def test_what_is_replaced_in_every_step_is_let_go_by_the_next():
    entries = (64 * MIB, 32 * MIB, 32 * MIB, ~1, ~2)
    assert repeat_span(entries, 2, 4) == (64 * MIB, 32 * MIB, 32 * MIB, ~1, 32 * MIB, ~2, ~4)


def test_a_limit_is_looked_for_above_another():
    least = smallest_limit(GROWING)
    above = smallest_limit(GROWING, above=least + 20 * MIB)
    assert above > least + 20 * MIB
    assert runs_within(GROWING, 0, above)


def test_what_comes_before_training_is_no_peak_of_it():
    log = StorageLog((300 * MIB, 30 * MIB, ~0, 10 * MIB, 10 * MIB), 3)
    assert (replay(log).allocated_bytes, replay(log).reserved_bytes) == (50 * MIB, 50 * MIB)
    assert replay(log, blas_bytes=64 * MIB).allocated_bytes == 114 * MIB


LIMIT = 257 * MIB  # no sum of segments, so that it does not matter how a fraction is rounded
SIZES = (6, 27)  # powers of two


def make_both(ours, tensors, blocks, number, size):
    """A tensor and a block of this size under this number; neither where there is no room."""
    with contextlib.suppress(torch.cuda.OutOfMemoryError):
        tensors[number] = torch.empty(size, dtype=torch.uint8, device="cuda")
    with contextlib.suppress(OutOfMemory):
        blocks[number] = ours.allocate(size)
    assert tensors.keys() == blocks.keys(), f"only one of the two is out of memory by {size} bytes more"


def figures_beside_torchs(seed):
    """On a card, in a process of its own: (torch's, ours), each (allocated, reserved), after each of the same steps."""
    order, ours, tensors, blocks, figures = random.Random(seed), CachingAllocator(LIMIT), {}, {}, []
    torch.cuda.set_per_process_memory_fraction(LIMIT / torch.cuda.mem_get_info()[1])
    for number in range(600):
        if order.random() < 0.01:
            torch.cuda.empty_cache()
            ours.give_back()
        if tensors and order.random() < 0.48:
            freed = order.choice(list(tensors))
            del tensors[freed]
            ours.free(blocks.pop(freed))
        else:
            make_both(ours, tensors, blocks, number, round(2 ** order.uniform(*SIZES)))
        torchs = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
        figures.append((torchs, (ours.allocated_bytes, ours.reserved_bytes)))
    return figures


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device: it is torch's own allocator beside ours"
)
@pytest.mark.skipif(
    any(os.environ.get(name) for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")),
    reason="torch's allocator is set otherwise",
)
@pytest.mark.parametrize("seed", range(3))
def test_torch_allocates_and_reserves_the_same(seed):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        figures = alone.submit(figures_beside_torchs, seed).result()
    assert [torchs for torchs, _ in figures] == [ours for _, ours in figures]
