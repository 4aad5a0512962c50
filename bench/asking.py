"""Asking probes, in the worker: greedy answers and log-probabilities of the choices from one reading of a prompt.

Prompts of one beginning (a chat template, the Alpaca prompt) share one reading of it; the rest is read in batches
of like length. The cache of keys and values that a prompt leaves serves the choices and the answer alike.
The choices' log-probabilities are in nats, summed over their tokens.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.evaluate import answers, outcomes
from bench.precision import autocast
from bench.probes import CHAT, Item
from bench.prompts import chat
from bench.tasks import Example
from bench.tasks.responses import starts_with_bos
from bench.train import Trainee

BATCH = 64  # prompts read together; more gains nothing on a processor
ALIKE = 8  # first tokens by which prompts are grouped
WORTH_SHARING = 8  # prompts; fewer go on faster among others than by themselves behind a beginning read once
PADDING = 0  # where a mask hides it, any id will do


@dataclass(frozen=True)
class Reply:
    """What a model said: its answer, and its log-probability of each choice."""

    text: str
    choice_nats: tuple[float, ...]

    def margin(self, item: Item) -> float | None:
        """How much likelier the right choice is than the likeliest other, in nats; None where none is compared."""
        if not item.choices:
            return None
        right = item.choices.index(item.answer)
        return self.choice_nats[right] - max(nats for at, nats in enumerate(self.choice_nats) if at != right)


def prompt_ids(item: Item, tokenizer: Any) -> list[int]:
    """The prompt as the model sees it. A chat template writes its own beginning of sequence."""
    templated = item.form == CHAT and tokenizer.chat_template
    text = chat(item.prompt, tokenizer) if templated else item.prompt
    first = [tokenizer.bos_token_id] if starts_with_bos(tokenizer) and not templated else []
    return first + tokenizer(text, add_special_tokens=False)["input_ids"]


def ask(trainee: Trainee, tokenizer: Any, items: Sequence[Item], new_tokens: int) -> list[Reply]:
    """Every item's reply, in the items' order."""
    trainee.model.eval()
    vocabulary = trainee.batching.vocabulary
    prompts = [[token % vocabulary for token in prompt_ids(item, tokenizer)] for item in items]
    choices = [
        [[token % vocabulary for token in tokenizer(choice, add_special_tokens=False)["input_ids"]]
         for choice in item.choices]
        for item in items
    ]  # fmt: skip
    if not trainee.method.packs:  # virtual tokens stand where the cache of a prompt would
        return [ask_alone(trainee, tokenizer, *one, new_tokens) for one in zip(prompts, choices, strict=True)]
    replies: dict[int, Reply] = {}
    for prefix, chosen in batches(trainee, prompts):
        batch = Reading(trainee, [prompts[at] for at in chosen], prefix)
        nats = batch.choice_nats([choices[at] for at in chosen])
        end = tokenizer.eos_token_id % vocabulary
        for at, said, told in zip(chosen, batch.greedy(new_tokens, end), nats, strict=True):
            replies[at] = Reply(tokenizer.decode(said, skip_special_tokens=True).strip(), told)
    return [replies[at] for at in range(len(items))]


@torch.no_grad()
def ask_alone(
    trainee: Trainee, tokenizer: Any, prompt: list[int], choices: Sequence[list[int]], new_tokens: int
) -> Reply:
    """One prompt's reply, read anew for every choice: peft's virtual tokens take no cache from outside."""
    nats = []
    for choice in choices:
        with autocast(trainee.recipe, trainee.device):
            logits = trainee.model(input_ids=torch.tensor([prompt + choice], device=trainee.device)).logits
        told = logits[0, -len(choice) - 1 : -1].float().log_softmax(-1)
        nats.append(float(told.gather(-1, torch.tensor(choice, device=told.device)[:, None]).sum()))
    return Reply(answers(trainee, tokenizer, [prompt], new_tokens)[0], tuple(nats))


def text_losses(trainee: Trainee, tokenizer: Any, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Each text's loss (nats, summed) and how many tokens it is over."""
    examples = []
    for number, text in enumerate(texts):
        first = [tokenizer.bos_token_id] if starts_with_bos(tokenizer) else []
        ids = first + tokenizer(text, add_special_tokens=False)["input_ids"]
        examples.append(Example(f"text-{number}", ids, ids))
    return [{name: found[name] for name in ("loss", "tokens")} for found in outcomes(trainee, examples)]


@dataclass(frozen=True)
class Prefix:
    """Tokens that a group of prompts begins with, and the cache they leave; none of a batch of one."""

    tokens: tuple[int, ...] = ()
    cache: Any = None

    def repeated(self, rows: int) -> Any:
        """The cache for so many prompts; the prefix's own stays as it is."""
        if self.cache is None:
            return None
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(rows)
        return cache


