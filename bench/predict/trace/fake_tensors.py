"""Fake tensors: shapes and types without values, so that a model of any size is built and trained in no memory.

Operations that depend on values get the result that the predicted batch would give (`Values`).
bitsandbytes' packed weights are tensor subclasses of their own, which fake tensors cannot become. Stand-ins with the
same storages take their place; bitsandbytes' own layers and autograd functions use them.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial, wraps
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, in_kernel_invocation_manager
from torch.utils._python_dispatch import TorchDispatchMode

COMPILE = torch.compile
RANDOM = {"uniform_", "normal_", "random_", "bernoulli_", "trunc_normal_"}  # in place; values do not matter
VIEWS = {"detach", "view", "t", "transpose", "permute", "expand", "slice", "select", "unsqueeze"}  # one kernel each


@dataclass(frozen=True)
class Values:
    """Assumed values: how many labels count (None: all), and whether all tokens of a row belong to one example.

    The only mask used as an index is that of the labels. The only boolean read is whether attention needs no mask.
    """

    scored: int | None = None
    whole: bool = True

    def answer(self, operation: Any, arguments: Any, keywords: Any) -> Any:
        """The operation's result, assuming that every number is 1 and nothing is an outlier."""
        if operation is torch.ops.prim.device.default:  # two of three dispatches are this one
            return arguments[0].fake_device
        name = operation.overloadpacket.__name__
        if name == "_local_scalar_dense":
            dtype = arguments[0].dtype
            return self.whole if dtype == torch.bool else 1.0 if dtype.is_floating_point else 1
        if name in RANDOM:
            return arguments[0]
        if name == "index" and is_masked(arguments[1]):
            mask = arguments[1][0]
            chosen = mask.numel() if self.scored is None else self.scored
            return arguments[0].new_empty((chosen, *arguments[0].shape[mask.ndim :]))
        if name == "int8_vectorwise_quant":
            return in_int8(arguments[0])
        if name in VIEWS and type(arguments[0]) is FakeTensor:
            return view(operation, arguments, keywords)
        return operation(*arguments, **keywords)


def view(operation: Any, arguments: Any, keywords: Any) -> FakeTensor:
    """The view, straight from its kernel: bypasses FakeTensorMode's cache, as views are a third of all operations."""
    whole: FakeTensor = arguments[0]
    with in_kernel_invocation_manager(whole.fake_mode):
        made = operation(*arguments, **keywords)
    return FakeTensor(whole.fake_mode, made, whole.fake_device)


class Answers(TorchDispatchMode):
    """Runs operations on fake tensors, and supplies the results that depend on values."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return Values().answer(func, args, kwargs or {})


def is_masked(indices: Any) -> bool:
    """Whether these are the indices of tensor[mask]."""
    return bool(indices) and indices[0] is not None and indices[0].dtype == torch.bool


def in_int8(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes, a scale for each row, and the columns of outliers (none)."""
    rows = tensor.numel() // tensor.shape[-1]
    return (
        tensor.new_empty(tensor.shape, dtype=torch.int8),
        tensor.new_empty(rows, dtype=torch.float32),
        tensor.new_empty(0, dtype=torch.int64),
    )


class Params4bit(FakeTensor):
    """Stands in for bitsandbytes' class of that name, quantised from the start."""

    def __new__(cls, data: torch.Tensor, requires_grad: bool = False, quant_type: str = "nf4", blocksize: int = 64,
                compress_statistics: bool = True, module: Any = None, **more: Any) -> Any:  # fmt: skip
        from bitsandbytes.functional import quantize_4bit

        codes, state = quantize_4bit(
            data.data, blocksize=blocksize or 64, compress_statistics=compress_statistics, quant_type=quant_type
        )
        made: Any = nn.Parameter(codes, requires_grad=False)
        made.__class__ = cls
        made.quant_state, made.module, made.bnb_quantized = state, module, True
        made.quant_type, made.blocksize, made.compress_statistics = quant_type, blocksize, compress_statistics
        made.quant_storage = torch.uint8
        if module is not None:
            module.quant_state = state
        return made

    def __init__(self, *args: Any, **more: Any) -> None:
        """All is done in __new__."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy as bitsandbytes' class does; peft copies the weight before it computes DoRA's norms."""
        made: Any = duplicate(self, memo)
        made.__class__ = Params4bit
        kept = ("module", "bnb_quantized", "quant_type", "blocksize", "compress_statistics", "quant_storage")
        for name in kept:
            setattr(made, name, getattr(self, name))
        made.quant_state = copy.deepcopy(self.quant_state, memo)  # type: ignore[attr-defined]
        return made


class Int8Params(FakeTensor):
    """Stands in for bitsandbytes' class of that name, quantised from the start."""

    def __new__(cls, data: torch.Tensor, requires_grad: bool = False, **more: Any) -> Any:
        codes, scales, _ = in_int8(data.data)
        made: Any = nn.Parameter(codes, requires_grad=False)
        made.__class__ = cls
        made.CB, made.SCB, made.has_fp16_weights = codes, scales, False
        return made

    def __init__(self, *args: Any, **more: Any) -> None:
        """All is done in __new__."""


def duplicate(tensor: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
    """copy.deepcopy of a fake tensor, in the same mode; torch's own would copy the mode too."""
    copied: Any = tensor.detach().clone()
    if isinstance(tensor, nn.Parameter):
        copied = nn.Parameter(copied, tensor.requires_grad)
    memo[id(tensor)] = copied
    return copied


def move(module: nn.Module, *args: Any, **more: Any) -> nn.Module:
    """nn.Module.to for fake tensors: they are already in place, so only the dtype may change."""
    dtype = torch._C._nn._parse_to(*args, **more)[1]
    for parameter in module.parameters() if dtype else ():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    return module


def when_called(model: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
    """torch.compile, delayed until the function is first called."""
    if model is None:
        return partial(when_called, **options)
    compiled = cache(partial(COMPILE, model, **options))
    return wraps(model)(lambda *args, **more: compiled()(*args, **more))


def compiled_when_called() -> Any:
    """Within the context, torch.compile waits for a call: it loads for seconds, and a trace calls nothing compiled."""
    return patch.object(torch, "compile", when_called)


@contextlib.contextmanager
def fake_tensors() -> Iterator[None]:
    """Within the context, every new tensor is fake.

    transformers must believe that none is fake, or it would keep masks that it can drop. bitsandbytes' table of maps is
    replaced meanwhile, or a fake map would stay in it. accelerate's empty model is not needed: a fake model already
    is one. Operations need `Values.answer`, through Answers or through a mode that calls it.
    """
    import accelerate
    from transformers.utils import import_utils

    with compiled_when_called():
        import bitsandbytes

    with (
        patch.object(import_utils, "is_fake_tensor", lambda tensor: False),
        patch.dict(bitsandbytes.functional.name2qmap, clear=True),
        patch.object(bitsandbytes.nn, "Params4bit", Params4bit),
        patch.object(bitsandbytes.nn.modules, "Params4bit", Params4bit),
        patch.object(bitsandbytes.nn, "Int8Params", Int8Params),
        patch.object(bitsandbytes.nn.modules, "Int8Params", Int8Params),
        patch.object(accelerate, "init_empty_weights", lambda **options: contextlib.nullcontext()),
        patch.object(nn.Module, "to", move),
        patch.object(FakeTensor, "__deepcopy__", duplicate, create=True),
        FakeTensorMode(),
    ):
        yield
