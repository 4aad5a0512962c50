"""Batched decoding, in the worker: greedy answers, and the log-probabilities of given continuations.

Prefilling is the dear part on a processor, so nothing is read twice and little padding is read at all: prompts of one
beginning (a chat template, the Alpaca prompt) share a prefix, the rest is prefilled in slices of like length, and only
their caches of keys and values are padded, to be decoded together. Rows whose answers have ended leave the batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from bench import caches
from bench.caches import selected
from bench.precision import autocast
from bench.train import Trainee

BATCH_SIZE = 64  # rows decoded together
# Of a small model on a processor, which is slow at few rows: SmolLM2's cache takes 1.6 GB then, GPT-2's 2.5 GB.
SMALL_BATCH_SIZE = 256
SMALL_MODEL = 2 * 10**8  # parameters
LEAVING_SHARE = 1 / 8  # of a batch, so many rows have ended before they leave it: the others are copied then
MIN_PREFILL_TOKENS = 64  # of a slice: with fewer, reading the weights takes longer than the products
MAX_PADDING_RATIO = 1.125  # tokens of a slice with its padding, to those without
COMPARED_TOKENS = 8  # by which prompts of one beginning are found
MIN_SHARING_PROMPTS = 8  # of one beginning; fewer are prefilled among others
PADDING = 0  # where a mask hides it, any id will do

StoppingCriterion = Callable[[int, list[int]], bool]  # row and its new tokens -> whether that is all


@dataclass(frozen=True)
class Prefix:
    """Tokens that a group of prompts begins with, and the cache they leave; none of a group that shares nothing."""

    tokens: tuple[int, ...] = ()
    cache: Any = None

    def repeated(self, rows: int) -> Any:
        """The cache for so many prompts; the prefix's own stays as it is."""
        return None if self.cache is None else selected(self.cache, [0] * rows)


@torch.no_grad()
def forward(
    trainee: Trainee, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, kept: int = 1
) -> tuple[Tensor, Any]:
    """Logits of the last kept positions (rows, kept, vocabulary) in float32, and the cache after ids.

    mask is of the cache and ids both. What of ids it hides stands at position 0: further on a model may have none.
    """
    positions = positions * mask[:, -ids.shape[1] :]
    with autocast(trainee.recipe, trainee.device):
        found = trainee.model(
            input_ids=ids.to(trainee.device), attention_mask=mask.to(trainee.device),
            position_ids=positions.to(trainee.device), past_key_values=cache, use_cache=True, logits_to_keep=kept,
        )  # fmt: skip
    return found.logits.float().cpu(), found.past_key_values


@dataclass
class Prefilled:
    """Rows of prompts that were read, each ending at the right.

    logits: of the next token (rows, 1, vocabulary); cache: keys and values of all read; mask: which of it is no padding
    (rows, length); positions: the next token's (rows, 1).
    """

    trainee: Trainee
    logits: Tensor
    cache: Any
    mask: Tensor
    positions: Tensor

    def choice_nats(self, choices: Sequence[Sequence[list[int]]]) -> list[tuple[float, ...]]:
        """Each row's log-probability of each of its choices after its prompt: nats, summed over the choice's tokens."""
        read = [(row, tokens) for row, own in enumerate(choices) for tokens in unshared([one[:-1] for one in own])]
        if not read:
            return [()] * len(choices)
        logits = self.logits_after(read)

        def nats(row: int, choice: list[int]) -> float:
            *shown, _ = choice
            at = next(at for at, (of, tokens) in enumerate(read) if of == row and tokens[: len(shown)] == shown)
            told = logits[at, : len(choice)].log_softmax(-1)
            return float(told.gather(-1, torch.tensor(choice)[:, None]).sum())

        return [tuple(nats(row, choice) for choice in own) for row, own in enumerate(choices)]

    def logits_after(self, read: Sequence[tuple[int, list[int]]]) -> Tensor:
        """Logits after a row's prompt and each of the tokens read behind it (len(read), 1 + longest, vocabulary)."""
        rows = [row for row, _ in read]
        longest = max(len(tokens) for _, tokens in read)
        if not longest:
            return self.logits[rows]
        ids, mask = torch.full((len(rows), longest), PADDING), torch.zeros(len(rows), longest, dtype=torch.long)
        for at, (_, tokens) in enumerate(read):
            ids[at, : len(tokens)] = torch.tensor(tokens)
            mask[at, : len(tokens)] = 1
        mask = torch.cat([self.mask[rows], mask], dim=1)
        positions = self.positions[rows] + torch.arange(longest)
        logits, _ = forward(self.trainee, ids, mask, positions, selected(self.cache, rows), longest)
        return torch.cat([self.logits[rows], logits], dim=1)

    def greedy(self, is_whole: StoppingCriterion) -> list[list[int]]:
        """Each row's new tokens, the likeliest one again and again until it is whole; uses the rows up.

        The token that ends an answer is its last.
        """
        said: list[list[int]] = [[] for _ in range(len(self.mask))]
        live, ended = list(range(len(said))), set[int]()
        while True:
            tokens = self.logits[:, -1].argmax(-1)
            for row, token in zip(live, tokens.tolist(), strict=True):
                if row not in ended:
                    said[row].append(token)
                    if is_whole(row, said[row]):
                        ended.add(row)
            if len(ended) == len(said):
                return said
            stay = [at for at, row in enumerate(live) if row not in ended]
            if len(live) - len(stay) >= LEAVING_SHARE * len(live):
                live, tokens = [live[at] for at in stay], tokens[stay]
                self.keep(stay)
            going_on = torch.tensor([[row not in ended] for row in live])
            self.mask = torch.cat([self.mask, going_on], dim=1)
            self.logits, self.cache = forward(self.trainee, tokens[:, None], self.mask, self.positions, self.cache)
            self.positions = self.positions + 1

    def keep(self, rows: list[int]) -> None:
        """Let the other rows go, from the cache a layer at a time."""
        self.logits, self.mask, self.positions = self.logits[rows], self.mask[rows], self.positions[rows]
        self.cache.batch_select_indices(torch.tensor(rows, dtype=torch.long))


