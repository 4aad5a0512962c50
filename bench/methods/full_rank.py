"""Methods whose update has a high rank from few numbers: SHiRA trains single weights, LoKr a Kronecker product,
RandLoRA factors of random matrices, rsDoRA a low-rank direction and a magnitude. All are adapters of peft.
"""

import math
from typing import Any

from bench.core.recipe import Recipe
from bench.methods import METHODS, Attach, Method
from bench.methods.blocks import no_conv1d
from bench.methods.formulas import (
    ALPHA_OVER_RANK,
    ALPHA_OVER_ROOT,
    Scale,
    kronecker_update,
    random_bases_update,
    sparse_update,
)
from bench.methods.lora import DORA, lora_config, low_rank
from bench.methods.targets import all_linear
from bench.models import ModelEntry
from bench.models.families import Linear

RANDLORA_RANK_FACTOR = 4  # a higher rank trains less; rank 8 becomes peft's default, 32
RANDLORA_ALPHA_FACTOR = 40  # alpha of 2 ranks becomes 20 of RandLoRA's, as its authors scale


def kronecker_factors(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """f_o f_i for W1, and for W2 the product of what is left of each side, or its low-rank parts if those are of a rank
    below half its larger side. f is the largest divisor up to a width's square root.
    """
    total = 0
    for layer in layers:
        rows, columns = largest_divisor(layer.outputs), largest_divisor(layer.inputs)
        high, wide = layer.outputs // rows, layer.inputs // columns
        low = recipe.rank < max(high, wide) / 2
        total += rows * columns + (recipe.rank * (high + wide) if low else high * wide)
    return total


def largest_divisor(width: int) -> int:
    """The largest divisor that is not above the square root."""
    return max(divisor for divisor in range(1, math.isqrt(width) + 1) if width % divisor == 0)


def scales_of_bases(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """bases (rank + smaller side) a layer, with as many bases as give full rank: smaller side / rank, rounded up."""
    rank = randlora_rank(recipe)
    sides = [min(layer.inputs, layer.outputs) for layer in layers]
    return sum(math.ceil(side / rank) * (rank + side) for side in sides)


def randlora_rank(recipe: Recipe) -> int:
    return RANDLORA_RANK_FACTOR * recipe.rank


RANDLORA_SCALE = Scale(
    f"{RANDLORA_ALPHA_FACTOR // RANDLORA_RANK_FACTOR} alpha / rank",
    lambda recipe: RANDLORA_ALPHA_FACTOR * recipe.alpha / randlora_rank(recipe),
)


def fewer_than_weights(layers: list[Linear], recipe: Recipe) -> str:
    """Why rank does not fit; empty if rank (inputs + outputs) is no more than each layer's weights."""
    for layer in layers:
        wanted, there = recipe.rank * (layer.inputs + layer.outputs), layer.inputs * layer.outputs
        if wanted > there:
            return f"rank = {recipe.rank} asks for {wanted:,} weights of {layer.name}, which has {there:,}"
    return ""


@METHODS.add(
    "shira",
    Method,
    paper="arXiv:2406.13175",
    count=low_rank,
    targets=all_linear,
    formula=sparse_update,
    unsuited=no_conv1d,
    misfit=fewer_than_weights,
    random_start=False,  # zeros; the seed decides their places
    stores_more="SHiRA's file holds the places of its values too, two integers for each",
    no_closed_form="SHiRA adds its values to a copy of W in every forward pass",
    no_trace="peft finds the places of its weights by values, which fake tensors lack",
    named_only=True,
)
def shira(attach: Attach) -> Any:
    """Train rank x (inputs + outputs) single weights of W at random places.

    peft draws the places of each layer anew from the same seed, the case's, so all layers of one shape train the same
    places.
    """
    from peft import ShiraConfig

    return ShiraConfig(
        task_type=attach.peft_task,
        r=attach.recipe.rank,
        random_seed=attach.seed,
        target_modules=list(all_linear(attach.model)),
    )


@METHODS.add(
    "lokr",
    Method,
    paper="arXiv:2309.14859",
    count=kronecker_factors,
    targets=all_linear,
    formula=kronecker_update,
    scale=ALPHA_OVER_RANK,  # peft's; the authors' code scales by 1 where W2 is one matrix
    unsuited=no_conv1d,
    no_closed_form="LoKr makes an update of W's size in every forward pass",
    named_only=True,
)
def lokr(attach: Attach) -> Any:
    """The update is a Kronecker product of two small matrices."""
    from peft import LoKrConfig

    return LoKrConfig(
        task_type=attach.peft_task,
        r=attach.recipe.rank,
        alpha=attach.recipe.alpha,  # type: ignore[arg-type]  # annotated int, used as a float
        target_modules=list(all_linear(attach.model)),
    )


@METHODS.add(
    "randlora",
    Method,
    paper="arXiv:2502.00987",
    count=scales_of_bases,
    targets=all_linear,
    adapter_dropout=True,
    formula=random_bases_update,
    scale=RANDLORA_SCALE,
    random_start=False,  # its frozen matrices have a seed of their own
    stores_more="RandLoRA's file holds its frozen random matrices too",
    no_closed_form="RandLoRA's matrices are scaled anew in each layer",
    named_only=True,
)
def randlora(attach: Attach) -> Any:
    """A sum of scaled random matrices, as many as give the update full rank; a lower rank trains more."""
    from peft import RandLoraConfig

    return RandLoraConfig(
        task_type=attach.peft_task,
        r=randlora_rank(attach.recipe),
        randlora_alpha=RANDLORA_ALPHA_FACTOR * attach.recipe.alpha,  # type: ignore[arg-type]  # used as a float
        randlora_dropout=attach.recipe.dropout,
        target_modules=list(all_linear(attach.model)),
        fan_in_fan_out=attach.model.family.transposed,
    )


@METHODS.add("rsdora", Method, **{**DORA, "scale": ALPHA_OVER_ROOT}, named_only=True)
def rsdora(attach: Attach) -> Any:
    """DoRA whose update is scaled by alpha / sqrt(rank)."""
    return lora_config(attach, all_linear(attach.model), use_dora=True, use_rslora=True)
