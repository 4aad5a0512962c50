"""Greedy generation by transformers' own generate."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.models import DECODER
from bench.tasks import IGNORE, Example
from bench.worker.build.precision import autocast
from bench.worker.train.trainee import Trainee

NEW_TOKENS = 32  # of a generated answer


@torch.no_grad()
def generate(trainee: Trainee, tokenizer: Any, examples: Sequence[Example], kind: str) -> list[str]:
    """Greedy answers to the examples' prompts; [] for an encoder.

    At most NEW_TOKENS each, and no more than the model has positions for.
    """
    if kind != DECODER or not examples:
        return []
    trainee.model.eval()
    prompts = [example.input_ids[: first_scored(example)] for example in examples]
    max_length = longest(trainee)
    # One at a time where an answer may be shorter than the others, and beside virtual tokens: peft 0.21 drops position
    # ids there, and padding then moves a prompt.
    together = trainee.method.packs and max(map(len, prompts)) + NEW_TOKENS <= max_length
    size = len(prompts) if together else 1
    groups = [prompts[start : start + size] for start in range(0, len(prompts), size)]
    return [answer for group in groups for answer in answers(trainee, tokenizer, group, max_length)]


def longest(trainee: Trainee) -> int:
    """The most tokens of a prompt with its answer; the last one needs no position."""
    return trainee.model.config.max_position_embeddings - trainee.method.virtual_tokens(trainee.recipe) + 1


def answers(trainee: Trainee, tokenizer: Any, prompts: Sequence[list[int]], max_length: int) -> list[str]:
    """The continuation of each prompt, all in one batch; max_length: tokens of a prompt and its answer."""
    end = tokenizer.eos_token_id % trainee.batching.vocabulary
    said = continuations(trainee, prompts, min(NEW_TOKENS, max_length - max(map(len, prompts))), end)
    return [tokenizer.decode(tokens, skip_special_tokens=True).strip() for tokens in said]


def continuations(trainee: Trainee, prompts: Sequence[list[int]], new_tokens: int, end: int) -> list[list[int]]:
    """Each prompt's new tokens, all in one batch. The token that ends an answer is its last."""
    length = max(map(len, prompts))
    pad = trainee.batching.pad % trainee.batching.vocabulary
    ids = torch.full((len(prompts), length), pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):  # padded on the left: generation continues at the right
        ids[row, length - len(prompt) :] = torch.tensor(prompt) % trainee.batching.vocabulary
        mask[row, length - len(prompt) :] = 1
    answered = greedy(trainee, ids, mask, new_tokens, pad_token_id=pad, eos_token_id=end)
    new = [row[length:].tolist() for row in answered]
    return [tokens[: tokens.index(end) + 1] if end in tokens else tokens for tokens in new]


def greedy(trainee: Trainee, ids: Tensor, mask: Tensor, new_tokens: int, **options: Any) -> Any:
    """What transformers' generation gives of rows (rows, length), taking the likeliest token; options are its own."""
    with autocast(trainee.recipe, trainee.device):
        return trainee.model.generate(
            input_ids=ids.to(trainee.device),
            attention_mask=mask.to(trainee.device),
            max_new_tokens=new_tokens,
            do_sample=False,
            use_cache=True,
            **options,
        )


def first_scored(example: Example) -> int:
    """Where the response begins."""
    return next(index for index, label in enumerate(example.labels) if label != IGNORE)
