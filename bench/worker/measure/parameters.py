"""Parameters and bytes counted in the model, next to what the method's formula gives."""

from typing import Any

from bench.core.recipe import Recipe
from bench.methods import ADAPTER, Method
from bench.methods.parameters import formula
from bench.models import ModelEntry


def elements(parameter: Any) -> int:
    """Weights a parameter stands for: two in each byte of bitsandbytes' packed 4-bit storage."""
    if type(parameter).__name__ == "Params4bit" and parameter.quant_state is not None:
        return parameter.quant_state.shape.numel()
    return parameter.numel()


def held_bytes(model: Any) -> int:
    """Bytes of all parameters as they are stored."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def count_parameters(model: Any) -> dict[str, int]:
    """trainable and total parameters as torch holds them."""
    parameters = list(model.parameters())
    return {
        "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "total_parameters": sum(elements(p) for p in parameters),
    }


def figures(model: Any, entry: ModelEntry, method: Method, recipe: Recipe, labels: int) -> dict[str, int]:
    """The counts in the model, with the formula's if the method has one."""
    if method.trains == ADAPTER and method.count is None:
        return count_parameters(model)
    return {**count_parameters(model), "trainable_parameters_formula": formula(entry, method, recipe, labels)}
