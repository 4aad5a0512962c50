"""FLOPs, one multiply-add counted as two: of a forward pass by three routes, and of a training step.

The routes: torch's FlopCounterMode (what dispatch runs), fvcore (what a trace shows), and the formula
2 N T + 4 L T^2 H from the architecture's numbers. All at one fixed shape, with attention written out as
matrix products. FLOPs are exact: equal on every machine for the same libraries.
"""

import contextlib
import io
import logging
import math
import warnings
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.build import WRITTEN_OUT, attention_by
from bench.methods import Method
from bench.models import ENCODER, ModelEntry
from bench.models.shapes import INTO_ATTENTION, head_parameters, layer, layer_count, linear_layers, query_size, targeted
from bench.precision import autocast
from bench.recipe import Recipe
from bench.tolerances import FLOPS_AGREEMENT

BATCH, LENGTH = 2, 32  # the shape all counts are made at


def probe(entry: ModelEntry, device: str) -> torch.Tensor:
    """Token ids of the fixed shape, the same for every case of a model."""
    generator = torch.Generator().manual_seed(0)
    low = min(10, entry.config["vocab_size"] - 1)
    return torch.randint(low, entry.config["vocab_size"], (BATCH, LENGTH), generator=generator).to(device)


def forward_formula(entry: ModelEntry, labels: int) -> int:
    """FLOPs of the base's forward pass over (BATCH, LENGTH) tokens."""
    tokens = BATCH * LENGTH
    weights = sum(one.inputs * one.outputs for one in linear_layers(entry))
    bias = labels  # the classifier's bias is no product
    head = head_parameters(entry, labels) - bias
    attention = 4 * layer_count(entry) * BATCH * LENGTH**2 * query_size(entry)
    return 2 * (weights + head) * tokens + attention


def step_formula(entry: ModelEntry, method: Method, recipe: Recipe, labels: int) -> int | None:
    """FLOPs of forward and backward: 3 forwards where all trains; where the base is frozen 2, and 3 of the adapter.

    None for methods whose update is not two thin products beside each layer.
    """
    forward = forward_formula(entry, labels)
    tokens = BATCH * LENGTH
    if recipe.gradient_checkpointing:
        return None  # a part of the forward pass runs twice
    if method.trains == "all":
        return 3 * forward
    if not method.is_adapter or method.count.__name__ != "low_rank" or method.name == "hira":
        return None
    adapter = 2 * tokens * method.count(targeted(entry, method.targets(entry)), entry, recipe)
    head = 2 * tokens * (head_parameters(entry, labels) - labels) if entry.kind == ENCODER else 0
    return 2 * forward + 3 * adapter + head - first_layer_input_gradient(entry, method, tokens)


def first_layer_input_gradient(entry: ModelEntry, method: Method, tokens: int) -> int:
    """What backward leaves out: nothing below the first layer's query, key and value asks for a gradient."""
    adapted = targeted(entry, method.targets(entry))
    into = sum(one.inputs * one.outputs for one in layer(entry) if one.name.endswith(INTO_ATTENTION))
    return 2 * tokens * into if adapted else 0


def packed_product(left: Any, packed: Any, shape: Any, *rest: Any, out_shape: Any = None, **more: Any) -> int:
    """FLOPs of bitsandbytes' product with packed weights of this (outputs, inputs) shape; left is a shape."""
    return 2 * math.prod(left) * shape[0]


def rows_product(left: Any, right: Any, *rest: Any, out_shape: Any = None, **more: Any) -> int:
    """FLOPs of left (tokens, inputs) times right (outputs, inputs) in int8."""
    return 2 * math.prod(left) * right[0]


def mixed_product(left: Any, quantised: Any, right: Any, *rest: Any, out_shape: Any = None, **more: Any) -> int:
    """FLOPs of LLM.int8()'s product on a card, as one dense product: the outliers' second one is not counted."""
    return rows_product(left, right)


def counter() -> FlopCounterMode:
    """torch's counter, taught bitsandbytes' fused products where it is loaded."""
    known = torch.ops.bitsandbytes
    mapping: dict[Any, Any] = {}
    if hasattr(known, "gemm_4bit"):
        mapping[known.gemm_4bit] = packed_product
    if hasattr(known, "int8_mixed_scaled_mm"):
        mapping[known.int8_mixed_scaled_mm] = mixed_product
    for name in ("int8_scaled_mm", "int8_linear_matmul"):
        if hasattr(known, name):
            mapping[getattr(known, name)] = rows_product
    return FlopCounterMode(display=False, custom_mapping=mapping)


def count_forward(model: Any, ids: torch.Tensor) -> int:
    """FLOPs of one forward pass by torch's FlopCounterMode."""
    with torch.no_grad(), counter() as counted:
        model(input_ids=ids)
    return counted.get_total_flops()


def count_step(model: Any, ids: torch.Tensor) -> int:
    """FLOPs of forward and backward by torch's FlopCounterMode; leaves no gradients."""
    with counter() as counted:
        model(input_ids=ids).logits.float().sum().backward()
    model.zero_grad(set_to_none=True)
    return counted.get_total_flops()


class Logits(nn.Module):
    """The model as a function of ids alone, which is what a trace can follow."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def count_by_trace(model: Any, ids: torch.Tensor) -> int:
    """FLOPs of one forward pass by fvcore, which counts a multiply-add as one; doubled here.

    Raises ImportError without fvcore, RuntimeError where the model cannot be traced.
    """
    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore").setLevel(logging.ERROR)  # it lists every elementwise operation it skips
    with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")  # tracing warns of every shape that becomes a constant
        analysis = (
            FlopCountAnalysis(Logits(model), ids).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        )
        return 2 * int(analysis.total())


def forward_figures(
    model: Any, entry: ModelEntry, method: Method, recipe: Recipe, labels: int
) -> tuple[dict[str, Any], list[str]]:
    """The base's forward pass by the three routes, and why a route is missing or differs by more than the tolerance."""
    ids = probe(entry, next(model.parameters()).device.type)
    reasons = []
    with attention_by(model, WRITTEN_OUT), autocast(recipe, ids.device.type):
        found: dict[str, Any] = {
            "flops_shape": [BATCH, LENGTH],
            "forward_flops": count_forward(model, ids),
            "forward_flops_formula": forward_formula(entry, labels),
        }
        try:
            if method.quantised:
                raise RuntimeError("it cannot follow bitsandbytes' packed weights")
            found["forward_flops_fvcore"] = count_by_trace(model, ids)
        except (ImportError, RuntimeError) as error:
            reasons.append(f"no FLOPs by fvcore: {str(error).splitlines()[0]}")
    expected = found["forward_flops_formula"]
    for route in ("forward_flops", "forward_flops_fvcore"):
        if route in found and abs(found[route] / expected - 1) > FLOPS_AGREEMENT:
            reasons.append(f"{route} is {found[route] / expected:.3f} of the formula's")
    return found, reasons


def step_figures(model: Any, entry: ModelEntry, method: Method, recipe: Recipe, labels: int) -> dict[str, Any]:
    """FLOPs of a training step at the fixed shape, counted and (where there is one) by formula."""
    ids = probe(entry, next(model.parameters()).device.type)
    with attention_by(model, WRITTEN_OUT), autocast(recipe, ids.device.type):
        step = count_step(model, ids)
    return {"step_flops": step, "step_flops_formula": step_formula(entry, method, recipe, labels)}
