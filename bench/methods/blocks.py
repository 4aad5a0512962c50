"""Methods whose update of W is made of blocks: MiSS repeats one, GraLoRA has a low rank in each, OFT rotates blocks of
inputs, C3A has circulant ones. All are adapters of peft.

Their ranks and learning rates are not tuned here yet; docs/methods.md says which rate a recipe gives.
"""

from typing import Any

from bench.core.recipe import Recipe
from bench.methods import METHODS, Attach, Method
from bench.methods.formulas import (
    ALPHA_OVER_RANK,
    circulant_update,
    granular_update,
    rotated_update,
    summed_blocks_update,
)
from bench.methods.lora import low_rank, rank_by_outputs
from bench.methods.targets import all_linear
from bench.models import ModelEntry
from bench.models.families import Linear

GRALORA_BLOCKS = 2  # on each side of W, as peft's documentation recommends for ranks up to 32


def no_conv1d(model: ModelEntry) -> str:
    """Why peft cannot adapt the model's layers; empty if it can."""
    return "peft 0.21 adapts nn.Linear with it, and GPT-2's layers are Conv1D" if model.family.transposed else ""


def above_diagonals(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """inputs (block_size - 1) / 2 a layer: what stands above the diagonals of its inputs / block_size blocks."""
    return sum(layer.inputs * (recipe.block_size - 1) // 2 for layer in layers)


def first_rows(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """inputs x outputs / block_size a layer: one row of each circulant block."""
    return sum(layer.inputs * layer.outputs // recipe.block_size for layer in layers)


def why_not_divided(
    field: str, value: int, layers: list[Linear], sides: tuple[str, ...] = ("inputs", "outputs")
) -> str:
    """Why the value of this field does not fit; empty if it divides these sides of all layers."""
    widths = ((layer.name, getattr(layer, side)) for layer in layers for side in sides)
    odd = next(((name, width) for name, width in widths if width % value), None)
    return f"{field} = {value} does not divide {odd[1]}, a width of {odd[0]}" if odd else ""


def rank_splits_inputs(layers: list[Linear], recipe: Recipe) -> str:
    return why_not_divided("rank", recipe.rank, layers, ("inputs",))


def rank_splits_both(layers: list[Linear], recipe: Recipe) -> str:
    return why_not_divided("rank", recipe.rank, layers)


def blocks_split_inputs(layers: list[Linear], recipe: Recipe) -> str:
    return why_not_divided("block_size", recipe.block_size, layers, ("inputs",))


def blocks_split_both(layers: list[Linear], recipe: Recipe) -> str:
    return why_not_divided("block_size", recipe.block_size, layers)


def rank_splits_evenly(layers: list[Linear], recipe: Recipe) -> str:
    """Why GraLoRA's blocks do not fit; empty if they divide rank and the widths of all layers."""
    if recipe.rank % GRALORA_BLOCKS:
        return f"rank = {recipe.rank} must be a multiple of {GRALORA_BLOCKS}, the blocks on each side of W"
    return why_not_divided("blocks", GRALORA_BLOCKS, layers)


@METHODS.add(
    "miss",
    Method,
    paper="arXiv:2409.15371",
    count=rank_by_outputs,
    targets=all_linear,
    adapter_dropout=True,
    formula=summed_blocks_update,
    unsuited=no_conv1d,
    misfit=rank_splits_inputs,
    random_start=False,  # all zeros
    no_closed_form="MiSS sums blocks of inputs where LoRA multiplies by A",
    named_only=True,
)
def miss(attach: Attach) -> Any:
    """One matrix of rank x outputs, repeated over all blocks of inputs."""
    from peft import MissConfig

    return MissConfig(
        task_type=attach.peft_task,
        r=attach.recipe.rank,
        miss_dropout=attach.recipe.dropout,
        target_modules=list(all_linear(attach.model)),
    )


@METHODS.add(
    "gralora",
    Method,
    paper="arXiv:2505.20355",
    count=low_rank,
    targets=all_linear,
    adapter_dropout=True,
    formula=granular_update,
    scale=ALPHA_OVER_RANK,
    misfit=rank_splits_evenly,
    no_closed_form="GraLoRA's products are of blocks, between which it moves a tensor about",
    named_only=True,
)
def gralora(attach: Attach) -> Any:
    """LoRA in 2 x 2 blocks of W: as many parameters, twice the rank."""
    from peft import GraloraConfig

    return GraloraConfig(
        task_type=attach.peft_task,
        r=attach.recipe.rank,
        alpha=attach.recipe.alpha,  # type: ignore[arg-type]  # annotated int, used as a float
        gralora_k=GRALORA_BLOCKS,
        gralora_dropout=attach.recipe.dropout,
        target_modules=list(all_linear(attach.model)),
        fan_in_fan_out=attach.model.family.transposed,
    )


@METHODS.add(
    "oft",
    Method,
    paper="arXiv:2506.19847",
    count=above_diagonals,
    targets=all_linear,
    formula=rotated_update,
    unsuited=no_conv1d,
    misfit=blocks_split_inputs,
    random_start=False,  # no rotation
    multiplies_weights=True,
    no_sum="two rotations in a row depend on their order, and peft merges them in the other order than it runs them",
    no_closed_form="OFT rotates every layer's inputs",
    named_only=True,
)
def oft(attach: Attach) -> Any:
    """Rotate blocks of each layer's inputs (OFTv2); peft 0.21 applies none of its dropout."""
    from peft import OFTConfig

    return OFTConfig(
        task_type=attach.peft_task,
        r=0,
        oft_block_size=attach.recipe.block_size,
        target_modules=list(all_linear(attach.model)),
    )


@METHODS.add(
    "c3a",
    Method,
    paper="arXiv:2407.19342",
    count=first_rows,
    targets=all_linear,
    formula=circulant_update,
    unsuited=no_conv1d,
    misfit=blocks_split_both,
    random_start=False,  # all zeros
    no_sum="peft 0.21 gives a second active C3A adapter what the first one adds in place of the layer's inputs",
    no_closed_form="C3A computes in Fourier's transforms",
    named_only=True,
)
def c3a(attach: Attach) -> Any:
    """Circulant blocks: each row is the one above it, shifted by one."""
    from peft import C3AConfig

    return C3AConfig(
        task_type=attach.peft_task,
        block_size=attach.recipe.block_size,
        target_modules=list(all_linear(attach.model)),
        init_weights=True,  # zeros; peft's default is random and starts off the base
    )
