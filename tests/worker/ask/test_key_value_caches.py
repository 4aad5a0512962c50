"""Caches with room: what transformers' own would hold, with fewer copies."""

import pytest
import torch
from transformers.cache_utils import DynamicCache, DynamicSlidingWindowLayer

from bench.worker.ask.key_value_caches import ROOM, NodeCache, RoomyLayer

ROWS, HEADS, WIDTH = 3, 2, 4
LAYERS = 2
NODES = 5


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


def with_room(cache):
    """The same, each layer with room behind."""
    found = DynamicCache()
    for layer in cache.layers:
        keys, values = (torch.nn.functional.pad(one, (0, 0, 0, ROOM)) for one in (layer.keys, layer.values))
        found.layers.append(RoomyLayer(keys, values, layer.get_seq_length()))
    return found


def node_cache():
    """Nodes written in two runs, the second behind two of the first; and the keys and values of each."""
    first, second = cache_of(1, 3), cache_of(1, 4)
    found = NodeCache(NODES)
    found.write(0, first, 0)
    found.write(3, second, 2)
    nodes = [
        tuple(torch.cat([one[0], other[0, :, 2:]], dim=1) for one, other in zip(*pair, strict=True))
        for pair in zip(contents(first), contents(second), strict=True)
    ]
    return found, nodes


def test_a_cache_with_room_holds_what_transformers_own_does():
    """Through more tokens than there is room for, and a choice of rows on the way."""
    own = cache_of(ROWS, 5)
    ours = with_room(own)
    for token in range(2 * ROOM + 3):
        if token == 4:
            own.batch_select_indices(torch.tensor([2, 0]))
            ours.batch_select_indices(torch.tensor([2, 0]))
        for layer in range(LAYERS):
            new = states(len(own.layers[0].keys), 1), states(len(own.layers[0].keys), 1)
            given = ours.update(*new, layer)
            assert same([given], [own.update(*new, layer)])
        assert ours.get_seq_length() == own.get_seq_length() == 6 + token
    assert same(contents(own), contents(ours))


def test_room_is_used():
    """A token is written where the others lie, and copies none of them."""
    cache = with_room(cache_of(ROWS, 5))
    first = cache.layers[0].keys.data_ptr()
    for _ in range(ROOM):
        cache.update(states(ROWS, 1), states(ROWS, 1), 0)
    assert cache.layers[0].keys.data_ptr() == first


def test_a_path_is_a_cache_of_its_nodes():
    cache, nodes = node_cache()
    found = cache.path([0, 2, 4])
    assert same(contents(found), [(keys[None, :, [0, 2, 4]], values[None, :, [0, 2, 4]]) for keys, values in nodes])
    found.update(states(1, 1), states(1, 1), 0)
    assert found.get_seq_length() == 4
    assert cache.path([]).get_seq_length() == 0


def test_rows_end_together():
    cache, nodes = node_cache()
    found = cache.rows([[0, 1, 3], [4]])
    assert found.get_seq_length() == 3
    assert {layer.whole[0].shape[-2] for layer in found.layers} == {3 + ROOM}
    assert not cache.layers
    for layer, pair in zip(found.layers, nodes, strict=True):
        for held, of_nodes in zip((layer.keys, layer.values), pair, strict=True):
            assert held.shape == (2, HEADS, 3, WIDTH)
            assert torch.equal(held[0], of_nodes[:, [0, 1, 3]])
            assert torch.equal(held[1, :, 2:], of_nodes[:, [4]])


def test_a_cache_that_forgets_is_refused():
    cache = cache_of(1, 3)
    cache.layers[1] = DynamicSlidingWindowLayer(sliding_window=2)
    with pytest.raises(ValueError, match="SlidingWindowLayer: probes need a cache of every token's keys and values"):
        NodeCache(3).write(0, cache, 0)
