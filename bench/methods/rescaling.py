"""Methods that train vectors: IA3 rescales activations, VeRA rescales shared random matrices."""

from typing import Any

from bench.core.recipe import Recipe
from bench.methods import METHODS, Attach, Method
from bench.methods.formulas import rescaled_update, shared_matrices_update
from bench.methods.targets import all_linear, keys_values_feedforward
from bench.models import ModelEntry
from bench.models.families import Linear
from bench.models.shapes import selects

VERA_RANK_FACTOR = 16  # VeRA's vectors are so small that its paper uses ranks of 256 and more


def one_vector(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """One factor for each output, or for each input of a feed-forward layer."""
    inner = model.family.feedforward
    return sum(
        layer.inputs if any(selects(target, layer.name) for target in inner) else layer.outputs for layer in layers
    )


def two_vectors(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """One factor for each output and one for each shared rank."""
    return sum(layer.outputs + vera_rank(recipe) for layer in layers)


def vera_rank(recipe: Recipe) -> int:
    return VERA_RANK_FACTOR * recipe.rank


@METHODS.add(
    "ia3",
    Method,
    paper="arXiv:2205.05638",
    count=one_vector,
    targets=keys_values_feedforward,
    formula=rescaled_update,
    random_start=False,
    no_closed_form="IA3 has no thin products",
)
def ia3(attach: Attach) -> Any:
    """Rescale keys, values and the feed-forward input: one vector a layer."""
    from peft import IA3Config

    return IA3Config(
        task_type=attach.peft_task,
        target_modules=list(keys_values_feedforward(attach.model)),
        feedforward_modules=list(attach.model.family.feedforward),
        fan_in_fan_out=attach.model.family.transposed,
    )


@METHODS.add(
    "vera",
    Method,
    paper="arXiv:2310.11454",
    count=two_vectors,
    targets=all_linear,
    adapter_dropout=True,
    formula=shared_matrices_update,
    random_start=False,  # its frozen matrices have a seed of their own
    stores_more="VeRA's file holds its frozen random matrices too",
    no_closed_form="VeRA's shared matrices are scaled anew in each layer",
)
def vera(attach: Attach) -> Any:
    """One pair of frozen random matrices for all layers, rescaled by two trained vectors in each."""
    from peft import VeraConfig

    return VeraConfig(
        task_type=attach.peft_task,
        r=vera_rank(attach.recipe),
        vera_dropout=attach.recipe.dropout,
        target_modules=list(all_linear(attach.model)),
        fan_in_fan_out=attach.model.family.transposed,
    )
