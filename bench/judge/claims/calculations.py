"""The calculations an arithmetic claim may name. Each gives a figure in base units and says how it came about.

An argument annotated Operand (or Operands) takes numbers or ids of claims; figures stay with their names, so
that the sentence can show them.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.core.registry import Registry
from bench.judge.verdict import IMPLAUSIBLE, INCONSISTENT, REFUTED
from bench.models import MODELS
from bench.models.shapes import head_parameters, linear_layers, total_parameters
from bench.predict.formula.closed_form import closed_form
from bench.predict.question import ask
from bench.tasks.pos import bare_spans

FORWARD_AND_BACK = 4  # FLOPs of a frozen weight and token: 2 forward, 2 for the gradient of its input
RECOMPUTED = 2  # and with gradient checkpointing 2 for the forward pass again


@dataclass(frozen=True)
class Operand:
    """A number in base units; place is where the source prints it, shown as it is printed."""

    value: float
    shown: str
    place: str = ""


Operands = list[Operand]


@dataclass(frozen=True)
class Result:
    """how: the figures and their signs; empty where the source itself prints the value elsewhere."""

    value: float
    how: str


@dataclass(frozen=True)
class Calculation:
    """An entry. run(**arguments) -> Result; fails_as: the verdict where a claim disagrees with it."""

    name: str
    says: str
    run: Callable[..., Result]
    fails_as: str


CALCULATIONS: Registry[Calculation] = Registry("calculation")


def listed(operands: Operands, sign: str) -> str:
    return f" {sign} ".join(operand.shown for operand in operands)


@CALCULATIONS.add("average", Calculation, fails_as=INCONSISTENT)
def average(of: Operands) -> Result:
    """The mean of a row."""
    return Result(sum(operand.value for operand in of) / len(of), f"({listed(of, '+')}) / {len(of)}")


@CALCULATIONS.add("total", Calculation, fails_as=INCONSISTENT)
def total(of: Operands) -> Result:
    """The sum."""
    return Result(sum(operand.value for operand in of), listed(of, "+"))


@CALCULATIONS.add("quotient", Calculation, fails_as=INCONSISTENT)
def quotient(of: Operands, over: Operands) -> Result:
    """The product of `of` over the product of `over`: ratios, shares, rates, conversions."""
    above, below = math.prod(operand.value for operand in of), math.prod(operand.value for operand in over)
    return Result(above / below, f"{listed(of, '×')} / ({listed(over, '×')})")


@CALCULATIONS.add("same", Calculation, fails_as=INCONSISTENT)
def same(of: Operand) -> Result:
    """What the source says of the same quantity elsewhere."""
    return Result(of.value, "")


@CALCULATIONS.add("f1", Calculation, fails_as=INCONSISTENT)
def f1(precision: Operand, recall: Operand) -> Result:
    """The harmonic mean of precision and recall."""
    p, r = precision.value, recall.value
    return Result(2 * p * r / (p + r), f"2 PR / (P + R) with P = {precision.shown}, R = {recall.shown}")


@CALCULATIONS.add("seqeval_f1_over_accuracy", Calculation, fails_as=REFUTED)
def seqeval_f1_over_accuracy(gold: str, predicted: str) -> Result:
    """How far seqeval's F1 on bare tags stands above the share of words that are right; one tag a word."""
    right, taken = gold.split(), predicted.split()
    found = bare_spans([right], [taken])["seqeval_f1"]
    agree = sum(a == b for a, b in zip(right, taken, strict=True))
    how = (
        f"F1 {found:g} of seqeval - accuracy {agree / len(right):g}, where the words {gold} are taken for {predicted} "
        f"and {agree} of {len(right)} are right"
    )
    return Result(found - agree / len(right), how)


@CALCULATIONS.add("steps", Calculation, fails_as=INCONSISTENT)
def steps(rows: Operand, batch: Operand, accumulation: Operand) -> Result:
    """Optimizer steps of one epoch: the last may be smaller."""
    figure = math.ceil(rows.value / (batch.value * accumulation.value))
    return Result(figure, f"⌈{rows.shown} / ({batch.shown} × {accumulation.shown})⌉")


