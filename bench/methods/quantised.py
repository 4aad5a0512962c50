"""Adapters on a frozen base in 4 or 8 bits; bitsandbytes stores it, A and B stay floating point."""

from typing import Any

from bench.methods import INT8, METHODS, NF4, Attach, Method
from bench.methods.lora import lora_config, low_rank, low_rank_and_magnitude
from bench.methods.targets import all_linear
from bench.models import DECODER


@METHODS.add(
    "qlora",
    Method,
    paper="arXiv:2305.14314",
    storage=NF4,
    count=low_rank,
    targets=all_linear,
    thin_products=True,
    adapter_dropout=True,
)
def qlora(attach: Attach) -> Any:
    """LoRA on all linear layers of a base in NF4 with double quantisation."""
    return lora_config(attach, all_linear(attach.model))


@METHODS.add(
    "qlora_lean",
    Method,
    paper="arXiv:2305.14314",
    storage=NF4,
    count=low_rank,
    targets=all_linear,
    thin_products=True,
    adapter_dropout=True,
    kinds=(DECODER,),  # what it saves most on are logits over a vocabulary
)
def qlora_lean(attach: Attach) -> Any:
    """QLoRA in less memory: loss in chunks, bf16 adapters, 8-bit paged AdamW, checkpoints on the host."""
    return lora_config(attach, all_linear(attach.model))


@METHODS.add(
    "qdora",
    Method,
    paper="arXiv:2402.09353",
    storage=NF4,
    count=low_rank_and_magnitude,
    targets=all_linear,
    adapter_dropout=True,
    rounds_at_start=True,
)
def qdora(attach: Attach) -> Any:
    """DoRA on a base in NF4."""
    return lora_config(attach, all_linear(attach.model), use_dora=True)


@METHODS.add(
    "lora_int8",
    Method,
    paper="arXiv:2208.07339",
    storage=INT8,
    count=low_rank,
    targets=all_linear,
    thin_products=True,
    adapter_dropout=True,
)
def lora_int8(attach: Attach) -> Any:
    """LoRA on all linear layers of a base in LLM.int8()."""
    return lora_config(attach, all_linear(attach.model))
