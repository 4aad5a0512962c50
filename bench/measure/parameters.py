"""Parameters: counted in the model, and by the method's formula from the architecture's numbers alone."""

from typing import Any

from bench.methods import ALL, HEAD, Method
from bench.models import ENCODER, ModelEntry
from bench.models.shapes import head_parameters, targeted, total_parameters
from bench.recipe import Recipe


def elements(parameter: Any) -> int:
    """Weights a parameter stands for: two in each byte of bitsandbytes' packed 4-bit storage."""
    if type(parameter).__name__ == "Params4bit" and parameter.quant_state is not None:
        return parameter.quant_state.shape.numel()
    return parameter.numel()


def held_bytes(model: Any) -> int:
    """Bytes of all parameters as they are stored."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def counted(model: Any) -> dict[str, int]:
    """trainable and total parameters as torch holds them."""
    parameters = list(model.parameters())
    return {
        "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "total_parameters": sum(elements(p) for p in parameters),
    }


def formula(entry: ModelEntry, method: Method, recipe: Recipe, labels: int) -> int:
    """Trainable parameters by the method's formula; an encoder's new classifier trains with every method."""
    if method.trains == ALL:
        return total_parameters(entry, labels)
    if method.trains == HEAD:
        return head_parameters(entry, labels)
    own = method.count(targeted(entry, method.targets(entry)), entry, recipe)
    return own + (head_parameters(entry, labels) if entry.kind == ENCODER else 0)


def figures(model: Any, entry: ModelEntry, method: Method, recipe: Recipe, labels: int) -> dict[str, Any]:
    """What is counted beside what the formula gives."""
    return {**counted(model), "trainable_parameters_formula": formula(entry, method, recipe, labels)}
