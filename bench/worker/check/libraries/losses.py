"""The loss that a model computes from labels, compared with the loss that lorabench trains by."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.methods import METHODS
from bench.worker.check.libraries.subjects import (
    RANK,
    adapted,
    batching_of,
    distance_of_all,
    examples_of,
    move_adapter,
    with_labels,
)
from bench.worker.check.looking import recipe_of
from bench.worker.train.backward import backward
from bench.worker.train.batches import Batch
from bench.worker.train.trainee import Trainee

WHOLE, IGNORED, PARTS = "whole", "ignored", "parts"  # the batches of a step
ROWS = 4
FULL = 16  # tokens of a row without padding, which rounds rows up to a multiple of 8


def batches_of(model: str, kind: str) -> list[Batch]:
    """The batches of one step.

    whole: one batch without padding, whose labels all count; ignored: one with padding and ignored labels; parts: the
    same examples, one at a time.
    """
    batching, examples = batching_of(model), examples_of(model, ROWS, ignored=kind != WHOLE)
    if kind == WHOLE:
        longest = max(examples, key=len)
        return [batching.one([replace(longest, input_ids=longest.input_ids[:FULL], labels=longest.labels[:FULL])])]
    return [batching.one([one]) for one in examples] if kind == PARTS else [batching.one(examples)]


def compare_losses(model: str, kind: str) -> dict[str, float]:
    """The model's own mean loss and ours over the same step, and the distance of their gradients."""
    batches = batches_of(model, kind)
    built = adapted(model)
    move_adapter(built)
    recipe = recipe_of(RANK)
    ours = backward(Trainee(built, METHODS["lora"], recipe, batching_of(model), "cpu"), batches)
    expected = take_gradients(built)
    theirs = own_loss(built, batches)
    return {"theirs": theirs, "ours": ours, "gradient_distance": distance_of_all(take_gradients(built), expected)}


def own_loss(model: Any, batches: Sequence[Batch]) -> float:
    """The loss of model(labels=...) over the batches, and its gradients.

    Of several batches each is divided by num_items_in_batch, the labels of all, as transformers.Trainer does.
    """
    count = {"num_items_in_batch": sum(batch.scored for batch in batches)} if len(batches) > 1 else {}
    total = 0.0
    for batch in batches:
        loss = model(**with_labels(batch), **count).loss
        loss.backward()
        total += float(loss.detach())
    return total


def take_gradients(model: Any) -> dict[str, Any]:
    """The gradients of all that trains, which are cleared."""
    found = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    model.zero_grad(set_to_none=True)
    return found
