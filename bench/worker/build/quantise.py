"""Quantised linear layers, and their weights dequantised for comparison."""

from typing import Any

import torch
from torch import Tensor, nn

from bench.methods import INT8, NF4, Unsupported
from bench.worker.build.packed_layers import packed_embedding, packed_linear, real_bias, real_weight

ROUNDED = "rounded_off"  # in a packed layer's __dict__: the start of its adapter
HEAD_NAMES = ("classifier", "score", "lm_head")


def is_head(name: str) -> bool:
    return name.split(".")[0] in HEAD_NAMES or any(f".{head}." in f".{name}." for head in HEAD_NAMES)


def quantise(model: Any, storage: str, compute: torch.dtype, device: str = "cpu", head: bool = False,
             rounded_rank: int = 0) -> Any:  # fmt: skip
    """Replace every linear layer by bitsandbytes' layer of the same weights on the device, one at a time.

    The head is kept as it is, or (head) packed too and the table of embeddings with it. GPT-2's transposed
    matrices (Conv1D) are turned round, as transformers' own way of quantising does. A layer without storage
    (meta) is drawn at random first, so that a model of random weights never exists unpacked. rounded_rank: keep this
    rank of what packing rounds off each weight, for the adapter that starts from it; 0 keeps nothing.
    """
    from transformers.pytorch_utils import Conv1D

    for name, layer in list(model.named_modules()):
        parent, _, child = name.rpartition(".")
        if isinstance(layer, nn.Linear | Conv1D) and (head or not is_head(name)):
            weight = real_weight(layer.weight, model.config, device).data
            weight = weight.T.contiguous() if isinstance(layer, Conv1D) else weight
            bias = None if layer.bias is None else real_bias(layer.bias, device).data
            packed = packed_linear(weight, bias, storage, compute, device)
            if rounded_rank and not is_head(name):
                packed.__dict__[ROUNDED] = rounded_off(weight, packed, rounded_rank)
        elif head and layer is model.get_input_embeddings():
            if type(layer) is not nn.Embedding:
                raise Unsupported(f"quantise_head: {type(layer).__name__} does more than look up what would be packed")
            packed = packed_embedding(real_weight(layer.weight, model.config, device).data, compute, device)
        else:
            continue
        setattr(model.get_submodule(parent), child, packed)
    # Not is_quantized: transformers.Trainer would ask then for transformers' own quantiser, which had no part in it.
    model.is_loaded_in_4bit, model.is_loaded_in_8bit = storage == NF4, storage == INT8
    return model


def rounded_off(weight: Tensor, packed: Any, rank: int) -> tuple[Tensor, Tensor]:
    """(A, B) of this rank whose product is nearest to W less the packed W: (rank, inputs), (outputs, rank)."""
    stands_for: Any = plain_weight(packed)
    lost = weight.float().to(stands_for.device) - stands_for.float()
    left, sizes, right = torch.linalg.svd(lost, full_matrices=False)
    root = sizes[:rank].sqrt()
    return root[:, None] * right[:rank], left[:, :rank] * root


def dequantise(model: Any) -> Any:
    """The quantised base with plain linear layers of the very weights that its packed layers stand for.

    An adapter is merged into this: into four bits again, W + BA would be rounded to sixteen levels.
    """
    modules: dict[str, Any] = dict(model.named_modules())
    for name, layer in modules.items():
        weight = plain_weight(layer)
        if weight is None:
            continue
        kept = getattr(layer, "compute_dtype", None) or model.dtype
        plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device=weight.device)
        plain.weight = nn.Parameter(weight.to(kept), requires_grad=False)
        plain.bias = layer.bias
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, plain)
    model.is_loaded_in_4bit = model.is_loaded_in_8bit = False
    return model


def plain_weight(layer: Any) -> Tensor | None:
    """The weight that a packed linear layer stands for; None for any other layer."""
    import bitsandbytes
    from bitsandbytes.functional import dequantize_4bit, int8_vectorwise_dequant

    weight: Any = getattr(layer, "weight", None)  # bitsandbytes adds attributes that torch's types do not know
    if isinstance(layer, bitsandbytes.nn.Linear4bit):
        return dequantize_4bit(weight.data, weight.quant_state)
    if isinstance(layer, bitsandbytes.nn.Linear8bitLt):
        # bitsandbytes moves an 8-bit weight's scales to its layer's state in the first forward pass
        values = weight.data if weight.CB is None else weight.CB
        scales: Any = layer.state.SCB if weight.SCB is None else weight.SCB
        return int8_vectorwise_dequant(values, scales)
    return None
