"""Prompts read in batches and gone on with, in the worker: greedily, or by given continuations.

Reading a prompt is the dear part on a processor, so nothing is read twice and little padding is read at all: prompts
of one beginning (a chat template, the Alpaca prompt) share one reading of it, the rest is read in slices of like
length, and only their caches of keys and values are padded, to go on together. A row whose answer has ended leaves.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from bench.precision import autocast
from bench.train import Trainee

BATCH = 64  # prompts gone on with together; more gains nothing on a processor
ENOUGH = 64  # tokens of a slice; with fewer, reading the weights takes longer than the products
PADDED = 1.125  # tokens of a slice with its padding, to those without
ALIKE = 8  # first tokens by which prompts are grouped
WORTH_SHARING = 8  # prompts; fewer go on faster among others than by themselves behind a beginning read once
PADDING = 0  # where a mask hides it, any id will do

Ended = Callable[[int, list[int]], bool]  # row and what it has said -> whether that is all


@dataclass(frozen=True)
class Prefix:
    """Tokens that a group of prompts begins with, and the cache they leave; none of a group that shares nothing."""

    tokens: tuple[int, ...] = ()
    cache: Any = None

    def repeated(self, rows: int) -> Any:
        """The cache for so many prompts; the prefix's own stays as it is."""
        if self.cache is None:
            return None
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(rows)
        return cache


@torch.no_grad()
def forward(
    trainee: Trainee, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, kept: int = 1
) -> tuple[Tensor, Any]:
    """Logits of the last kept positions (rows, kept, vocabulary) in float32, and the cache after ids."""
    with autocast(trainee.recipe, trainee.device):
        found = trainee.model(
            input_ids=ids.to(trainee.device), attention_mask=mask.to(trainee.device),
            position_ids=positions.to(trainee.device), past_key_values=cache, use_cache=True, logits_to_keep=kept,
        )  # fmt: skip
    return found.logits.float().cpu(), found.past_key_values


