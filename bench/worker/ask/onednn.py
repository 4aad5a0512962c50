"""Linear layers computed by oneDNN, while a model on a processor answers and does not train.

torch's float32 product (MKL's) reorders the weight on every call, which takes long compared with a product of few rows.
Here each layer's weight is reordered once, by the operators that torch.compile uses for frozen linear layers;
compiling the model itself takes minutes. A layer with an adapter or a 4-bit weight becomes one product with the matrix
that it is equal to.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

MIN_WEIGHTS = 2**18  # of a plain nn.Linear; with fewer, a call of oneDNN takes as long or longer
MOST_WEIGHTS = 2**30  # of all layers together: copies take 4 GiB, and making one needs up to seven times its size
CHECKED_ROWS = 4
SUM_ERROR = 1e-5  # relative to a layer's largest output: float32 sums in another order stay below

Product = Callable[[Tensor], Tensor]
AffineMap = tuple[Tensor, Tensor | None]  # weight (outputs, inputs) and bias (outputs,)


@contextlib.contextmanager
def linear_layers_by_onednn(model: Any) -> Iterator[None]:
    """Inside, and without gradients, float32 linear layers on a processor use oneDNN where that is faster.

    The model must be in evaluation mode. Each such layer holds a float32 copy of its present weight: training,
    switching or merging an adapter inside has no effect. If torch is built without oneDNN nothing changes.
    """
    replaced = []
    try:
        for layer in replaceable(model) if torch.backends.mkldnn.is_available() else ():
            if found := product(layer):
                layer.forward = found  # beside the class's own
                replaced.append(layer)
        yield
    finally:
        for layer in replaced:
            del layer.forward


def replaceable(model: nn.Module) -> list[nn.Module]:
    """The layers to replace, as many as there is room for copies."""
    found, left = [], MOST_WEIGHTS
    for layer in dict.fromkeys(outermost(model)):  # once where it stands in two places
        size = math.prod(shape_of(layer))
        if size <= left:
            found.append(layer)
            left -= size
    return found


def outermost(module: nn.Module) -> Iterator[nn.Module]:
    """Layers that may be replaced, none inside another."""
    if may_be_replaced(module):
        yield module
    else:
        for child in module.children():
            yield from outermost(child)


def may_be_replaced(module: nn.Module) -> bool:
    """Whether it is a linear layer, or peft's around one, in float32 or 4 bits on a processor, and large enough.

    Not one whose forward was replaced, as accelerate's hooks do.
    """
    if not isinstance(bare(module), nn.Linear | Conv1D) or "forward" in vars(module):
        return False
    if any(part.device.type != "cpu" or part.dtype not in (torch.float32, torch.uint8) for part in module.parameters()):
        return False
    return type(module) is not nn.Linear or module.weight.numel() >= MIN_WEIGHTS


def bare(module: Any) -> Any:
    return module.get_base_layer() if isinstance(module, BaseTunerLayer) else module


def shape_of(layer: nn.Module) -> tuple[int, int]:
    """(outputs, inputs)."""
    found = bare(layer)
    return (found.nf, found.nx) if isinstance(found, Conv1D) else (found.out_features, found.in_features)


@torch.no_grad()
def product(layer: Any) -> Product | None:
    """A function that computes what the layer does with its present weight; None if that is not a matrix product.

    Nothing inside such a layer is replaced either.
    """
    if type(layer) is nn.Linear:
        return product_by(layer.weight, layer.bias)
    rows = torch.randn(CHECKED_ROWS, shape_of(layer)[1], generator=torch.Generator().manual_seed(0))
    expected = layer.forward(rows)  # not by a call, whose hooks see what replaces it too
    checked = (product_that_gives(expected, rows, affine_map(layer)) for affine_map in (by_weight, by_identity))
    return next(filter(None, checked), None)  # the quicker way first


def product_that_gives(expected: Tensor, rows: Tensor, weight_and_bias: AffineMap | None) -> Product | None:
    """The product with this weight, if it gives the expected result for the rows."""
    if weight_and_bias is None:
        return None
    found = product_by(*weight_and_bias)
    return found if (found(rows) - expected).abs().max() <= SUM_ERROR * expected.abs().max() else None


def by_weight(layer: Any) -> AffineMap | None:
    """The weight with active adapters merged into it, and the bias; None for 4 bits, or if peft refuses to merge."""
    if bare(layer).weight.dtype != torch.float32:
        return None
    if isinstance(layer, BaseTunerLayer) and not (layer.merged or layer.disable_adapters):
        try:
            layer = deepcopy(layer)
            layer.merge()
        except (RuntimeError, ValueError):  # a bias without one to merge it into; also where memory runs out
            return None
    found = bare(layer)
    return (found.weight.T if isinstance(found, Conv1D) else found.weight).contiguous(), found.bias


def by_identity(layer: Any) -> AffineMap:
    """Weight and bias of any affine layer, from what it returns for the identity and for zeros."""
    _, inputs = shape_of(layer)
    bias = layer.forward(torch.zeros(1, inputs))[0]
    columns = layer.forward(torch.eye(inputs))
    columns -= bias
    return columns.T.contiguous(), bias


def product_by(weight: Tensor, bias: Tensor | None) -> Product:
    """weight (outputs, inputs), bias (outputs,)."""
    ordered = torch.ops.mkldnn._reorder_linear_weight(weight)

    def forward(input: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(input, ordered, bias, "none", [], "")

    return forward
