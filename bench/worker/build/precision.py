"""The number formats of a case: what products are computed in, and what weights are kept in."""

import contextlib

import torch

from bench.core.recipe import Recipe
from bench.methods import ADAPTER, Method


def compute_dtype(recipe: Recipe) -> torch.dtype:
    return getattr(torch, recipe.precision)


def adapter_dtype(recipe: Recipe) -> torch.dtype:
    """What weights that train are kept in."""
    return getattr(torch, recipe.adapter_precision)


def storage_dtype(method: Method, recipe: Recipe) -> torch.dtype:
    """What unquantised weights are kept in: a model that trains itself in float32, a base in what it computes in.

    Below a head that trains it is float32 too: a tied head is the embedding, and GPT-2's norms in bfloat16
    refuse what an embedding in float32 gives.
    """
    return compute_dtype(recipe) if method.trains == ADAPTER else torch.float32


def autocast_dtype(recipe: Recipe) -> torch.dtype | None:
    """What matrix products of float32 are computed in instead; None where that is float32 too."""
    return None if recipe.precision == "float32" else compute_dtype(recipe)


def autocast(recipe: Recipe, device: str) -> contextlib.AbstractContextManager:
    """Matrix products in the recipe's precision, sums and norms in float32."""
    dtype = autocast_dtype(recipe)
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.split(":")[0], dtype=dtype)
