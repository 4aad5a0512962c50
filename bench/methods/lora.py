"""LoRA and its relatives with another scale, start or shape: W x + s B A x, W frozen.

B is (outputs, rank), A is (rank, inputs).
"""

from typing import Any

from bench.core.recipe import Recipe
from bench.methods import METHODS, Attach, Method
from bench.methods.formulas import (
    ALPHA_OVER_RANK,
    ALPHA_OVER_ROOT,
    elementwise_update,
    low_rank_update,
    magnitude_update,
)
from bench.methods.targets import all_linear, query_value
from bench.models import ModelEntry
from bench.models.families import Linear


def low_rank(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """rank (inputs + outputs) for each layer."""
    return sum(recipe.rank * (layer.inputs + layer.outputs) for layer in layers)


def low_rank_and_magnitude(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """As LoRA, and one magnitude for each output."""
    return low_rank(layers, model, recipe) + sum(layer.outputs for layer in layers)


def rank_by_outputs(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """rank x outputs for each layer: B alone, or one matrix of that shape."""
    return sum(recipe.rank * layer.outputs for layer in layers)


def transposed_matrices(model: ModelEntry) -> str:
    """Why OLoRA cannot decompose the model's matrices; empty if it can."""
    return "peft 0.21 decomposes GPT-2's transposed matrices as they lie" if model.family.transposed else ""


# The facts of LoRA's update whatever its scale and start, and those of methods that decompose W at the start.
THIN: dict[str, Any] = {
    "count": low_rank,
    "thin_products": True,
    "adapter_dropout": True,
    "formula": low_rank_update,
    "scale": ALPHA_OVER_RANK,
}
DECOMPOSING: dict[str, Any] = {
    **THIN,
    "targets": all_linear,
    "disable_gives_base": False,
    "keeps_base": False,
    "random_start": False,
    "alone": "attaching a second adapter decomposes what the first left of W",
}
DORA: dict[str, Any] = {
    "paper": "arXiv:2402.09353",
    "count": low_rank_and_magnitude,
    "targets": all_linear,
    "adapter_dropout": True,
    "rounds_at_start": True,
    "formula": magnitude_update,
    "scale": ALPHA_OVER_RANK,
    "no_sum": "DoRA divides by the norm of W and one update, and a second one is not in that norm",
    "no_closed_form": "DoRA's norms take a dequantised or multiplied copy of each weight",
}


def lora_config(attach: Attach, targets: tuple[str, ...], **more: Any) -> Any:
    """peft's LoraConfig from the recipe."""
    from peft import LoraConfig

    return LoraConfig(
        task_type=attach.peft_task,
        r=attach.recipe.rank,
        lora_alpha=attach.recipe.alpha,  # type: ignore[arg-type]  # annotated int, used as a float
        lora_dropout=attach.recipe.dropout,
        target_modules=list(targets),
        fan_in_fan_out=attach.model.family.transposed,
        **more,
    )


@METHODS.add("lora", Method, **THIN, paper="arXiv:2106.09685", targets=query_value, in_sweeps=True)
def lora(attach: Attach) -> Any:
    """LoRA on query and value, as source 001."""
    return lora_config(attach, query_value(attach.model))


@METHODS.add("lora_all", Method, **THIN, paper="arXiv:2305.14314", targets=all_linear)
def lora_all(attach: Attach) -> Any:
    """LoRA on all linear layers."""
    return lora_config(attach, all_linear(attach.model))


@METHODS.add("lora_after_full", Method, **THIN, paper="source 001", targets=query_value, after="full")
def lora_after_full(attach: Attach) -> Any:
    """LoRA started from the fully fine-tuned model: what source 001's tables 4 and 6 show."""
    return lora_config(attach, query_value(attach.model))


@METHODS.add("rslora", Method, **{**THIN, "scale": ALPHA_OVER_ROOT}, paper="arXiv:2312.03732", targets=all_linear)
def rslora(attach: Attach) -> Any:
    """LoRA scaled by alpha / sqrt(rank)."""
    return lora_config(attach, all_linear(attach.model), use_rslora=True)


@METHODS.add("dora", Method, **DORA)
def dora(attach: Attach) -> Any:
    """LoRA on the direction, and a trained magnitude for each output."""
    return lora_config(attach, all_linear(attach.model), use_dora=True)


@METHODS.add("olora", Method, **DECOMPOSING, paper="arXiv:2406.01775", unsuited=transposed_matrices)
def olora(attach: Attach) -> Any:
    """LoRA started from a QR decomposition of W, which keeps the rest."""
    return lora_config(attach, all_linear(attach.model), init_lora_weights="olora")


@METHODS.add("pissa", Method, **DECOMPOSING, paper="arXiv:2404.02948")
def pissa(attach: Attach) -> Any:
    """LoRA started from the largest singular values of W, which keeps the rest."""
    return lora_config(attach, all_linear(attach.model), init_lora_weights="pissa")


@METHODS.add(
    "hira",
    Method,
    paper="openreview:TwJrTz9cRS",
    count=low_rank,
    targets=all_linear,
    adapter_dropout=True,
    formula=elementwise_update,
    no_closed_form="HiRA multiplies a whole update with each weight",
)
def hira(attach: Attach) -> Any:
    """The update is W times B A, element by element: high rank from low-rank parts."""
    from peft import HiraConfig

    return HiraConfig(
        task_type=attach.peft_task,
        r=attach.recipe.rank,
        hira_dropout=attach.recipe.dropout,
        target_modules=list(all_linear(attach.model)),
        fan_in_fan_out=attach.model.family.transposed,
    )
