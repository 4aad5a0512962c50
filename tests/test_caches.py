"""Caches with room: what transformers' own would hold, with fewer copies."""

import pytest
import torch
from transformers.cache_utils import DynamicCache

from bench.caches import ROOM, RoomyLayer, joined, selected

ROWS, HEADS, WIDTH = 3, 2, 4
LAYERS = 2


def states(rows, length):
    return torch.randn(rows, HEADS, length, WIDTH)


def cache_of(rows, length):
    cache = DynamicCache()
    for layer in range(LAYERS):
        cache.update(states(rows, length), states(rows, length), layer)
    return cache


def contents(cache):
    return [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]


def same(one, other):
    return all(
        torch.equal(a, b) for pair, twin in zip(one, other, strict=True) for a, b in zip(pair, twin, strict=True)
    )


def test_a_cache_with_room_holds_what_transformers_own_does():
    """Through more tokens than there is room for, and a choice of rows on the way."""
    own, ours = cache_of(ROWS, 5), DynamicCache()
    for layer in own.layers:
        ours.layers.append(RoomyLayer(layer.keys, layer.values, 5))
    for token in range(2 * ROOM + 3):
        if token == 4:
            own, ours = selected(own, [2, 0]), selected(ours, [2, 0])
        for layer in range(LAYERS):
            new = states(len(own.layers[0].keys), 1), states(len(own.layers[0].keys), 1)
            given = ours.update(*new, layer)
            assert same([given], [own.update(*new, layer)])
        assert ours.get_seq_length() == own.get_seq_length() == 6 + token
    assert same(contents(own), contents(ours))


def test_room_is_used():
    """A token is written where the others lie, and copies none of them."""
    cache = joined([cache_of(ROWS, 5)])
    first = cache.layers[0].keys.data_ptr()
    for _ in range(ROOM):
        cache.update(states(ROWS, 1), states(ROWS, 1), 0)
    assert cache.layers[0].keys.data_ptr() == first


def test_joined_caches_end_together_and_the_short_begin_with_zeros():
    long, short = cache_of(2, 5), cache_of(1, 3)
    parts = contents(long), contents(short)
    found = joined([long, short])
    for layer, (keys, values), (short_keys, short_values) in zip(found.layers, *parts, strict=True):
        for held, one, other in ((layer.keys, keys, short_keys), (layer.values, values, short_values)):
            assert held.shape == (3, HEADS, 5, WIDTH)
            assert torch.equal(held[:2], one)
            assert torch.equal(held[2:, :, 2:], other)
            assert not held[2:, :, :2].any()


@pytest.mark.parametrize("roomy", [False, True])
def test_choosing_rows_leaves_the_cache_as_it_is(roomy):
    cache = joined([cache_of(ROWS, 5)]) if roomy else cache_of(ROWS, 5)
    before = contents(cache)
    chosen = selected(cache, [1, 1])
    chosen.update(states(2, 1), states(2, 1), 0)
    assert same(contents(cache), before)
    assert torch.equal(chosen.layers[0].keys[:, :, :5], before[0][0][[1, 1]])
    assert torch.equal(chosen.layers[1].values, before[1][1][[1, 1]])
