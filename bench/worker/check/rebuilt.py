"""Evidence from a base that is built again: its start by seed, two adapters on it, and merging into packed weights.

What changes a model beyond repair is tried on such a base, and never on the one that was trained. It is built up to
three times, so only where models.shapes.is_rebuilt_at_once says so.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.methods import ADAPTER_NAME, Attach, Method
from bench.models import ModelEntry
from bench.worker.build.adapter import attach, configuration
from bench.worker.check.evidence import Probe, distance
from bench.worker.check.fingerprint import fingerprint
from bench.worker.check.merging import packed_merge_evidence
from bench.worker.train.trainee import Trainee

SECOND = "second"
FIRST_SEED, SECOND_SEED = 7, 8  # of the values that adapters are given
VISIBLE = 0.1  # standard deviation of these values: an update about as large as W


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
        found |= switching_evidence(again, method, Attach(entry, recipe, steps, seed), probe)
    if method.adds_up(entry):
        found |= sum_evidence(again, probe)
    if method.mergeable and method.quantised and method.formula:
        packed = attached(seed)
        fill(packed, method, ADAPTER_NAME, FIRST_SEED)
        found |= packed_merge_evidence(packed, method, recipe)
    return found


def differing(started: Mapping[str, int], model: Any) -> int:
    """How many of the tensors that train have other values than at the case's start, or other names."""
    now = fingerprint(model, trained=True)
    return sum(started.get(name) != now.get(name) for name in started.keys() | now.keys())


@torch.no_grad()
def fill(model: Any, method: Method, adapter: str, seed: int) -> None:
    """Add random values to what trains of the adapter, so that it acts; another seed gives other values."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if adapter in name.split(".") and not any(part in name for part in method.frozen_parts):
            added = torch.randn(parameter.shape, generator=generator) * VISIBLE
            parameter.add_(added.to(parameter.device, parameter.dtype))


def switching_evidence(model: Any, method: Method, attaching: Attach, probe: Probe) -> dict[str, Any]:
    """How far the first adapter's logits are from what they were, after a second one was attached, used and left.

    Whether the second one acts is seen in what the output layer reads: an encoder's new head is switched by itself, and
    changes the logits even where no adapted layer is switched.
    """
    fill(model, method, ADAPTER_NAME, FIRST_SEED)
    alone, alone_hidden = probe(model), probe.head_inputs(model)
    model.add_adapter(SECOND, configuration(method, attaching))
    fill(model, method, SECOND, SECOND_SEED)
    model.set_adapter(SECOND)
    other_hidden = probe.head_inputs(model)
    model.set_adapter(ADAPTER_NAME)
    return {
        "switching_distance": distance(probe(model), alone),
        "second_adapter_acts": not torch.equal(other_hidden, alone_hidden),
    }


def sum_evidence(model: Any, probe: Probe) -> dict[str, Any]:
    """How far two adapters merged are from the same two active, and whether both acted. The model stays merged.

    In float32: the filled adapters sum to larger updates than training makes, which 16 bits round more coarsely.
    """
    model.float()
    probe = probe.in_float32()
    alone = probe(model)
    model.base_model.set_adapter([ADAPTER_NAME, SECOND])
    active: Tensor = probe(model)
    model.merge_adapter(adapter_names=[ADAPTER_NAME, SECOND])
    return {
        "two_merged_distance": distance(probe(model), active),
        "both_adapters_act": not torch.equal(active, alone),
    }
