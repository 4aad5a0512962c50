"""Evidence that a trained layer adds what its method's paper says: the formula of the raw tensors and the recipe.

A library may scale by another factor, and training then only ends a little worse. Here the factor is read off: what a
layer adds to its base's output, over what the formula gives.
"""

from typing import Any

import torch
from torch import Tensor

from bench.core.recipe import Recipe
from bench.methods import Method
from bench.methods.tolerances import formula_tolerance
from bench.worker.check.adapted import at_work, inputs_of, one_of_each_kind
from bench.worker.check.evidence import Probe


def formula_evidence(model: Any, method: Method, recipe: Recipe, probe: Probe) -> dict[str, Any]:
    """Of the layer that exceeds its formula_tolerance the most: its name, distance, scale, and the share of its update.

    {} for a method without a formula. The distance is ||seen - expected|| over the larger of both norms, the share
    ||update|| over ||base's output||. The scale is the paper's times the factor that fits best; without a scale the
    factor alone.
    """
    if method.formula is None:
        return {}
    model.eval()  # dropout is no part of the formula
    layers = one_of_each_kind(model)
    read = inputs_of(layers, lambda: probe(model))
    expected_scale = method.scale.of(recipe) if method.scale else 1.0
    found = []
    for name, layer in layers.items():
        seen, adapted = at_work(layer, read[name])
        expected = method.formula(adapted, expected_scale)
        distance, factor, share = compared(seen - adapted.base_outputs, expected, adapted.base_outputs)
        allowed = formula_tolerance(recipe.adapter_precision, share)
        found.append((excess(distance, allowed), name, distance, factor, share))
    _, layer_name, distance, factor, share = max(found)
    return {
        "formula_layer": layer_name,
        "formula_layers": len(found),
        "formula_distance": distance,
        "formula_share": share,
        "formula_scale": factor * expected_scale,
        "formula_scale_expected": expected_scale,
    }


@torch.no_grad()
def compared(seen: Tensor, expected: Tensor, base: Tensor) -> tuple[float, float, float]:
    """(relative distance, best factor, share of the base's output); (0, 1, 0) where neither adds anything."""
    norms = [float(torch.linalg.norm(tensor)) for tensor in (seen, expected, base)]
    largest = max(norms[:2])
    if largest == 0:
        return 0.0, 1.0, 0.0
    factor = float((seen * expected).sum()) / norms[1] ** 2 if norms[1] else 0.0
    return float(torch.linalg.norm(seen - expected)) / largest, factor, largest / norms[2]


def excess(distance: float, allowed: float) -> float:
    """How many times the allowed distance a layer is from its formula; 0 for a layer to which nothing is added."""
    return distance / allowed if allowed else 0.0
