"""Training weights of the model itself: all of them, or the output layer alone."""

from bench.core.recipe import Recipe
from bench.methods import ALL, HEAD, METHODS, Attach, Method
from bench.methods.targets import nothing
from bench.models import ModelEntry
from bench.models.families import Linear
from bench.models.shapes import stack_parameters


def everything(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """All parameters of the stack, without the head."""
    return stack_parameters(model)


def no_more(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    return 0


@METHODS.add("full", Method, paper="", trains=ALL, count=everything, targets=nothing, keeps_base=False, mergeable=False)
def full(attach: Attach) -> None:
    """Every weight trains."""


@METHODS.add("head", Method, paper="", trains=HEAD, count=no_more, targets=nothing, keeps_base=False, mergeable=False)
def head(attach: Attach) -> None:
    """The output layer alone trains; a decoder's tied one is its input embedding too."""
