"""Evidence from a base that is built again: its start by seed, two adapters on it, and merging into packed weights.

What changes a model beyond repair is tried on such a base, and never on the one that was trained. It is built up to
three times, so only where models.shapes.is_rebuilt_at_once says so.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.methods import Attach, Method
from bench.models import ModelEntry
from bench.worker.build.adapter import attach, configuration
from bench.worker.check.adapted import ADAPTER
from bench.worker.check.evidence import Probe, distance
from bench.worker.check.fingerprint import fingerprint
from bench.worker.check.merging import packed_merge_evidence
from bench.worker.train.trainee import Trainee

SECOND = "second"
VISIBLE = 0.1  # deviation of the values that adapters are given: an update about as large as W


def rebuilt_evidence(
    trainee: Trainee, entry: ModelEntry, steps: int, make_base: Callable[[], Any], started: dict[str, int], probe: Probe
) -> dict[str, Any]:
    """All evidence of this module. started: hashes of what trains, as the case's own adapter began."""
    method, recipe, seed = trainee.method, trainee.recipe, trainee.seed

    def attached(seed: int) -> Any:
        return attach(make_base(), entry, method, recipe, steps, seed)

    again = attached(seed)
    found: dict[str, Any] = {"same_seed_changed": differing(started, again)}
    if not method.is_adapter:
        return found
    found["other_seed_changed"] = differing(started, attached(seed + 1))
    if not method.alone:
        found |= switching_evidence(again, method, Attach(entry, recipe, steps), probe)
    if method.adds_up(entry):
        found |= sum_evidence(again, probe)
    if method.mergeable and method.quantised:
        packed = attached(seed)
        fill(packed, method, ADAPTER)
        found |= packed_merge_evidence(packed, method, recipe)
    return found


def differing(started: Mapping[str, int], model: Any) -> int:
    """How many of the tensors that train have other values than at the case's start, or other names."""
    now = fingerprint(model, trained=True)
    return sum(started.get(name) != now.get(name) for name in started.keys() | now.keys())


@torch.no_grad()
def fill(model: Any, method: Method, adapter: str) -> None:
    """Add values to what trains of the adapter, so that it acts; two adapters get different ones."""
    generator = torch.Generator().manual_seed(len(adapter))
    for name, parameter in model.named_parameters():
        if adapter in name.split(".") and not any(part in name for part in method.frozen_parts):
            added = torch.randn(parameter.shape, generator=generator) * VISIBLE
            parameter.add_(added.to(parameter.device, parameter.dtype))


def switching_evidence(model: Any, method: Method, attaching: Attach, probe: Probe) -> dict[str, Any]:
    """How far the first adapter's logits are from what they were, after a second one was attached, used and left."""
    fill(model, method, ADAPTER)
    alone = probe(model)
    model.add_adapter(SECOND, configuration(method, attaching))
    fill(model, method, SECOND)
    model.set_adapter(SECOND)
    other = probe(model)
    model.set_adapter(ADAPTER)
    return {
        "switching_distance": distance(probe(model), alone),
        "second_adapter_acts": not torch.equal(other, alone),
    }


def sum_evidence(model: Any, probe: Probe) -> dict[str, Any]:
    """How far two adapters merged are from the same two active, and whether both acted. The model stays merged."""
    alone = probe(model)
    model.base_model.set_adapter([ADAPTER, SECOND])
    active: Tensor = probe(model)
    model.merge_adapter(adapter_names=[ADAPTER, SECOND])
    return {
        "two_merged_distance": distance(probe(model), active),
        "both_adapters_act": not torch.equal(active, alone),
    }
