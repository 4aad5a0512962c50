"""Batches: which examples go together, padded or packed as the recipe says."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.core.extent import Extent
from bench.core.recipe import MULTIPLE, Recipe
from bench.tasks import IGNORE, Example

BUCKET_BATCHES = 32  # examples of this many batches are sorted together, so order stays random beyond


@dataclass
class Batch:
    """One forward pass. input_ids, labels, attention_mask: (batch, length); labels IGNORE where none counts.

    position_ids is set for packed rows alone. tokens: without padding; scored: labels that count.
    """

    input_ids: Tensor
    labels: Tensor
    attention_mask: Tensor
    position_ids: Tensor | None
    tokens: int
    scored: int

    def inputs(self) -> dict[str, Tensor]:
        """What the model is called with. Packed rows carry no mask: transformers reads their position ids."""
        if self.position_ids is not None:
            return {"input_ids": self.input_ids, "position_ids": self.position_ids}
        return {"input_ids": self.input_ids, "attention_mask": self.attention_mask}

    def to(self, device: str) -> "Batch":
        def move(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=True)

        return Batch(
            self.input_ids.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            self.attention_mask.to(device, non_blocking=True),
            move(self.position_ids),
            self.tokens,
            self.scored,
        )


def scored_labels(labels: Sequence[int], shifted: bool) -> int:
    """How many labels count; a causal model never predicts the first token of a row."""
    return sum(label != IGNORE for label in (labels[1:] if shifted else labels))


def wrap_labels(labels: Sequence[int], vocabulary: int) -> Tensor:
    """Labels that are words, modulo the vocabulary as their ids are; IGNORE stays."""
    given = torch.tensor(labels, dtype=torch.long)
    return torch.where(given == IGNORE, given, given % vocabulary)


def padded_length(examples: Sequence[Example], fixed_length: int) -> int:
    """Tokens of a row: fixed_length, or where that is 0 the longest example's, rounded up to a multiple of 8."""
    longest = max(len(example) for example in examples)
    return fixed_length or -(-longest // MULTIPLE) * MULTIPLE


def collate(examples: Sequence[Example], pad: int, vocabulary: int, fixed_length: int, shifted: bool) -> Batch:
    """Pad to the longest (a multiple of 8), or to fixed_length where it is not 0."""
    length = padded_length(examples, fixed_length)
    ids = torch.full((len(examples), length), pad % vocabulary)
    labels = torch.full((len(examples), length), IGNORE)
    mask = torch.zeros((len(examples), length), dtype=torch.long)
    for row, example in enumerate(examples):
        size = len(example)
        ids[row, :size] = torch.tensor(example.input_ids) % vocabulary
        labels[row, :size] = wrap_labels(example.labels, vocabulary) if shifted else torch.tensor(example.labels)
        mask[row, :size] = 1
    tokens = sum(len(example) for example in examples)
    scored = sum(scored_labels(example.labels, shifted) for example in examples)
    return Batch(ids, labels, mask, None, tokens, scored)


def pack(examples: Sequence[Example], max_length: int) -> Iterator[list[Example]]:
    """Groups of whole examples that fit into one row of max_length, in order."""
    row: list[Example] = []
    used = 0
    for example in examples:
        if row and used + len(example) > max_length:
            yield row
            row, used = [], 0
        row.append(example)
        used += len(example)
    if row:
        yield row


def collate_packed(rows: Sequence[Sequence[Example]], pad: int, vocabulary: int, max_length: int) -> Batch:
    """One row of several examples each; position ids start again at every example and at the padding."""
    ids = torch.full((len(rows), max_length), pad % vocabulary)
    labels = torch.full((len(rows), max_length), IGNORE)
    positions = torch.zeros((len(rows), max_length), dtype=torch.long)
    mask = torch.zeros((len(rows), max_length), dtype=torch.long)
    tokens = scored = 0
    for number, row in enumerate(rows):
        start = 0
        for example in row:
            end = start + len(example)
            ids[number, start:end] = torch.tensor(example.input_ids) % vocabulary
            labels[number, start + 1 : end] = wrap_labels(example.labels[1:], vocabulary)
            positions[number, start:end] = torch.arange(end - start)
            mask[number, start:end] = 1
            scored += scored_labels(example.labels, shifted=True)
            start = end
        positions[number, start:] = torch.arange(max_length - start)
        tokens += start
    return Batch(ids, labels, mask, positions, tokens, scored)


@dataclass(frozen=True)
class Batching:
    """How examples become batches for one model. shifted: a causal model's labels are the next tokens."""

    recipe: Recipe
    pad: int
    vocabulary: int
    shifted: bool

    def one(self, examples: Sequence[Example]) -> Batch:
        fixed = self.recipe.max_length if self.recipe.padding == "max_length" else 0
        return collate(examples, self.pad, self.vocabulary, fixed, self.shifted)

    def epoch(self, examples: Sequence[Example], seed: int, epoch: int) -> list[list[Any]]:
        """The epoch's batches, as lists of examples (or of packed rows), in an order that seed and epoch fix."""
        order = random.Random(f"{seed}-{epoch}")
        shuffled = list(examples)
        order.shuffle(shuffled)
        items: list[Any] = list(pack(shuffled, self.recipe.max_length)) if self.recipe.packing else shuffled
        size = self.recipe.batch_size
        if not self.recipe.length_bucketing or self.recipe.packing:
            return [items[start : start + size] for start in range(0, len(items), size)]
        batches = []
        for start in range(0, len(items), size * BUCKET_BATCHES):
            bucket = sorted(items[start : start + size * BUCKET_BATCHES], key=len)
            batches += [bucket[at : at + size] for at in range(0, len(bucket), size)]
        order.shuffle(batches)
        return batches

    def collate(self, items: Sequence[Any]) -> Batch:
        if self.recipe.packing:
            return collate_packed(items, self.pad, self.vocabulary, self.recipe.max_length)
        return self.one(items)

    def extent(self, items: Sequence[Any]) -> Extent:
        """The collated batch's, without making it."""
        if self.recipe.packing:
            scored = sum(scored_labels(example.labels, shifted=True) for row in items for example in row)
            whole = all(len(row) == 1 and len(row[0]) == self.recipe.max_length for row in items)
            return Extent(len(items), self.recipe.max_length, scored, whole)
        length = padded_length(items, self.recipe.max_length if self.recipe.padding == "max_length" else 0)
        scored = sum(scored_labels(example.labels, self.shifted) for example in items)
        return Extent(len(items), length, scored, all(len(example) == length for example in items))

    def evaluation(self, examples: Sequence[Example]) -> Iterator[tuple[list[int], Batch]]:
        """(indices, batch) over all examples, sorted by length so that little is padding."""
        order = sorted(range(len(examples)), key=lambda index: len(examples[index]))
        size = self.recipe.evaluation_batch_size
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            yield chosen, collate([examples[i] for i in chosen], self.pad, self.vocabulary, 0, self.shifted)
