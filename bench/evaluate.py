"""Evaluation: what the model says of every held-out example, one outcome each, without padding's influence."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.batches import Batch
from bench.chunks import chunked_token_losses
from bench.lean import bare_head
from bench.losses import token_losses
from bench.models import DECODER
from bench.precision import autocast
from bench.tasks import Example
from bench.train import Trainee

NEW_TOKENS = 32  # of a generated answer


@torch.no_grad()
def outcomes(trainee: Trainee, examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Per example: loss (nats, summed), tokens (scored), predicted (class of each) and how many are correct."""
    trainee.model.eval()
    results: list[dict[str, Any]] = [{} for _ in examples]
    for indices, batch in trainee.batching.evaluation(examples):
        moved = batch.to(trainee.device)
        losses, predicted, counted = batch_outcomes(trainee, moved)
        target = moved.labels[:, 1:] if trainee.batching.shifted else moved.labels
        right = (predicted == target) & counted
        for row, index in enumerate(indices):
            results[index] = {
                "loss": float(losses[row].sum()),
                "tokens": int(counted[row].sum()),
                "correct": int(right[row].sum()),
            }
            if not trainee.batching.shifted:
                results[index]["predicted"] = predicted[row][counted[row]].tolist()
    return results


def batch_outcomes(trainee: Trainee, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """losses.token_losses of the batch, by way of all logits or a chunk at a time, as the recipe has it."""
    recipe, shifted = trainee.recipe, trainee.batching.shifted
    with autocast(recipe, trainee.device):
        if recipe.loss == "logits":
            logits = trainee.model(**batch.inputs()).logits
        else:
            with bare_head(trainee.model) as head:
                hidden = trainee.model(**batch.inputs()).logits
            return chunked_token_losses(head, hidden, batch.labels, shifted, recipe.loss_chunk_tokens)
    return token_losses(logits, batch.labels, shifted)


@torch.no_grad()
def generate(trainee: Trainee, tokenizer: Any, examples: Sequence[Example], kind: str) -> list[str]:
    """Greedy answers to the examples' prompts; [] for an encoder.

    At most NEW_TOKENS each, and no more than the model has positions for.
    """
    if kind != DECODER or not examples:
        return []
    trainee.model.eval()
    prompts = [example.input_ids[: first_scored(example)] for example in examples]
    positions = trainee.model.config.max_position_embeddings - trainee.method.virtual_tokens(trainee.recipe)
    max_length = positions + 1  # of prompt and answer: the last token is never read
    # One at a time where an answer may be shorter than the others, and beside virtual tokens: peft 0.21 drops position
    # ids there, and padding then moves a prompt.
    together = trainee.method.packs and max(map(len, prompts)) + NEW_TOKENS <= max_length
    size = len(prompts) if together else 1
    groups = [prompts[start : start + size] for start in range(0, len(prompts), size)]
    return [answer for group in groups for answer in answers(trainee, tokenizer, group, max_length)]


def answers(trainee: Trainee, tokenizer: Any, prompts: Sequence[list[int]], max_length: int) -> list[str]:
    """The continuation of each prompt, all in one batch; max_length: tokens of a prompt and its answer."""
    end = tokenizer.eos_token_id % trainee.batching.vocabulary
    said = continuations(trainee, prompts, min(NEW_TOKENS, max_length - max(map(len, prompts))), end)
    return [tokenizer.decode(tokens, skip_special_tokens=True).strip() for tokens in said]


def continuations(trainee: Trainee, prompts: Sequence[list[int]], new_tokens: int, end: int) -> list[list[int]]:
    """Each prompt's new tokens, all in one batch. The token that ends an answer is its last."""
    longest = max(map(len, prompts))
    pad = trainee.batching.pad % trainee.batching.vocabulary
    ids = torch.full((len(prompts), longest), pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):  # padded on the left: generation goes on at the right
        ids[row, longest - len(prompt) :] = torch.tensor(prompt) % trainee.batching.vocabulary
        mask[row, longest - len(prompt) :] = 1
    with autocast(trainee.recipe, trainee.device):
        answered = trainee.model.generate(
            input_ids=ids.to(trainee.device),
            attention_mask=mask.to(trainee.device),
            max_new_tokens=new_tokens,
            do_sample=False,
            use_cache=True,
            pad_token_id=pad,
            eos_token_id=end,
        )
    new = [row[longest:].tolist() for row in answered]
    return [tokens[: tokens.index(end) + 1] if end in tokens else tokens for tokens in new]


def first_scored(example: Example) -> int:
    """Where the response begins."""
    return next(index for index, label in enumerate(example.labels) if label != -100)
