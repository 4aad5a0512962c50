"""Methods that train what comes before the text: virtual tokens at the input, or keys and values in every layer.

Neither can be merged, because there is no weight to merge them into.
"""

from typing import Any

from bench.core.recipe import Recipe
from bench.methods import METHODS, Attach, Method
from bench.methods.targets import nothing
from bench.models import ModelEntry
from bench.models.families import Linear
from bench.models.shapes import hidden_size, key_value_size, layer_count

ONE_AT_A_TIME = "peft lets one adapter with virtual tokens act at a time"


def takes_no_keys(model: ModelEntry) -> str:
    family = model.family
    return "" if family.takes_past_keys else f"transformers' {family.model_type} takes no keys and values"


def keys_and_values(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    return recipe.virtual_tokens * layer_count(model) * 2 * key_value_size(model)


def embeddings(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    return recipe.virtual_tokens * hidden_size(model)


@METHODS.add(
    "prefix",
    Method,
    paper="arXiv:2101.00190",
    count=keys_and_values,
    targets=nothing,
    unsuited=takes_no_keys,
    identity_at_start=False,
    mergeable=False,
    no_sum=ONE_AT_A_TIME,
    packs=False,
    checkpoints=False,
    no_closed_form="virtual tokens lengthen the attention alone",
)
def prefix(attach: Attach) -> Any:
    """Trained keys and values before the text, in every layer."""
    from peft import PrefixTuningConfig

    return PrefixTuningConfig(task_type=attach.peft_task, num_virtual_tokens=attach.recipe.virtual_tokens)


@METHODS.add(
    "prompt",
    Method,
    paper="arXiv:2104.08691",
    count=embeddings,
    targets=nothing,
    identity_at_start=False,
    mergeable=False,
    no_sum=ONE_AT_A_TIME,
    packs=False,
    pads_right_only="peft 0.21 drops position ids beside prompts, and padding on the left then moves the text",
    no_closed_form="virtual tokens lengthen every row",
)
def prompt(attach: Attach) -> Any:
    """Trained embeddings before the text, at the input alone."""
    from peft import PromptTuningConfig

    return PromptTuningConfig(task_type=attach.peft_task, num_virtual_tokens=attach.recipe.virtual_tokens)
