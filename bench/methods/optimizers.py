"""Methods that differ in how weights are updated: LoRA+ trains B faster than A, LoRA-FA trains B alone, GaLore trains
every weight with moments of projected gradients.

The optimizer itself is the recipe's, in fixtures/recipes/defaults.toml and worker/train/.
"""

from typing import Any

from bench.methods import ALL, METHODS, Attach, Method
from bench.methods.lora import THIN, lora_config, rank_by_outputs
from bench.methods.targets import all_linear, nothing
from bench.methods.whole import everything


@METHODS.add("loraplus", Method, **THIN, paper="arXiv:2402.12354", targets=all_linear, named_only=True)
def loraplus(attach: Attach) -> Any:
    """LoRA whose B learns at the recipe's learning_rate_ratio times A's rate."""
    return lora_config(attach, all_linear(attach.model))


@METHODS.add(
    "lorafa",
    Method,
    **{**THIN, "count": rank_by_outputs, "thin_products": False},
    paper="arXiv:2308.03303",
    targets=all_linear,
    frozen_parts=(".lora_A.",),
    random_start=False,  # what trains is B, which starts at 0
    stores_more="LoRA-FA's file holds its frozen random A too",
    no_closed_form="LoRA-FA needs no input for A's gradient, and the closed form keeps it",
    named_only=True,
)
def lorafa(attach: Attach) -> Any:
    """LoRA whose A stays random: B alone trains, by plain AdamW as in the paper's first version."""
    return lora_config(attach, all_linear(attach.model))


@METHODS.add("galore", Method, paper="arXiv:2403.03507", trains=ALL, count=everything, targets=nothing,
             keeps_base=False, mergeable=False, named_only=True)  # fmt: skip
def galore(attach: Attach) -> None:
    """Every weight trains, with an optimizer that keeps moments of low-rank gradients."""
