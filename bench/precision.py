"""The number formats of a case: what products are computed in, and what weights are kept in."""

import contextlib

import torch

from bench.methods import ALL, Method
from bench.recipe import Recipe


def compute_dtype(recipe: Recipe) -> torch.dtype:
    return getattr(torch, recipe.precision)


def storage_dtype(method: Method, recipe: Recipe) -> torch.dtype:
    """What unquantised weights are kept in: what trains in float32, a frozen base in what it computes in."""
    return torch.float32 if method.trains == ALL else compute_dtype(recipe)


def autocast(recipe: Recipe, device: str) -> contextlib.AbstractContextManager:
    """Matrix products in the recipe's precision, sums and norms in float32."""
    if recipe.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.split(":")[0], dtype=compute_dtype(recipe))
