"""Formulas of what an adapter adds to a layer's output, from its raw tensors and the recipe, as the papers state them.

A library computes the same in its own way, with its own idea of the scale. A check compares the two.

Shapes: x is (..., inputs), W (outputs, inputs), A (rank, inputs), B (outputs, rank). Rounding is that of float32.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.core.recipe import Recipe


@dataclass(frozen=True)
class Scale:
    """The factor of B A x: in words, and of a recipe."""

    says: str
    of: Callable[[Recipe], float]


ALPHA_OVER_RANK = Scale("alpha / rank", lambda recipe: recipe.alpha / recipe.rank)
ALPHA_OVER_ROOT = Scale("alpha / sqrt(rank)", lambda recipe: recipe.alpha / math.sqrt(recipe.rank))
ALPHA_OVER_INITIAL_RANK = Scale("alpha / initial_rank", lambda recipe: recipe.alpha / recipe.initial_rank)


@dataclass(frozen=True)
class AdaptedLayer:
    """One layer at work: x, what its base gives of x, its bias, and the adapter's tensors by peft's names.

    weight() is W; in 4 or 8 bits it is dequantised at each call.
    """

    inputs: Any
    base_outputs: Any
    bias: Any | None
    parts: Mapping[str, Any]
    weight: Callable[[], Any]


def low_rank_update(layer: AdaptedLayer, scale: float) -> Any:
    """s B A x (LoRA)."""
    return scale * (layer.inputs @ layer.parts["lora_A"].T @ layer.parts["lora_B"].T)


def magnitude_update(layer: AdaptedLayer, scale: float) -> Any:
    """m (W + s B A) x / ||W + s B A|| - W x, with the norm of each row, which is one output's (DoRA)."""
    added = low_rank_update(layer, scale)
    direction = layer.weight() + scale * layer.parts["lora_B"] @ layer.parts["lora_A"]
    ratio = layer.parts["lora_magnitude_vector"] / direction.norm(dim=1)
    plain = layer.base_outputs if layer.bias is None else layer.base_outputs - layer.bias
    return (ratio - 1) * plain + ratio * added


def singular_value_update(layer: AdaptedLayer, scale: float) -> Any:
    """s P diag(e) Q x (AdaLoRA); peft calls P lora_B, Q lora_A and e lora_E."""
    values = layer.parts["lora_E"].flatten()
    return scale * (layer.inputs @ layer.parts["lora_A"].T * values @ layer.parts["lora_B"].T)


def elementwise_update(layer: AdaptedLayer, scale: float) -> Any:
    """(W * B A) x, the product of W and B A element by element (HiRA)."""
    return layer.inputs @ (layer.weight() * (layer.parts["hira_B"] @ layer.parts["hira_A"])).T


def shared_matrices_update(layer: AdaptedLayer, scale: float) -> Any:
    """b * (B (d * (A x))): A and B are shared by all layers, of which each takes as much as it is wide (VeRA)."""
    parts = layer.parts
    inputs, outputs = layer.inputs.shape[-1], len(parts["vera_lambda_b"])
    low = layer.inputs @ parts["vera_A"][:, :inputs].T * parts["vera_lambda_d"]
    return low @ parts["vera_B"][:outputs].T * parts["vera_lambda_b"]


def rescaled_update(layer: AdaptedLayer, scale: float) -> Any:
    """(l - 1) * (W x + b), or W ((l - 1) * x) where the vector is a row and rescales the input (IA3)."""
    vector = layer.parts["ia3_l"]
    if vector.shape[0] == 1:
        return (layer.inputs * (vector[0] - 1)) @ layer.weight().T
    return layer.base_outputs * (vector[:, 0] - 1)
