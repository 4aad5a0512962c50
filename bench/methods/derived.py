"""Derivatives of LoRA that peft lacks: this project adds them to it, in worker/build/tuners/. LoftQ is in peft, but its
way there needs a CUDA device and leaves the base unpacked; here its start is made while the base is packed.

A configuration is found by the kind under which peft knows it, once the worker has registered it.
"""

from functools import partial
from typing import Any

from bench.core.recipe import Recipe
from bench.methods import METHODS, NF4, Attach, Method
from bench.methods.blocks import rank_splits_both
from bench.methods.formulas import ALPHA_OVER_RANK, connected_update, shortcut_update
from bench.methods.lora import THIN, lora_config, low_rank
from bench.methods.targets import all_linear
from bench.models import ModelEntry
from bench.models.families import Linear

SCALARS = 2  # of IEC, a layer
# ResLoRA's layer holds its neighbours under this name in its __dict__, or torch would take them for its children.
BEFORE = "layers_before"
OWN_TUNER = "plain peft does not know this adapter, whose code is in bench/worker/build/tuners"


def low_rank_and_scalars(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """As LoRA, and two scalars for each layer."""
    return low_rank(layers, model, recipe) + SCALARS * len(layers)


def derived_config(kind: str, attach: Attach, **more: Any) -> Any:
    """The configuration of this kind from the recipe."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    make: Any = PEFT_TYPE_TO_CONFIG_MAPPING[kind]  # type: ignore[index]  # a string is as good as the enum's member
    return make(
        task_type=attach.peft_task,
        r=attach.recipe.rank,
        lora_alpha=attach.recipe.alpha,
        lora_dropout=attach.recipe.dropout,
        target_modules=list(all_linear(attach.model)),
        **more,
    )


def draw_rank(model: Any, step: int) -> None:
    """Let DyLoRA draw the next step's rank; step counts from 0."""
    model.base_model.draw_rank(step)


def view_rank(rank: int, model: Any) -> None:
    model.base_model.view_rank(rank)


def ranks_to_view(recipe: Recipe) -> list[tuple[str, Any]]:
    """The powers of 2 up to the rank, and the rank itself last."""
    ranks = sorted({1 << power for power in range(recipe.rank.bit_length())} | {recipe.rank})
    return [(f"r{rank}", partial(view_rank, rank)) for rank in ranks if rank <= recipe.rank]


def with_shortcuts(recipe: Recipe) -> int:
    """Its own update and those of as many layers before."""
    return recipe.shortcuts + 1


@METHODS.add(
    "iec",
    Method,
    paper="arXiv:2402.05445",
    count=low_rank_and_scalars,
    targets=all_linear,
    adapter_dropout=True,
    formula=connected_update,
    scale=ALPHA_OVER_RANK,
    misfit=rank_splits_both,
    no_closed_form="IEC keeps means of the inputs and repeats of A x beside LoRA's products",
    own_tuner=OWN_TUNER,
    named_only=True,
)
def iec(attach: Attach) -> Any:
    """LoRA with means of its inputs and repeats of A x, the adapter of IR-QLoRA."""
    return derived_config("IEC", attach)


@METHODS.add(
    "reslora",
    Method,
    paper="arXiv:2402.18039",
    count=low_rank,
    targets=all_linear,
    adapter_dropout=True,
    formula=shortcut_update,
    scale=ALPHA_OVER_RANK,
    updates_in_a_layer=with_shortcuts,
    no_closed_form="ResLoRA's products are wider by the layers before",
    own_tuner=OWN_TUNER,
    named_only=True,
)
def reslora(attach: Attach) -> Any:
    """LoRA whose updates act in the next layers too (block shortcuts), merged exactly."""
    return derived_config("RESLORA", attach, shortcuts=attach.recipe.shortcuts)


@METHODS.add(
    "dylora",
    Method,
    **{**THIN, "thin_products": False},
    paper="arXiv:2210.07558",
    targets=all_linear,
    after_step=draw_rank,
    views=ranks_to_view,
    no_closed_form="DyLoRA's steps are of different ranks",
    own_tuner=OWN_TUNER,
    named_only=True,
)
def dylora(attach: Attach) -> Any:
    """LoRA of a rank drawn at each step: one training, evaluated at every power of 2 up to the rank."""
    return derived_config("DYLORA", attach, total_steps=attach.steps, draw_seed=attach.seed)


@METHODS.add(
    "loftq",
    Method,
    **THIN,
    paper="arXiv:2310.08659",
    targets=all_linear,
    storage=NF4,
    identity_at_start=False,  # it starts nearer to the base before packing
    random_start=False,
    starts_from_rounding=True,
    named_only=True,
)
def loftq(attach: Attach) -> Any:
    """QLoRA whose A and B start as what NF4 rounds off W (LoftQ with one iteration)."""
    return lora_config(attach, all_linear(attach.model))
