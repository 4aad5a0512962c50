"""A case's figures that are counted and not trained for: FLOPs, parameters, bytes, and the speed of inference."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from bench import evidence, train
from bench.measure import flops, inference, parameters
from bench.measure.energy import utilisation
from bench.measure.memory import LiveStorages, quantisation_tensors
from bench.models import DECODER
from bench.setting import Setting

SCALE = 2.0**10  # of a loss in float16, so that small gradients are not lost; torch's own begins where many overflow


def base_figures(setting: Setting, model: Any) -> dict[str, Any]:
    """FLOPs of the base's forward pass."""
    found, reasons = flops.forward_figures(model, setting.entry, setting.method, setting.recipe, setting.labels)
    setting.reasons += reasons
    return found


def exact_figures(
    setting: Setting, trainee: train.Trainee, found: dict[str, Any], seen: dict[str, Any]
) -> dict[str, Any]:
    """Parameters, FLOPs, and on CPU the bytes tensors hold at the peak of a training step."""
    model = trainee.model
    model.train()  # generating left it in evaluation
    found |= parameters.figures(model, setting.entry, setting.method, setting.recipe, setting.labels)
    found |= flops.step_figures(model, setting.entry, setting.method, setting.recipe, setting.labels)
    steps = train.plan_steps(setting.batching, setting.prepared.train, setting.case.seed)
    found["optimizer_steps"] = len(steps)
    found["heaviest_batches"] = [asdict(extent) for extent in train.heaviest(setting.batching, steps)]
    found["labels"] = setting.labels
    batch = setting.batching.one(setting.prepared.train[: setting.recipe.batch_size])
    with LiveStorages(device=setting.device) as storages:
        for tensor in (*model.parameters(), *model.buffers(), *quantisation_tensors(model)):
            storages.add(tensor.detach())
        found["resting_allocated_bytes"] = storages.live_bytes
        optimizer = train.make_optimizer(trainee)
        scaler = train.make_scaler(trainee, SCALE)
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # a whole step that leaves the weights as they are
        train.backward(trainee, [batch.to(setting.device)], scaler)
        seen |= evidence.gradient_evidence(model)
        if scaler:
            scaler.step(optimizer)
        else:
            optimizer.step()
    found["step_allocated_bytes"] = storages.peak_bytes
    found["step_shape"] = list(batch.input_ids.shape)
    model.zero_grad(set_to_none=True)
    return found


def achieved(setting: Setting, exact: dict[str, Any], noisy: dict[str, Any]) -> dict[str, Any]:
    """FLOP/s of training, from the counted step and the padded tokens a second, and the share of the peak."""
    rows, length = exact["flops_shape"]
    rate = exact["step_flops"] / (rows * length) * noisy["padded_tokens_per_second"]
    return {"flops_per_second": rate, "utilisation": utilisation(rate, setting.device)}


def inference_figures(setting: Setting, model: Any, make_base: Callable[[], Any]) -> dict[str, Any]:
    """Seconds per generated token with and without the adapter: of a variant alone, for it takes three models."""
    method = setting.method
    if not setting.task.variant_of or setting.entry.kind != DECODER or not method.mergeable or method.quantised:
        return {}
    if lacking := evidence.lacks_room(2 * parameters.held_bytes(model), setting.device):
        setting.reasons.append(f"inference was not timed: base and merged model take at least {lacking}")
        return {}
    prompt = setting.prepared.held_out[0].input_ids[: inference.PROMPT_TOKENS]
    ids = torch.tensor([prompt], device=setting.device) % setting.batching.vocabulary
    return {"inference": inference.timings(model, make_base, ids, setting.recipe, setting.device)}
