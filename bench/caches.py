"""Caches of keys and values, in the worker: chosen rows of one, several joined into one, room for what comes.

A layer's keys and values are (rows, heads, length, width of a head).
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

ROOM = 32  # tokens that a cache takes before it must be copied


class RoomyLayer(DynamicLayer):
    """A layer with room behind its keys and values: a token is written there, and nothing that came before is copied.

    transformers' own copies all of it for every token. keys and values show what is filled of `whole`.
    """

    def __init__(self, keys: Tensor, values: Tensor, length: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.whole = keys, values
        self.fill(length)

    def fill(self, length: int) -> tuple[Tensor, Tensor]:
        keys, values = (one[..., :length, :] for one in self.whole)
        self.keys, self.values = keys, values
        return keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new keys and values behind the others; all of them."""
        begun = self.get_seq_length()
        length = begun + key_states.shape[-2]
        keys, values = self.whole
        if length > keys.shape[-2]:
            keys, values = (with_room([one[..., :begun, :]], [0], length) for one in self.whole)
            self.whole = keys, values
        keys[..., begun:length, :] = key_states
        values[..., begun:length, :] = value_states
        return self.fill(length)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, and their room."""
        length = self.get_seq_length()
        keys, values = self.whole
        self.whole = keys[indices], values[indices]
        self.fill(length)


def with_room(parts: Sequence[Tensor], begins: Sequence[int], length: int) -> Tensor:
    """All rows of the parts, each behind as many zeros as it begins at, with room behind the length."""
    first = parts[0]
    whole = first.new_empty((sum(map(len, parts)), first.shape[1], length + ROOM, first.shape[-1]))
    rows = whole.split([len(part) for part in parts])
    for part, begin, into in zip(parts, begins, rows, strict=True):
        into[..., :begin, :] = 0  # masked, but a number: attention multiplies it by 0
        into[..., begin : begin + part.shape[-2], :] = part
    return whole


def selected(cache: Any, rows: Sequence[int]) -> Any:
    """A cache of these rows, any of them as often as it is named; the given one stays as it is."""
    chosen = copy.copy(cache)
    chosen.layers = [copy.copy(layer) for layer in cache.layers]  # selecting gives each new keys and values
    chosen.batch_select_indices(torch.tensor(rows, dtype=torch.long))
    return chosen


def joined(caches: Sequence[Any]) -> Any:
    """All their rows as one cache, the shorter ones padded on the left. Uses the caches up.

    Raises ValueError for a cache of another kind: one that forgets what it has read, as a sliding window does, or that
    holds more than keys and values.
    """
    first, *_ = caches
    lengths = [one.get_seq_length() for one in caches]
    length = max(lengths)
    short = [length - own for own in lengths]
    for at, layers in enumerate(zip(*(one.layers for one in caches), strict=True)):
        if type(layers[0]) is not DynamicLayer:
            raise ValueError(f"{type(layers[0]).__name__}: probes need a cache of every token's keys and values")
        keys = with_room([layer.keys for layer in layers], short, length)
        values = with_room([layer.values for layer in layers], short, length)
        first.layers[at] = RoomyLayer(keys, values, length)
        for layer in layers:
            layer.keys = layer.values = None
    return first
