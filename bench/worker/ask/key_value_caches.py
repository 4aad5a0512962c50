"""Caches of keys and values: of a prefix tree's nodes, and of rows that are decoded, with room for new tokens.

A layer's keys and values are (rows, heads, length, width of a head), those of nodes (heads, nodes, width).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.modeling_outputs import CausalLMOutputWithPast

# What a model takes its cache as, and gives it back as: transformers 5.24 has renamed it.
CACHE_NAME = next(
    field.name for field in dataclasses.fields(CausalLMOutputWithPast) if field.name in ("cache", "past_key_values")
)
ROOM = 32  # tokens that a cache takes before it must be copied


class RoomyLayer(DynamicLayer):
    """A layer with room after its keys and values: a new token is written there, and nothing is copied.

    transformers' own layer copies everything for every token. keys and values are the filled part of `whole`.
    """

    def __init__(self, keys: Tensor, values: Tensor, length: int) -> None:
        """`length`: how many tokens of the preallocated keys and values are filled."""
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.whole = keys, values
        self.fill(length)

    def fill(self, length: int) -> tuple[Tensor, Tensor]:
        keys, values = (one[..., :length, :] for one in self.whole)
        self.keys, self.values = keys, values
        return keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new keys and values after the others; returns all of them."""
        begun = self.get_seq_length()
        length = begun + key_states.shape[-2]
        if length > self.whole[0].shape[-2]:
            keys, values = self.fill(begun)
            self.whole = with_room(keys, length), with_room(values, length)
        for whole, states in zip(self.whole, (key_states, value_states), strict=True):
            whole[..., begun:length, :] = states
        return self.fill(length)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, and their room."""
        keys, values = self.whole
        self.whole = keys[indices], values[indices]
        self.fill(self.get_seq_length())


def with_room(states: Tensor, length: int) -> Tensor:
    """The states with room after this length, which is at least theirs."""
    rows, heads, filled, width = states.shape
    whole = states.new_empty((rows, heads, length + ROOM, width))
    whole[..., :filled, :] = states
    return whole


class NodeCache:
    """Keys and values of a prefix tree's nodes, written in order."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.layers: list[tuple[Tensor, Tensor]] = []

    def path(self, nodes: Sequence[int]) -> DynamicCache:
        """A cache of one row with these nodes in order, which keeps everything even if the model's would not."""
        found, at = DynamicCache(), torch.tensor(nodes)
        for number, (keys, values) in enumerate(self.layers if nodes else ()):
            found.update(keys[None, :, at], values[None, :, at], number)
        return found

    def write(self, start: int, cache: Any, begun: int) -> None:
        """Copy from a cache of one row what comes after its first `begun` tokens: the nodes from start on.

        Raises ValueError for a cache of another kind: one that forgets tokens, or that holds more than keys and values.
        """
        for number, layer in enumerate(cache.layers):
            if type(layer) is not DynamicLayer:
                raise ValueError(f"{type(layer).__name__}: probes need a cache of every token's keys and values")
            new = [getattr(layer, name)[0, :, begun:] for name in ("keys", "values")]
            if number == len(self.layers):
                keys, values = (one.new_empty((one.shape[0], self.nodes, one.shape[-1])) for one in new)
                self.layers.append((keys, values))
            for whole, states in zip(self.layers[number], new, strict=True):
                whole[:, start : start + states.shape[1]] = states

    def rows(self, paths: Sequence[Sequence[int]]) -> DynamicCache:
        """A cache with room and a row for each path; a mask must hide the beginning of shorter ones.

        Uses up the nodes: both together would take twice the memory where little is shared.
        """
        longest = max(map(len, paths))
        at = torch.tensor([[0] * (longest - len(path)) + list(path) + [0] * ROOM for path in paths])
        found = DynamicCache()
        while self.layers:
            keys, values = self.layers.pop(0)
            found.layers.append(RoomyLayer(keys[:, at].transpose(0, 1), values[:, at].transpose(0, 1), longest))
        return found
