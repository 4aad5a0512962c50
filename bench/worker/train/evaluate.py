"""Evaluation: one outcome for every held-out example, which padding does not change."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.tasks import Example
from bench.worker.build.precision import autocast
from bench.worker.train.batches import Batch
from bench.worker.train.chunked_losses import bare_head, chunked_token_losses
from bench.worker.train.losses import token_losses
from bench.worker.train.trainee import Trainee


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
    """losses.token_losses of the batch, from all logits or in chunks, as the recipe says."""
    recipe, shifted = trainee.recipe, trainee.batching.shifted
    with autocast(recipe, trainee.device):
        if recipe.loss == "logits":
            logits = trainee.model(**batch.inputs()).logits
        else:
            with bare_head(trainee.model) as head:
                hidden = trainee.model(**batch.inputs()).logits
            return chunked_token_losses(head, hidden, batch.labels, shifted, recipe.loss_chunk_tokens)
    return token_losses(logits, batch.labels, shifted)
