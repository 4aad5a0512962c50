"""Emulation of a CUDA card on fake CPU tensors: code meant for the card runs as the card would run it.

A build of torch without CUDA cannot even create fake tensors on a card, so they live on the CPU. Two things that a
card does differently are emulated: which operations autocast computes in float32, and which kernel attention runs
in. Both decide what a step keeps in memory. Sources: autocast_mode.h and sdp_utils.cpp of torch 2.13.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from bench.predict.formula.layers import LARGEST_FLASH_HEAD
from bench.worker.train import backward as backward_module
from bench.worker.train.chunked_losses import CHUNKS

# operations of our architectures that autocast computes in float32 on CUDA but not on a CPU
IN_FLOAT32 = {
    "layer_norm", "pow", "__pow__", "rsqrt", "softmax", "log_softmax", "cumsum", "sum", "prod", "norm", "vector_norm",
    "matrix_norm", "linalg_norm", "linalg_vector_norm", "exp", "log", "logsumexp", "nll_loss", "mse_loss", "softplus",
    "reciprocal", "cosine_similarity",
}  # fmt: skip
FACTORIES = {"empty", "zeros", "ones", "full", "rand", "randn", "arange", "tensor"}  # without a device: on the host
HALVES = (torch.bfloat16, torch.float16)
MASK_ALIGNMENT = 16  # the memory-efficient kernel reads the mask in rows of a multiple of this


def on_processor(value: Any) -> Any:
    """The device's name or object, replaced by the CPU's if it is a card's."""
    if isinstance(value, torch.device):
        return torch.device("cpu") if value.type == "cuda" else value
    return "cpu" if isinstance(value, str) and value.split(":")[0] == "cuda" else value


def widen_to_float32(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.dtype in HALVES else value


class CudaLike(TorchFunctionMode):
    """Runs torch calls as a CUDA card would run them; tensors stay on the CPU.

    A tensor made without a device belongs to the host. making_for_host is true while it is made, so that it is not
    counted, and moving it to the card copies it.
    """

    making_for_host = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if "device" in kwargs:
            kwargs = {**kwargs, "device": on_processor(kwargs["device"])}
        if name == "to":
            args = tuple(on_processor(value) for value in args)
        if name == "dropout":
            return dropout(*args, **kwargs)
        if name == "scaled_dot_product_attention":
            return attention(*args, **kwargs)
        if name in IN_FLOAT32 and kwargs.get("dtype") is None and torch.is_autocast_enabled("cpu"):
            args, kwargs = tree_map_only(torch.Tensor, widen_to_float32, (args, kwargs))
        return func(*args, **kwargs)


def for_host(factory: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the factory to mark tensors made without a device as the host's; autograd hooks call it outside modes."""

    def make(*args: Any, **more: Any) -> Any:
        if "device" in more:
            return factory(*args, **more)
        CudaLike.making_for_host = True
        try:
            made = factory(*args, **more)
        finally:
            CudaLike.making_for_host = False
        made.on_host = True
        return made

    return make


def copying_to_card(move: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap Tensor.to so that it copies a tensor of the host: the copy goes to the card."""

    def to(tensor: Any, *args: Any, **more: Any) -> Any:
        result = move(tensor, *args, **more)
        return result.clone() if result is tensor and hasattr(tensor, "on_host") else result

    return to


def dropout(given: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    """The fused kernel that torch chooses on a card: for backward it keeps a mask of one byte per element.

    The CPU kernel would keep a factor for each element, in the element's own dtype.
    """
    if not training or not 0 < p < 1:
        return functional.dropout(given, p, training, inplace)
    return torch.native_dropout(given, p, True)[0]


def attention(query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
              is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False) -> Any:  # fmt: skip
    """The kernel that torch chooses on a card since Ampere: flash without a mask, else the memory-efficient one.

    query, key, value: (batch, heads, length, head size); keys may have fewer heads where enable_gqa is set.
    """
    if torch.is_autocast_enabled("cpu"):
        lower = torch.get_autocast_dtype("cpu")
        query, key, value = (tensor.to(lower) for tensor in (query, key, value))
    aten = torch.ops.aten
    if attn_mask is None and query.dtype in HALVES and query.shape[-1] <= LARGEST_FLASH_HEAD:
        return aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, scale=scale)[0]
    if enable_gqa:  # the other kernels need one key head per query head
        key, value = (tensor.repeat_interleave(query.shape[1] // tensor.shape[1], 1) for tensor in (key, value))
    bias = None if attn_mask is None else additive(attn_mask, query)
    return aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, True, dropout_p, is_causal, scale=scale
    )[0]


def additive(mask: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """The mask as a bias on the scores: (batch, heads, queries, keys), with its rows aligned in memory."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), float("-inf"))
    keys = mask.shape[-1]
    if missing := -keys % MASK_ALIGNMENT:
        mask = functional.pad(mask, (0, missing))[..., :keys]
    return mask.to(query.dtype).expand(query.shape[0], query.shape[1], -1, -1)


def backward(loss: torch.Tensor) -> None:
    """Tensor.backward without function modes: a mode is off inside its own handler, where checkpoints recompute."""
    torch.autograd.graph._engine_run_backward((loss,), (torch.ones_like(loss),), False, False, (), True, True)


@contextlib.contextmanager
def as_cuda() -> Iterator[None]:
    """Within the context, calls for "cuda" run on the CPU by the rules of a card."""
    enabled, dtype, autocast = torch.is_autocast_enabled, torch.get_autocast_dtype, torch.autocast
    with torch.device("cpu"):
        torch.empty(0)  # torch caches its list of factories at first use; it must list the real ones

    def cast(device_type: str, *args: Any, **more: Any) -> Any:
        return autocast(on_processor(device_type), *args, **more)

    with (
        patch.dict(vars(torch), {name: for_host(getattr(torch, name)) for name in FACTORIES}),
        patch.object(torch.Tensor, "to", copying_to_card(torch.Tensor.to)),
        # Liger's kernel runs only on a card, and on a CPU torch's kernel copies the whole head in float32
        patch.object(backward_module, "route", lambda head, device: CHUNKS),
        patch.object(torch.Tensor, "backward", backward),
        patch.object(torch, "autocast", cast),
        patch.object(torch.amp, "autocast", cast),
        patch.object(torch, "is_autocast_enabled", lambda device_type="cuda": enabled(on_processor(device_type))),
        patch.object(torch, "get_autocast_dtype", lambda device_type: dtype(on_processor(device_type))),
        patch.object(torch, "get_autocast_gpu_dtype", lambda: dtype("cpu")),
        CudaLike(),
    ):
        yield
