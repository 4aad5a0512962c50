"""What all looks share: their registry, the recipe and the seed of the tiny model, and its adapted layers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.core.paths import RECIPES
from bench.core.recipe import Recipe
from bench.recipes.files import read_defaults
from bench.sources import Weights

NOTHING = Weights(None, "synthetic", "", "synthetic")
TINY = "tiny_llama"
STEPS = 12  # of training a tiny model: enough for AdaLoRA to prune
SEED = 0
LOOKS: dict[str, Callable[..., Any]] = {}


def look(function: Callable[..., Any]) -> Callable[..., Any]:
    LOOKS[function.__name__] = function
    return function


def recipe_of(rank: int) -> Recipe:
    return replace(read_defaults(RECIPES)[0], rank=rank, initial_rank=2 * rank, precision="float32", max_length=32)


def adapted_layer(model: Any) -> Any:
    """The first layer that carries an adapter."""
    return adapted_layers(model)[0]


def adapted_layers(model: Any) -> list[Any]:
    """All layers that carry an adapter, in order; at least one."""
    found = [module for module in model.modules() if hasattr(module, "lora_A") and len(module.lora_A)]
    if not found:
        raise ValueError("no layer with a LoRA adapter; the look is of LoRA and what is built like it")
    return found