def unshared(beginnings: Sequence[list[int]]) -> list[list[int]]:
    """Those that none of the others begins with: who reads these has read all."""
    found: list[list[int]] = []
    for one in sorted(beginnings, key=len, reverse=True):
        if not any(other[: len(one)] == one for other in found):
            found.append(one)
    return found


def prefill(trainee: Trainee, prompts: Sequence[list[int]], prefix: Prefix) -> Prefilled:
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
    positions = mask.cumsum(1) - 1
    logits, cache = forward(trainee, ids, mask, positions[:, begun:], prefix.repeated(len(prompts)))
    return Prefilled(trainee, logits, cache, mask, positions[:, -1:] + 1)


def joined(slices: Sequence[Prefilled]) -> Prefilled:
    """All their rows as one, the shorter ones' caches padded on the left. Uses the slices up: one cache remains."""
    longest = max(one.mask.shape[1] for one in slices)
    short = [longest - one.mask.shape[1] for one in slices]
    return Prefilled(
        trainee=slices[0].trainee,
        logits=torch.cat([one.logits for one in slices]),
        cache=caches.joined([one.cache for one in slices]),
        mask=torch.cat([pad(one.mask, (by, 0)) for one, by in zip(slices, short, strict=True)]),
        positions=torch.cat([one.positions for one in slices]),
    )


def groups_of(prompts: Sequence[list[int]]) -> list[list[int]]:
    """Indices of the prompts that begin alike, where enough of them do."""
    found: dict[tuple[int, ...], list[int]] = {}
    for at, prompt in enumerate(prompts):
        found.setdefault(tuple(prompt[:COMPARED_TOKENS]), []).append(at)
    return [group for group in found.values() if len(group) >= MIN_SHARING_PROMPTS]


def common_beginning(prompts: Sequence[list[int]]) -> list[int]:
    """What all begin with, short of any whole prompt: its last token must still be read."""
    first, last = min(prompts), max(prompts)
    most = min(len(prompt) for prompt in prompts) - 1
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), most)
    return first[: min(same, most)]


def slices_of(lengths: Sequence[int]) -> Iterator[range]:
    """Runs of the ascending lengths, each worth a reading of its own and with little padding."""
    start = 0
    for end in range(1, len(lengths) + 1):
        rows = end - start
        whole = sum(lengths[start:end])
        if end == len(lengths) or (
            whole >= MIN_PREFILL_TOKENS and lengths[end] * (rows + 1) > MAX_PADDING_RATIO * (whole + lengths[end])
        ):
            yield range(start, end)
            start = end


def prefixes_of(trainee: Trainee, prompts: Sequence[list[int]]) -> list[Prefix]:
    """What each prompt shares with enough others, read once for all of them."""
    found = [Prefix()] * len(prompts)
    for group in groups_of(prompts):
        shared = common_beginning([prompts[at] for at in group])
        prefix = Prefix(tuple(shared), prefill(trainee, [shared], Prefix()).cache) if shared else Prefix()
        for at in group:
            found[at] = prefix
    return found


def batch_size(trainee: Trainee) -> int:
    """Rows to decode together."""
    small = sum(map(torch.numel, trainee.model.parameters())) < SMALL_MODEL
    return SMALL_BATCH_SIZE if small and trainee.device == "cpu" else BATCH_SIZE


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
    size = batch_size(trainee)
    for start in range(0, len(order), size):
        batch = sorted(order[start : start + size], key=lambda at: (beginning(at), length(at)))
        groups = [list(group) for _, group in groupby(batch, beginning)]
        yield [
            (prefixes[group[0]], [group[row] for row in run])
            for group in groups
            for run in slices_of([length(at) for at in group])
        ]
