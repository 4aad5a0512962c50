"""bitsandbytes' layers out of plain weights, and random weights for layers that have no storage yet.

NF4 is blocks of 64 with their scales quantised again (double quantisation); int8 is LLM.int8() with outliers
above 6.0 kept apart. A synthetic model is built without storage (meta), drawn and packed a layer at a time: of
Llama-3.1-8B the card holds one matrix of 117 MB unpacked, and the host nothing of it.
"""

from typing import Any

import torch
from torch import Tensor, nn

from bench.methods import NF4

BLOCK = 64  # weights that share a scale
INITIAL_DEVIATION = 0.02  # of transformers' models whose configuration states none


def real_weight(weight: Tensor, config: Any, device: str) -> Tensor:
    """The weight as it is, or on the device from the normal distribution that transformers starts with."""
    if not weight.is_meta:
        return weight
    deviation = getattr(config, "initializer_range", INITIAL_DEVIATION)
    return torch.empty(weight.shape, dtype=weight.dtype, device=device).normal_(0.0, deviation)


def real_bias(bias: Tensor, device: str) -> Tensor:
    """The bias as it is, or zeros on the device, as transformers starts with."""
    return torch.zeros(bias.shape, dtype=bias.dtype, device=device) if bias.is_meta else bias


def packed_linear(weight: Tensor, bias: Tensor | None, storage: str, compute: torch.dtype, device: str) -> Any:
    """bitsandbytes' linear layer of this (outputs, inputs) weight in NF4 or int8, on the device."""
    import bitsandbytes

    outputs, inputs = weight.shape
    # of one weight first: its own would be as large as this one, and drawn on the processor
    if storage == NF4:
        packed: Any = bitsandbytes.nn.Linear4bit(
            1, 1, bias is not None, compute, compress_statistics=True, quant_type="nf4"
        )
    else:
        packed = bitsandbytes.nn.Linear8bitLt(1, 1, bias is not None, has_fp16_weights=False, threshold=6.0)
    packed.in_features, packed.out_features = inputs, outputs
    if storage == NF4:
        packed.weight = bitsandbytes.nn.Params4bit(
            weight, requires_grad=False, quant_type="nf4", compress_statistics=True, module=packed
        )
        # An evaluation on a processor would repack the weights for inference, and bitsandbytes 0.50
        # then trains through a kernel without a gradient: after an evaluation nothing would train.
        packed.support_avx512bf16_for_cpu = False
    else:
        packed.weight = bitsandbytes.nn.Int8Params(
            weight.to("cpu", torch.float16), requires_grad=False, has_fp16_weights=False
        )  # one that is on a card already would be packed in its first forward pass
    if bias is not None:
        packed.bias = nn.Parameter(bias, requires_grad=False)
    # moving to a device is what quantises; from the device to itself it would do nothing
    return packed.to(device)


def packed_embedding(weight: Tensor, compute: torch.dtype, device: str) -> Any:
    """bitsandbytes' NF4 table of this (words, width) weight, on the device; its scales stay in float32."""
    import bitsandbytes

    packed: Any = bitsandbytes.nn.EmbeddingNF4(1, BLOCK, dtype=compute)
    packed.num_embeddings, packed.embedding_dim = weight.shape
    packed.weight = bitsandbytes.nn.Params4bit(
        weight, requires_grad=False, quant_type="nf4", compress_statistics=False, module=packed
    )
    # bitsandbytes 0.50.2 refuses to save such a table, and with it every adapter of its model; peft saves no table
    packed._save_to_state_dict = lambda *state_dict: None
    return packed.to(device)


def materialise(model: Any, device: str) -> Any:
    """Give what is still without storage its storage on the device, with the values that transformers starts with."""
    complete = not any(parameter.is_meta for parameter in model.parameters())
    for module in model.modules():
        lacking = [name for name, parameter in module.named_parameters(recurse=False) if parameter.is_meta]
        for name in lacking:
            shape = getattr(module, name)
            setattr(module, name, nn.Parameter(torch.empty_like(shape, device=device), shape.requires_grad))
        if lacking:
            with torch.no_grad():
                model._init_weights(module)
    if not complete:
        model.tie_weights()
    return model