def batches(trainee: Trainee, prompts: Sequence[list[int]]) -> Iterator[tuple[Prefix, list[int]]]:
    """Indices of prompts of one beginning and of like length, with that beginning read once for all of them."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for at, prompt in enumerate(prompts):
        groups.setdefault(tuple(prompt[:ALIKE]), []).append(at)
    alone = [at for group in groups.values() if len(group) < WORTH_SHARING for at in group]
    for group in [*(group for group in groups.values() if len(group) >= WORTH_SHARING), alone]:
        shared = common_beginning([prompts[at] for at in group]) if group is not alone else []
        prefix = Prefix()
        if shared:
            read = Reading(trainee, [shared], prefix)
            prefix = Prefix(tuple(shared), read.cache)
        order = sorted(group, key=lambda at: len(prompts[at]))
        yield from ((prefix, order[start : start + BATCH]) for start in range(0, len(order), BATCH))


def common_beginning(prompts: Sequence[list[int]]) -> list[int]:
    """What all begin with, short of any whole prompt: its last token must still be read."""
    first, last = min(prompts), max(prompts)
    most = min(len(prompt) for prompt in prompts) - 1
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), most)
    return first[: min(same, most)]


class Reading:
    """A batch of prompts behind their prefix, read once. Padded between the two, so that all go on at the right."""

    def __init__(self, trainee: Trainee, prompts: Sequence[list[int]], prefix: Prefix) -> None:
        self.trainee = trainee
        begun = len(prefix.tokens)
        longest = max(map(len, prompts)) - begun
        ids = torch.full((len(prompts), longest), PADDING)
        self.mask = torch.zeros((len(prompts), begun + longest), dtype=torch.long)
        self.mask[:, :begun] = 1
        for row, prompt in enumerate(prompts):
            rest = prompt[begun:]
            ids[row, longest - len(rest) :] = torch.tensor(rest)
            self.mask[row, begun + longest - len(rest) :] = 1
        positions = (self.mask.cumsum(1) - 1).clamp(min=0)
        self.next_position = positions[:, -1:] + 1
        cache = prefix.repeated(len(prompts))
        self.logits, self.cache = self.forward(ids, self.mask, positions[:, begun:], cache)

    @torch.no_grad()
    def forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, kept: int = 1) -> tuple[Tensor, Any]:
        """Logits of the last kept positions (batch, kept, vocabulary) in float32, and the cache after ids."""
        device = self.trainee.device
        with autocast(self.trainee.recipe, device):
            found = self.trainee.model(
                input_ids=ids.to(device), attention_mask=mask.to(device), position_ids=positions.to(device),
                past_key_values=cache, use_cache=True, logits_to_keep=kept,
            )  # fmt: skip
        return found.logits.float().cpu(), found.past_key_values

    def choice_nats(self, choices: Sequence[Sequence[Sequence[int]]]) -> list[tuple[float, ...]]:
        """Each row's log-probability of each of its choices, given its prompt."""
        most = max(map(len, choices))
        found: list[list[float]] = [[] for _ in choices]
        for number in range(most):
            rows = [row[number] if number < len(row) else [PADDING] for row in choices]
            for row, nats in enumerate(self.continuation_nats(rows)):
                if number < len(choices[row]):
                    found[row].append(nats)
        return [tuple(row) for row in found]

    def continuation_nats(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """Log-probability of one continuation a row, the rows padded on the right."""
        longest = max(map(len, rows))
        ids, counted = torch.full((len(rows), longest), PADDING), torch.zeros(len(rows), longest)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            counted[row, : len(tokens)] = 1
        logits = self.logits
        if longest > 1:
            mask = torch.cat([self.mask, counted[:, :-1].long()], dim=1)
            positions = self.next_position + torch.arange(longest - 1)
            rest, _ = self.forward(ids[:, :-1], mask, positions, copy.deepcopy(self.cache), longest - 1)
            logits = torch.cat([logits, rest], dim=1)
        nats = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
        return (nats * counted).sum(1).tolist()

    def greedy(self, new_tokens: int, end: int) -> list[list[int]]:
        """The likeliest next token again and again, until the end token or new_tokens; uses the cache up."""
        logits, mask, positions = self.logits, self.mask, self.next_position
        said: list[list[int]] = [[] for _ in range(len(mask))]
        done = torch.zeros(len(mask), dtype=torch.bool)
        for number in range(new_tokens):
            tokens = logits[:, -1].argmax(-1)
            done |= tokens == end
            for row in (~done).nonzero()[:, 0].tolist():
                said[row].append(int(tokens[row]))
            if bool(done.all()) or number + 1 == new_tokens:
                break
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            logits, self.cache = self.forward(tokens[:, None], mask, positions, self.cache)
            positions = positions + 1
        return said
