"""FLOPs, one multiply-add counted as two: of the base's forward pass by three routes, and of a training step.

The routes: torch's FlopCounterMode (what dispatch runs), fvcore (what a trace shows), and the formula
2 N T + 4 L T^2 H from the architecture's numbers. Each is made at the shapes of `shapes`, two of them lengths, so that
attention's growth is checked too. Attention is written out as matrix products. Counting runs on an outline of the
model without storage, and FLOPs are exact: equal on every machine for the same libraries. What is counted and what
is not: `bench.records.work`.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.core.recipe import Recipe
from bench.methods import ALL, Method
from bench.methods.tolerances import FLOPS_AGREEMENT
from bench.models import ENCODER, ModelEntry
from bench.models.families import FIRST_NORM
from bench.models.shapes import (
    head_parameters,
    layer,
    layer_count,
    linear_layers,
    positions,
    query_size,
    target_layers,
)
from bench.records.work import HARDWARE, MODEL
from bench.worker.build.attention import WRITTEN_OUT, attention_by
from bench.worker.measure.outline import PackedLinear, are_alike, layers_of, outline, without_recomputation

SHORT, LONG = 32, 128  # tokens of a row that is counted
LEAST = 2  # tokens of the longer one: the shorter has half
Shape = tuple[int, int]  # rows, tokens of a row


def shapes(entry: ModelEntry, recipe: Recipe) -> list[Shape]:
    """Where FLOPs are counted: one and two short rows, and two long ones; shorter where the model ends before.

    Raises ValueError where virtual tokens leave no room for rows of two lengths.
    """
    long = min(LONG, positions(entry) - recipe.virtual_tokens)
    if long < LEAST:
        raise ValueError(
            f"virtual_tokens = {recipe.virtual_tokens} leaves {max(long, 0)} of {entry.name}'s {positions(entry)} "
            f"positions, and FLOPs are counted on rows of at least {LEAST} tokens; lower virtual_tokens"
        )
    short = min(SHORT, long // 2)
    return [(1, short), (2, short), (2, long)]


def forward_formula(entry: ModelEntry, labels: int, shape: Shape) -> int:
    """FLOPs of the base's forward pass over rows x length tokens."""
    weights = sum(one.inputs * one.outputs for one in linear_layers(entry))
    bias = labels  # the classifier's bias is not a product
    head = head_parameters(entry, labels) - bias
    return 2 * (weights + head) * shape[0] * shape[1] + 2 * layer_count(entry) * attention_product(entry, shape)


def step_formula(entry: ModelEntry, method: Method, recipe: Recipe, labels: int, shape: Shape) -> int | None:
    """Model FLOPs of a step: 3 forwards where all trains; where the base is frozen 2, and 3 of adapter and attention.

    Nothing below the first layer's queries, keys and values asks for a gradient, nor do those that are not adapted.
    None for adapters whose update is not two thin products beside each layer, and where none of these is adapted.
    """
    forward = forward_formula(entry, labels, shape)
    tokens = shape[0] * shape[1]
    if method.trains == ALL:
        return 3 * forward
    if not method.thin_products or method.count is None:
        return None
    adapted = target_layers(entry, method.targets(entry))
    into = [one for one in layer(entry) if one.reads == FIRST_NORM]
    if not any(one in adapted for one in into):
        return None
    adapter = 2 * tokens * method.count(adapted, entry, recipe)
    attention = attention_product(entry, shape)
    head = 2 * tokens * (head_parameters(entry, labels) - labels) if entry.kind == ENCODER else 0
    not_asked = 2 * tokens * sum(one.inputs * (one.outputs + recipe.rank * (one in adapted)) for one in into)
    not_asked += attention * sum(one not in adapted for one in into)
    return 2 * forward + 3 * adapter + 2 * layer_count(entry) * attention + head - not_asked


def attention_product(entry: ModelEntry, shape: Shape) -> int:
    """FLOPs of one of a layer's two products of attention: scores, or their use."""
    rows, length = shape
    return 2 * rows * length**2 * query_size(entry)


class Logits(nn.Module):
    """The model as a function of ids alone, which is what a trace can follow."""

    def __init__(self, model: Any, entry: ModelEntry) -> None:
        super().__init__()
        self.model = model
        self.masked = entry.kind != ENCODER  # without a mask a decoder looks into its positions for packed rows

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        mask = torch.ones_like(ids) if self.masked else None
        return self.model(input_ids=ids, attention_mask=mask).logits


def ids_of(shape: Shape) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.long, device="meta")


