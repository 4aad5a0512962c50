"""Adapters on a frozen base in 4 or 8 bits: bitsandbytes stores it, A and B stay in floating point."""

from typing import Any

from bench.methods import INT8, METHODS, NF4, Attach, Method
from bench.methods.lora import DORA, THIN, lora_config
from bench.methods.targets import all_linear
from bench.models import DECODER

QLORA: dict[str, Any] = {**THIN, "paper": "arXiv:2305.14314", "targets": all_linear, "storage": NF4}


@METHODS.add("qlora", Method, **QLORA)
def qlora(attach: Attach) -> Any:
    """LoRA on all linear layers of a base in NF4 with double quantisation."""
    return lora_config(attach, all_linear(attach.model))


@METHODS.add("qlora_lean", Method, **QLORA, kinds=(DECODER,))  # most of its saving is on logits over a vocabulary
def qlora_lean(attach: Attach) -> Any:
    """QLoRA in less memory: loss in chunks, bf16 adapters, 8-bit paged AdamW, checkpoints on the host."""
    return lora_config(attach, all_linear(attach.model))


@METHODS.add("qdora", Method, **DORA, storage=NF4)
def qdora(attach: Attach) -> Any:
    """DoRA on a base in NF4."""
    return lora_config(attach, all_linear(attach.model), use_dora=True)


@METHODS.add("lora_int8", Method, **THIN, paper="arXiv:2208.07339", targets=all_linear, storage=INT8)
def lora_int8(attach: Attach) -> Any:
    """LoRA on all linear layers of a base in LLM.int8()."""
    return lora_config(attach, all_linear(attach.model))
