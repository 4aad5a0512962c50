"""The number of parameters that a method trains, by its formula, from the architecture's numbers alone."""

from bench.core.recipe import Recipe
from bench.methods import ALL, HEAD, Method, Unsupported
from bench.models import ENCODER, ModelEntry
from bench.models.shapes import head_parameters, target_layers, total_parameters


def formula(entry: ModelEntry, method: Method, recipe: Recipe, labels: int) -> int:
    """Trainable parameters by the method's formula; an encoder's new classifier trains with every method.

    Raises Unsupported for a method without a formula.
    """
    if method.trains == ALL:
        return total_parameters(entry, labels)
    if method.trains == HEAD:
        return head_parameters(entry, labels)
    if method.count is None:
        raise Unsupported(f"{method.name} states no formula of its parameters; give it count=")
    own = method.count(target_layers(entry, method.targets(entry)), entry, recipe)
    return own + (head_parameters(entry, labels) if entry.kind == ENCODER else 0)