def count_forward(model: Logits, shape: Shape) -> int:
    """FLOPs of one forward pass by torch's FlopCounterMode."""
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        model(ids_of(shape))
    return counted.get_total_flops()


def count_step(model: Logits, shape: Shape) -> int:
    """FLOPs of forward and backward by torch's FlopCounterMode."""
    with FlopCounterMode(display=False) as counted:
        model(ids_of(shape)).sum().backward()
    model.zero_grad(set_to_none=True)
    return counted.get_total_flops()


def count_by_trace(model: Logits, shape: Shape) -> int:
    """FLOPs of one forward pass by fvcore, which counts a multiply-add as one; doubled here.

    Raises ImportError without fvcore, RuntimeError where the model cannot be traced.
    """
    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore").setLevel(logging.ERROR)  # it lists every elementwise operation it skips
    with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")  # tracing warns of every shape that becomes a constant
        analysis = (
            FlopCountAnalysis(model, ids_of(shape)).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        )
        return 2 * int(analysis.total())


class Outlines:
    """A model's outlines of few layers, from which the count of all its layers follows.

    Where all layers are alike each but the first adds as much as the second: into the first no gradient may go. A
    model whose layers differ is counted whole. packed: the class of packed layers' outlines; spare: with gradient
    checkpointing taken off.
    """

    def __init__(self, model: Any, entry: ModelEntry, packed: type[nn.Linear], spare: bool = False) -> None:
        layers = layers_of(model, entry)
        self.layers = len(layers)
        kept = [1, 2] if self.layers > 2 and are_alike(layers) else [self.layers]
        with attention_by(model, WRITTEN_OUT):
            found = [outline(model, layers, few, packed) for few in kept]
        self.models = [Logits(without_recomputation(one) if spare else one, entry) for one in found]

    def count(self, by: Callable[[Logits, Shape], int], shape: Shape) -> int:
        """The count of the whole model at this shape."""
        counts = [by(model, shape) for model in self.models]
        return counts[0] + (self.layers - 1) * (counts[-1] - counts[0])

    def added_positions(self) -> int:
        """How many positions the model puts before a row's tokens."""
        with torch.no_grad():
            return int(self.models[0](ids_of((1, 8))).shape[1]) - 8


def forward_counts(
    model: Any, entry: ModelEntry, recipe: Recipe, labels: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """The base's forward pass by the three routes, and why a route is missing or differs by more than the tolerance.

    fvcore traces the last shape alone: a trace takes as long as all other counts.
    """
    outlines = Outlines(model, entry, nn.Linear)  # a trace does not see into a function with a backward of its own
    counts: list[dict[str, Any]] = [
        {
            "rows": shape[0],
            "length": shape[1],
            "forward": outlines.count(count_forward, shape),
            "forward_formula": forward_formula(entry, labels, shape),
        }
        for shape in shapes(entry, recipe)
    ]
    reasons = []
    try:
        counts[-1]["forward_fvcore"] = outlines.count(count_by_trace, shapes(entry, recipe)[-1])
    except (ImportError, RuntimeError) as error:
        reasons.append(f"no FLOPs by fvcore: {str(error).splitlines()[0]}")
    for found in counts:
        for route in ("forward", "forward_fvcore"):
            share = found.get(route, found["forward_formula"]) / found["forward_formula"]
            if abs(share - 1) > FLOPS_AGREEMENT:
                at = f"{found['rows']} x {found['length']} tokens"
                reasons.append(f"{route} FLOPs at {at} are {share:.3f} of the formula's")
    return counts, reasons


def step_counts(
    model: Any, entry: ModelEntry, method: Method, recipe: Recipe, labels: int, head_again: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """FLOPs of a training step at each shape, and the positions that the method adds to a row.

    model_step and hardware_step: without and with what is computed twice; model_step_formula: None where there is
    none. head_again: the backward pass computes the logits once more.
    """
    once = Outlines(model, entry, PackedLinear, spare=recipe.gradient_checkpointing)
    twice = Outlines(model, entry, PackedLinear) if recipe.gradient_checkpointing else once
    added = once.added_positions()
    head = 2 * (head_parameters(entry, labels) - labels) if head_again else 0
    counts: list[dict[str, Any]] = []
    for shape in shapes(entry, recipe):
        model_step = once.count(count_step, shape)
        hardware_step = model_step if twice is once else twice.count(count_step, shape)
        counts.append(
            {
                "rows": shape[0],
                "length": shape[1],
                MODEL: model_step,
                HARDWARE: hardware_step + head * shape[0] * (shape[1] + added),
                "model_step_formula": step_formula(entry, method, recipe, labels, shape),
            }
        )
    return counts, added
