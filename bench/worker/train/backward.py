"""The backward pass of one step.

The mean of a step is over its labels, not over its micro-batches, so gradient accumulation gives the
gradient of the large batch exactly, padding or not.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import torch

from bench.worker.build.precision import autocast
from bench.worker.train.batches import Batch
from bench.worker.train.chunked_losses import bare_head, chunked_loss, route
from bench.worker.train.losses import summed_loss
from bench.worker.train.offload import checkpoints_on_host
from bench.worker.train.trainee import Trainee


def backward(trainee: Trainee, batches: Sequence[Batch], scaler: Any = None) -> float:
    """Gradients of the step's mean loss over all labels of its batches. Returns that mean in nats."""
    scored = sum(batch.scored for batch in batches)
    total = torch.zeros((), device=trainee.device)
    for number, batch in enumerate(batches):
        total += backward_of_one(trainee, batch, scored, scaler, penalised=number == 0)
    return float(total)


def backward_of_one(
    trainee: Trainee, batch: Batch, scored: int, scaler: Any = None, penalised: bool = True
) -> torch.Tensor:
    """Gradients of a batch's part of the loss of a step of so many labels, and of the method's penalty.

    Returns the part in nats, detached.
    """
    with autocast(trainee.recipe, trainee.device), kept_for_backward(trainee):
        loss = batch_loss(trainee, batch) / scored
        part = loss.detach()
        if trainee.method.penalty and penalised:
            loss = loss + trainee.method.penalty(trainee.model)
    (scaler.scale(loss) if scaler else loss).backward()
    return part


def kept_for_backward(trainee: Trainee) -> contextlib.AbstractContextManager:
    """A context that keeps checkpoints in host memory if the recipe asks for it; a processor's are there anyway."""
    recipe = trainee.recipe
    offload = recipe.gradient_checkpointing and recipe.offload_checkpoints and trainee.device != "cpu"
    return checkpoints_on_host() if offload else contextlib.nullcontext()


def batch_loss(trainee: Trainee, batch: Batch) -> torch.Tensor:
    """The loss summed over the batch's labels, from all logits or in chunks, as the recipe says.

    All logits are freed when it returns; an 8B model's take a gigabyte.
    """
    shifted = trainee.batching.shifted
    if trainee.recipe.loss == "logits":
        return summed_loss(trainee.model(**batch.inputs()).logits, batch.labels, shifted)
    with bare_head(trainee.model) as head:
        hidden = trainee.model(**batch.inputs()).logits
    by = route(head, trainee.device)
    return chunked_loss(head, hidden, batch.labels, shifted, trainee.recipe.loss_chunk_tokens, by)
