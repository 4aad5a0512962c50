"""A case's counted figures: FLOPs, parameters, bytes, and the speed of inference."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from bench.models import DECODER
from bench.records.work import utilisation_figures, works_of
from bench.worker.check import evidence
from bench.worker.check.read_back import lacks_room
from bench.worker.measure import flops, inference, parameters
from bench.worker.measure.memory import LiveStorages, quantisation_tensors
from bench.worker.setup import Setting
from bench.worker.train.backward import backward
from bench.worker.train.chunked_losses import CHUNKS, route
from bench.worker.train.optimizer import make_optimizer, make_scaler
from bench.worker.train.steps import Step, heaviest
from bench.worker.train.trainee import Trainee

SCALE = 2.0**10  # of a loss in float16, so that small gradients are not lost; torch's own begins where many overflow


def base_figures(setting: Setting, model: Any) -> dict[str, Any]:
    """FLOPs of the base's forward pass."""
    counts, reasons = flops.forward_counts(model, setting.entry, setting.recipe, setting.labels)
    setting.reasons += reasons
    return {"flops_counts": counts}


def exact_figures(
    setting: Setting, trainee: Trainee, steps: list[Step], forward: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, FLOPs and the bytes of one more step; evidence of that step's gradients and optimizer states).

    forward: base_figures of the same case.
    """
    model = trainee.model
    model.train()  # generating left it in evaluation
    step, gradients = step_figures(setting, trainee)
    exact = {
        **forward,
        **parameters.figures(model, setting.entry, setting.method, setting.recipe, setting.labels),
        **flops_figures(setting, model, steps, forward["flops_counts"]),
        "optimizer_steps": len(steps),
        "heaviest_batches": [asdict(extent) for extent in heaviest(setting.batching, steps)],
        "labels": setting.labels,
        **step,
    }
    return exact, gradients


def step_figures(setting: Setting, trainee: Trainee) -> tuple[dict[str, Any], dict[str, Any]]:
    """(bytes that tensors hold at rest and at the peak of one step at rate 0; evidence of gradients and states)."""
    model = trainee.model
    batch = setting.batching.one(setting.prepared.train[: setting.recipe.batch_size])
    with LiveStorages(device=setting.device) as storages:
        for tensor in (*model.parameters(), *model.buffers(), *quantisation_tensors(model)):
            storages.add(tensor.detach())
        resting = storages.live_bytes
        optimizer = make_optimizer(trainee)
        scaler = make_scaler(trainee, SCALE)
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # a whole step that leaves the weights as they are
        backward(trainee, [batch.to(setting.device)], scaler)
        gradients = evidence.gradient_evidence(model)
        if scaler:
            scaler.step(optimizer)
        else:
            optimizer.step()
        gradients |= evidence.optimizer_evidence(optimizer)
    model.zero_grad(set_to_none=True)
    found = {
        "resting_allocated_bytes": resting,
        "step_allocated_bytes": storages.peak_bytes,
        "step_shape": list(batch.input_ids.shape),
    }
    return found, gradients


def flops_figures(setting: Setting, model: Any, steps: list[Step], forward: list[dict[str, Any]]) -> dict[str, Any]:
    """FLOPs of a step at the counted shapes, with those of its forward pass, and of all steps at their own shapes."""
    recipe = setting.recipe
    again = recipe.loss == "chunked" and route(model.get_output_embeddings(), setting.device) == CHUNKS
    counts, added = flops.step_counts(model, setting.entry, setting.method, recipe, setting.labels, again)
    model_work, hardware_work = works_of(counts, added)
    shapes = shapes_of(setting, steps)
    return {
        "flops_counts": [one | two for one, two in zip(forward, counts, strict=True)],
        "added_positions": added,
        "training_model_flops": model_work.of_all(shapes),
        "training_hardware_flops": hardware_work.of_all(shapes),
    }


def shapes_of(setting: Setting, steps: list[Step]) -> list[tuple[int, int]]:
    """Rows and padded length of every batch of these steps."""
    extents = (setting.batching.extent(items) for step in steps for items in step.micro_batches)
    return [(extent.rows, extent.length) for extent in extents]


def rates_of_steps(setting: Setting, steps: list[Step], exact: dict[str, Any], noisy: dict[str, Any]) -> dict[str, Any]:
    """FLOP/s of the timed steps, from the shapes of their own batches, and the shares of the peak."""
    shapes = shapes_of(setting, steps[noisy["warm_up_steps"] :])
    seconds = sum(rows * length for rows, length in shapes) / noisy["padded_tokens_per_second"]
    model_work, hardware_work = works_of(exact["flops_counts"], exact["added_positions"])
    totals = model_work.of_all(shapes), hardware_work.of_all(shapes)
    card = "" if setting.device == "cpu" else torch.cuda.get_device_name(setting.device)
    return utilisation_figures(*totals, seconds, card, setting.recipe.precision)


def inference_figures(setting: Setting, model: Any, make_base: Callable[[], Any]) -> dict[str, Any]:
    """Seconds per generated token with and without the adapter; for variants only, because it holds three models."""
    method = setting.method
    if not setting.task.variant_of or setting.entry.kind != DECODER or not method.mergeable or method.quantised:
        return {}
    if lacking := lacks_room(2 * parameters.held_bytes(model), setting.device):
        setting.reasons.append(f"inference was not timed: base and merged model take at least {lacking}")
        return {}
    prompt = setting.prepared.held_out[0].input_ids[: inference.PROMPT_TOKENS]
    ids = torch.tensor([prompt], device=setting.device) % setting.batching.vocabulary
    return {"inference": inference.timings(model, make_base, ids, setting.recipe, setting.device)}