@CALCULATIONS.add("largest_ratio", Calculation, fails_as=INCONSISTENT)
def largest_ratio(of: Operands, over: Operands) -> Result:
    """Of figures in pairs, the largest quotient: the best speed-up at equal settings."""
    pairs = list(zip(of, over, strict=True))
    best = max(pairs, key=lambda pair: pair[0].value / pair[1].value)
    return Result(best[0].value / best[1].value, f"{best[0].shown} / {best[1].shown}, the largest of {len(pairs)}")


@CALCULATIONS.add("smallest_step_down", Calculation, fails_as=INCONSISTENT)
def smallest_step_down(of: Operands) -> Result:
    """In a row of figures, the least quotient of a figure and the next: above 1 where all fall."""
    pairs = list(itertools.pairwise(of))
    least = min(pairs, key=lambda pair: pair[0].value / pair[1].value)
    return Result(least[0].value / least[1].value, f"{least[0].shown} / {least[1].shown}, the least of {len(pairs)}")


@CALCULATIONS.add("largest_step", Calculation, fails_as=INCONSISTENT)
def largest_step(of: Operands) -> Result:
    """In a row of figures, the largest change from the first to any later one."""
    last = max(of[1:], key=lambda operand: operand.value)
    return Result(last.value - of[0].value, f"{last.shown} - {of[0].shown}, the largest of {len(of) - 1}")


@CALCULATIONS.add("least_flops", Calculation, fails_as=IMPLAUSIBLE)
def least_flops(model: str, rows: Operand, tokens_per_row: Operand, checkpointing: bool = False) -> Result:
    """FLOPs below which no LoRA run can stay: 4 a weight and token, attention and the adapter left out."""
    weights = product_weights(model)
    each = FORWARD_AND_BACK + RECOMPUTED * checkpointing
    how = f"{each} × {weights:,} weights in products × {rows.shown} rows × {tokens_per_row.shown} tokens"
    return Result(each * weights * rows.value * tokens_per_row.value, how)


@CALCULATIONS.add("weight_bytes", Calculation, fails_as=IMPLAUSIBLE)
def weight_bytes(model: str, bits: int, embedding_bits: int = 16) -> Result:
    """Bytes of the weights alone: linear layers in `bits`, embeddings and head in embedding_bits."""
    linear = sum(layer.inputs * layer.outputs for layer in linear_layers(MODELS[model]))
    rest = total_parameters(MODELS[model]) - linear
    how = f"{linear:,} weights of {bits} bits and {rest:,} of {embedding_bits}"
    return Result((linear * bits + rest * embedding_bits) / 8, how)


@CALCULATIONS.add("training_bytes", Calculation, fails_as=REFUTED)
def training_bytes(model: str, method: str, batch: int, length: int) -> Result:
    """Predicted bytes of the tensors at the peak of training, by the closed form; every row of this length."""
    asked = ask(model, method, batch_size=batch, max_length=length)
    how = f"predicted for {model} × {method}, batch {batch} × {length} tokens, by the closed form"
    return Result(closed_form(asked).peak_bytes, how)


@CALCULATIONS.add("packed_parameters", Calculation, fails_as=REFUTED)
def packed_parameters(model: str) -> Result:
    """What counting elements gives where two 4-bit weights of a linear layer share a byte."""
    linear = sum(layer.inputs * layer.outputs for layer in linear_layers(MODELS[model]))
    rest = total_parameters(MODELS[model]) - linear
    return Result(linear // 2 + rest, f"{linear:,} / 2 packed + {rest:,}")


@CALCULATIONS.add("base_parameters", Calculation, fails_as=REFUTED)
def base_parameters(model: str) -> Result:
    """All parameters of the model without an adapter."""
    return Result(total_parameters(MODELS[model]), f"all parameters of {model}")


def product_weights(model: str) -> int:
    """Weights that every token is multiplied with: the linear layers and the output matrix."""
    entry: Any = MODELS[model]
    return sum(layer.inputs * layer.outputs for layer in linear_layers(entry)) + head_parameters(entry, 0)