@dataclass
class Reading:
    """Rows of prompts that were read, each ending at the right.

    logits: of the next token (rows, 1, vocabulary); cache: of all read; mask: which of it is no padding (rows,
    length); positions: the next token's (rows, 1).
    """

    trainee: Trainee
    logits: Tensor
    cache: Any
    mask: Tensor
    positions: Tensor

    def choice_nats(self, choices: Sequence[Sequence[Sequence[int]]]) -> list[tuple[float, ...]]:
        """Each row's log-probability of each of its choices after its prompt: nats, summed over the choice's tokens."""
        rows = [row for row, own in enumerate(choices) for _ in own]
        told = iter(self.continuation_nats(rows, [tokens for own in choices for tokens in own]) if rows else ())
        return [tuple(next(told) for _ in own) for own in choices]

    def continuation_nats(self, rows: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[float]:
        """Log-probability of each continuation of its row, the continuations padded on the right."""
        longest = max(map(len, continuations))
        ids, counted = torch.full((len(rows), longest), PADDING), torch.zeros(len(rows), longest)
        for at, tokens in enumerate(continuations):
            ids[at, : len(tokens)] = torch.tensor(tokens)
            counted[at, : len(tokens)] = 1
        logits = self.logits[rows]
        if longest > 1:
            mask = torch.cat([self.mask[rows], counted[:, :-1].long()], dim=1)
            positions = self.positions[rows] + torch.arange(longest - 1)
            cache = selected(copy.deepcopy(self.cache), rows)
            rest, _ = forward(self.trainee, ids[:, :-1], mask, positions, cache, longest - 1)
            logits = torch.cat([logits, rest], dim=1)
        nats = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
        return (nats * counted).sum(1).tolist()

    def greedy(self, ended: Ended) -> list[list[int]]:
        """What each row says, the likeliest next token again and again until ended; uses the reading up.

        The token that ends it is the last that a row says.
        """
        said: list[list[int]] = [[] for _ in range(len(self.mask))]
        live = list(range(len(said)))
        while live:
            tokens = self.logits[:, -1].argmax(-1)
            for row, token in zip(live, tokens.tolist(), strict=True):
                said[row].append(token)
            stay = [at for at, row in enumerate(live) if not ended(row, said[row])]
            if len(stay) < len(live):
                live, tokens = [live[at] for at in stay], tokens[stay]
                self.keep(stay)
            if live:
                self.mask = pad(self.mask, (0, 1), value=1)
                self.logits, self.cache = forward(self.trainee, tokens[:, None], self.mask, self.positions, self.cache)
                self.positions = self.positions + 1
        return said

    def keep(self, rows: list[int]) -> None:
        """Let the other rows go."""
        self.mask, self.positions = self.mask[rows], self.positions[rows]
        self.cache = selected(self.cache, rows)


def selected(cache: Any, rows: Sequence[int]) -> Any:
    """The cache itself, of these rows now, any of them as often as it is named."""
    cache.batch_select_indices(torch.tensor(rows, dtype=torch.long))
    return cache


def read(trainee: Trainee, prompts: Sequence[list[int]], prefix: Prefix) -> Reading:
    """Prompts read behind their prefix in one batch. Padded between the two, so that all end at the right."""
    begun = len(prefix.tokens)
    longest = max(map(len, prompts)) - begun
    ids = torch.full((len(prompts), longest), PADDING)
    mask = torch.zeros((len(prompts), begun + longest), dtype=torch.long)
    mask[:, :begun] = 1
    for row, prompt in enumerate(prompts):
        rest = prompt[begun:]
        ids[row, longest - len(rest) :] = torch.tensor(rest)
        mask[row, begun + longest - len(rest) :] = 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    logits, cache = forward(trainee, ids, mask, positions[:, begun:], prefix.repeated(len(prompts)))
    return Reading(trainee, logits, cache, mask, positions[:, -1:] + 1)


def joined(readings: Sequence[Reading]) -> Reading:
    """All their rows as one, the shorter ones' caches padded on the left; the first one's cache becomes the whole's."""
    first, longest = readings[0], max(reading.mask.shape[1] for reading in readings)
    short = [longest - reading.mask.shape[1] for reading in readings]
    for layers in zip(*(reading.cache.layers for reading in readings), strict=True):
        for name in ("keys", "values"):  # each (rows, heads, length, width of a head)
            padded = [pad(getattr(layer, name), (0, 0, by, 0)) for layer, by in zip(layers, short, strict=True)]
            setattr(layers[0], name, torch.cat(padded))
    return Reading(
        trainee=first.trainee,
        logits=torch.cat([reading.logits for reading in readings]),
        cache=first.cache,
        mask=torch.cat([pad(reading.mask, (by, 0)) for reading, by in zip(readings, short, strict=True)]),
        positions=torch.cat([reading.positions for reading in readings]),
    )


def groups_of(prompts: Sequence[list[int]]) -> list[list[int]]:
    """Indices of the prompts that begin alike, where enough of them do."""
    found: dict[tuple[int, ...], list[int]] = {}
    for at, prompt in enumerate(prompts):
        found.setdefault(tuple(prompt[:ALIKE]), []).append(at)
    return [group for group in found.values() if len(group) >= WORTH_SHARING]


def common_beginning(prompts: Sequence[list[int]]) -> list[int]:
    """What all begin with, short of any whole prompt: its last token must still be read."""
    first, last = min(prompts), max(prompts)
    most = min(len(prompt) for prompt in prompts) - 1
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), most)
    return first[: min(same, most)]


def slices(lengths: Sequence[int]) -> Iterator[range]:
    """Runs of the ascending lengths, each worth a reading of its own and with little padding."""
    start = 0
    for end in range(1, len(lengths) + 1):
        rows = end - start
        whole = sum(lengths[start:end])
        if end == len(lengths) or (whole >= ENOUGH and lengths[end] * (rows + 1) > PADDED * (whole + lengths[end])):
            yield range(start, end)
            start = end


def prefixes_of(trainee: Trainee, prompts: Sequence[list[int]]) -> list[Prefix]:
    """What each prompt shares with enough others, read once for all of them."""
    found = [Prefix()] * len(prompts)
    for group in groups_of(prompts):
        shared = common_beginning([prompts[at] for at in group])
        prefix = Prefix(tuple(shared), read(trainee, [shared], Prefix()).cache) if shared else Prefix()
        for at in group:
            found[at] = prefix
    return found


def batches(
    trainee: Trainee, prompts: Sequence[list[int]], new_tokens: Sequence[int]
) -> Iterator[list[tuple[Prefix, list[int]]]]:
    """Indices of prompts to go on with together, those of longest answers first, as the slices to read them in."""
    prefixes = prefixes_of(trainee, prompts)

    def beginning(at: int) -> tuple[int, ...]:
        return prefixes[at].tokens

    def length(at: int) -> int:
        return len(prompts[at]) - len(beginning(at))

    order = sorted(range(len(prompts)), key=lambda at: (-new_tokens[at], beginning(at), length(at)))
    for start in range(0, len(order), BATCH):
        batch = sorted(order[start : start + BATCH], key=lambda at: (beginning(at), length(at)))
        groups = [list(group) for _, group in groupby(batch, beginning)]
        yield [
            (prefixes[group[0]], [group[row] for row in run])
            for group in groups
            for run in slices([length(at) for at in group])
        ]
