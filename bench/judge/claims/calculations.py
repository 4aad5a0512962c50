"""The calculations that an arithmetic claim may name. Each returns a figure in base units and the sum behind it.

An argument annotated Operand (or Operands) takes numbers with their unit and place, or ids of claims. The sum shows
the figures as they are printed, so a reader can check it.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.registry import Registry
from bench.judge.verdict import IMPLAUSIBLE, INCONSISTENT, REFUTED
from bench.models import MODELS
from bench.models.shapes import head_parameters, linear_layers, total_parameters
from bench.predict.formula.closed_form import closed_form
from bench.predict.question import ask
from bench.tasks.pos import bare_spans

FORWARD_AND_BACK = 4  # FLOPs per frozen weight and token: 2 forward, 2 for the gradient of its input
RECOMPUTED = 2  # with gradient checkpointing, 2 more for the second forward pass
MOST_BITS = 64
LIKE, QUOTIENT = "like", "quotient"  # a result's dimension: that of the operands, or that of their quotient
LEAST, MOST = "least", "most"  # the result is a bound: the true figure is at least, or at most, this


class BadArgument(ValueError):
    """The calculation cannot take an argument; key is the argument's name."""

    def __init__(self, key: str, says: str) -> None:
        super().__init__(says)
        self.key = key


@dataclass(frozen=True)
class Operand:
    """A number in base units, shown as printed at place; dimension is "" if unknown.

    inferred: the source does not print it, so nothing that follows from it confirms a claim.
    """

    value: float
    shown: str
    place: str = ""
    dimension: str = ""
    inferred: bool = False


Operands = list[Operand]
NO_BITS = Operand(0, "0 bits")


@dataclass(frozen=True)
class Result:
    """how: the sum that gives the value, in printed figures; for a single figure, what the source says elsewhere."""

    value: float
    how: str


@dataclass(frozen=True)
class Calculation:
    """An entry. run(**arguments) -> Result; fails_as: the verdict if a claim disagrees with it.

    gives: LIKE, QUOTIENT, or the result's dimension; takes: the dimension of operands, if it is fixed.
    bound: LEAST or MOST if the result is a bound, not the figure itself.
    check(**arguments): raises BadArgument; without it, the calculation itself is tried.
    """

    name: str
    says: str
    run: Callable[..., Result]
    fails_as: str
    gives: str = LIKE
    takes: Mapping[str, str] = field(default_factory=dict)
    bound: str = ""
    check: Callable[..., None] | None = None


CALCULATIONS: Registry[Calculation] = Registry("calculation")


def join_operands(operands: Operands, sign: str) -> str:
    shown = [operand.shown for operand in operands]
    if sign == "×" and len(shown) > 1:
        shown = [text.removesuffix("×") for text in shown]  # the sign would stand twice
    text = f" {sign} ".join(shown)
    return f"({text})" if len(operands) > 1 else text


def nonzero(operands: Operands, key: str) -> None:
    """Raise BadArgument if one of them is 0: it is a divisor."""
    if any(operand.value == 0 for operand in operands):
        raise BadArgument(key, "holds a 0, by which nothing can be divided")


def several(operands: Operands, key: str) -> None:
    """Raise BadArgument for a single figure, which has no next one."""
    if len(operands) < 2:
        raise BadArgument(key, f"{len(operands)} figure is no row; give at least 2")


def pair_operands(of: Operands, over: Operands) -> list[tuple[Operand, Operand]]:
    """The two lists in pairs. Raises BadArgument for lists of unequal length, and for a 0 in over."""
    if len(of) != len(over):
        raise BadArgument("over", f"is {len(over)} long, and of is {len(of)} long; they must be pairs")
    nonzero(over, "over")
    return list(zip(of, over, strict=True))


@CALCULATIONS.add("average", Calculation, fails_as=INCONSISTENT)
def average(of: Operands) -> Result:
    """The mean of a row."""
    return Result(sum(operand.value for operand in of) / len(of), f"{join_operands(of, '+')} / {len(of)}")


@CALCULATIONS.add("total", Calculation, fails_as=INCONSISTENT)
def total(of: Operands) -> Result:
    """The sum."""
    return Result(sum(operand.value for operand in of), join_operands(of, "+"))


@CALCULATIONS.add("quotient", Calculation, fails_as=INCONSISTENT, gives=QUOTIENT)
def quotient(of: Operands, over: Operands) -> Result:
    """The product of `of` over the product of `over`: ratios, shares, rates, conversions."""
    nonzero(over, "over")
    above, below = math.prod(operand.value for operand in of), math.prod(operand.value for operand in over)
    return Result(above / below, f"{join_operands(of, '×')} / {join_operands(over, '×')}")


@CALCULATIONS.add("ratio_of_averages", Calculation, fails_as=INCONSISTENT, gives="ratio")
def ratio_of_averages(of: Operands, over: Operands) -> Result:
    """The mean of one row over the mean of another."""
    above, below = average(of), average(over)
    if below.value == 0:
        raise BadArgument("over", "averages 0, by which nothing can be divided")
    return Result(above.value / below.value, f"({above.how}) / ({below.how})")


@CALCULATIONS.add("same", Calculation, fails_as=INCONSISTENT)
def same(of: Operand) -> Result:
    """What the source says of the same quantity elsewhere."""
    return Result(of.value, f"elsewhere {of.shown}")


@CALCULATIONS.add("part_of", Calculation, fails_as=INCONSISTENT, bound=MOST)
def part_of(of: Operand) -> Result:
    """The whole that the source prints: a part of it is no more."""
    return Result(of.value, of.shown)


@CALCULATIONS.add("f1", Calculation, fails_as=INCONSISTENT, gives="fraction",
                  takes={"precision": "fraction", "recall": "fraction"})  # fmt: skip
def f1(precision: Operand, recall: Operand) -> Result:
    """The harmonic mean of precision and recall."""
    p, r = precision.value, recall.value
    if p + r == 0:
        raise BadArgument("precision", "and recall are both 0, of which there is no harmonic mean")
    above, below = f"2 × {precision.shown} × {recall.shown}", f"({precision.shown} + {recall.shown})"
    return Result(2 * p * r / (p + r), f"{above} / {below}")


def one_tag_a_word(gold: str, predicted: str) -> None:
    """Raise BadArgument if there is no word, or if the numbers of tags differ."""
    if not gold.split() or len(gold.split()) != len(predicted.split()):
        raise BadArgument("predicted", f"has {len(predicted.split())} tags for {len(gold.split())} words of gold")


@CALCULATIONS.add("seqeval_f1_over_accuracy", Calculation, fails_as=REFUTED, gives="fraction", check=one_tag_a_word)
def seqeval_f1_over_accuracy(gold: str, predicted: str) -> Result:
    """How far seqeval's F1 on bare tags stands above the share of words that are right; one tag a word."""
    right, taken = gold.split(), predicted.split()
    found = bare_spans([right], [taken])["seqeval_f1"]
    agree = sum(a == b for a, b in zip(right, taken, strict=True))
    taken_for = f"where the words {gold} are taken for {predicted}, F1 of seqeval less accuracy"
    how = f"{taken_for}: {found:g} - {agree} / {len(right)}"
    return Result(found - agree / len(right), how)


@CALCULATIONS.add("steps", Calculation, fails_as=INCONSISTENT, gives="steps", takes={"rows": "rows"})
def steps(rows: Operand, batch: Operand, accumulation: Operand) -> Result:
    """Optimizer steps of one epoch: the last may be smaller."""
    nonzero([batch, accumulation], "batch")
    figure = math.ceil(rows.value / (batch.value * accumulation.value))
    return Result(figure, f"⌈{rows.shown} / ({batch.shown} × {accumulation.shown})⌉")


@CALCULATIONS.add("least_rows", Calculation, fails_as=IMPLAUSIBLE, bound=LEAST, gives="rows",
                  takes={"rate": "samples per second", "seconds": "time", "share": "fraction"})  # fmt: skip
def least_rows(rate: Operand, seconds: Operand, share: Operand) -> Result:
    """Rows of the data that a run saw this share of: no fewer can have been collected."""
    nonzero([share], "share")
    return Result(rate.value * seconds.value / share.value, f"{rate.shown} × {seconds.shown} / {share.shown}")


@CALCULATIONS.add("largest_ratio", Calculation, fails_as=INCONSISTENT, gives="ratio")
def largest_ratio(of: Operands, over: Operands) -> Result:
    """Of figures in pairs, the largest quotient: the best speed-up at equal settings."""
    pairs = pair_operands(of, over)
    ratios = ", ".join(f"{above.shown} / {below.shown}" for above, below in pairs)
    return Result(max(above.value / below.value for above, below in pairs), f"the largest of {ratios}")


@CALCULATIONS.add("smallest_step_down", Calculation, fails_as=INCONSISTENT, gives="ratio")
def smallest_step_down(of: Operands) -> Result:
    """In a row of figures, the least quotient of a figure and the next: above 1 where all fall."""
    several(of, "of")
    nonzero(of[1:], "of")
    pairs = list(itertools.pairwise(of))
    ratios = ", ".join(f"{first.shown} / {second.shown}" for first, second in pairs)
    return Result(min(first.value / second.value for first, second in pairs), f"the least of {ratios}")


def changes(of: Operands) -> tuple[list[float], str]:
    """The changes from the first figure of a row to each later one, and the same as text."""
    several(of, "of")
    return [later.value - of[0].value for later in of[1:]], ", ".join(
        f"{later.shown} - {of[0].shown}" for later in of[1:]
    )


@CALCULATIONS.add("largest_step", Calculation, fails_as=INCONSISTENT)
def largest_step(of: Operands) -> Result:
    """In a row of figures, the change from the first that is greatest in size, with its sign."""
    found, text = changes(of)
    return Result(max(found, key=abs), f"the largest in size of {text}")


@CALCULATIONS.add("largest_rise", Calculation, fails_as=INCONSISTENT)
def largest_rise(of: Operands) -> Result:
    """In a row of figures, how far a later one stands above the first; below 0 where all fall."""
    found, text = changes(of)
    return Result(max(found), f"the largest of {text}")


@CALCULATIONS.add("least_flops", Calculation, fails_as=IMPLAUSIBLE, bound=LEAST, gives="flop",
                  takes={"rows": "rows", "tokens_per_row": "tokens"})  # fmt: skip
def least_flops(model: str, rows: Operand, tokens_per_row: Operand, checkpointing: bool = False) -> Result:
    """FLOPs below which no LoRA run can stay: 4 a weight and token, attention and the adapter left out."""
    weights = product_weights(model)
    each = FORWARD_AND_BACK + RECOMPUTED * checkpointing
    how = f"{each} FLOP × {weights:,} weights in products of {model} × {rows.shown} × {tokens_per_row.shown} a row"
    return Result(each * weights * rows.value * tokens_per_row.value, how)


def bits_each(bits: int, constants_bits: Operand) -> str:
    """The bits of one weight as text, with its share of the quantization constants if there are any."""
    if constants_bits.value < 0:
        raise BadArgument("constants_bits", f"{constants_bits.shown} must be at least 0")
    return f"({bits} bits + {constants_bits.shown})" if constants_bits.value else f"{bits} bits"


@CALCULATIONS.add("weight_bytes", Calculation, fails_as=IMPLAUSIBLE, bound=LEAST, gives="bytes",
                  takes={"constants_bits": "bits"})  # fmt: skip
def weight_bytes(
    model: str, bits: int, embedding_bits: int = 16, constants_bits: Operand = NO_BITS, gradients: bool = False
) -> Result:
    """Bytes of the weights alone: linear layers in `bits`, embeddings and head in embedding_bits.

    constants_bits: each linear weight's share of the quantization constants. gradients: every weight trains, and its
    gradient is held too, in as many bits.
    """
    for key, value in (("bits", bits), ("embedding_bits", embedding_bits)):
        if not 1 <= value <= MOST_BITS:
            raise BadArgument(key, f"{value} must be from 1 to {MOST_BITS}")
    linear = linear_parameters(model)
    rest = total_parameters(MODELS[model]) - linear
    how = f"({linear:,} weights in {model}'s linear layers × {bits_each(bits, constants_bits)} + "
    how += f"{rest:,} others × {embedding_bits} bits) / 8"
    figure = (linear * (bits + constants_bits.value) + rest * embedding_bits) / 8
    return Result(2 * figure, f"2 for weight and gradient × {how}") if gradients else Result(figure, how)


@CALCULATIONS.add("training_bytes", Calculation, fails_as=REFUTED, gives="bytes")
def training_bytes(model: str, method: str, batch: int, length: int) -> Result:
    """Predicted bytes of the tensors at the peak of training, by the closed form; every row of this length."""
    peaks = closed_form(ask(model, method, batch_size=batch, max_length=length))
    sum_of_terms = " + ".join(f"{size:,} {name.replace(',', '')}" for name, size in peaks.terms.items() if size)
    how = f"predicted for {model} by {method} at batch {batch} of {length} tokens by the closed form: {sum_of_terms}"
    return Result(peaks.peak_bytes, how)


@CALCULATIONS.add("packed_parameters", Calculation, fails_as=REFUTED, gives="parameters")
def packed_parameters(model: str) -> Result:
    """What counting elements gives where two 4-bit weights of a linear layer share a byte."""
    linear = linear_parameters(model)
    rest = total_parameters(MODELS[model]) - linear
    return Result(linear // 2 + rest, f"{linear:,} in {model}'s linear layers / 2 packed + {rest:,} others")


@CALCULATIONS.add("base_parameters", Calculation, fails_as=REFUTED, gives="parameters")
def base_parameters(model: str) -> Result:
    """All parameters of the model without an adapter."""
    return Result(total_parameters(MODELS[model]), all_of(model))


@CALCULATIONS.add("most_parameters", Calculation, fails_as=IMPLAUSIBLE, bound=MOST, gives="parameters")
def most_parameters(model: str) -> Result:
    """All parameters of the model: a method that trains a part of it trains no more."""
    return Result(total_parameters(MODELS[model]), all_of(model))


def all_of(model: str) -> str:
    linear = linear_parameters(model)
    return f"{linear:,} in {model}'s linear layers + {total_parameters(MODELS[model]) - linear:,} others"


def linear_parameters(model: str) -> int:
    """Weights of the transformer's linear layers: no head, no embeddings, no biases."""
    return sum(layer.inputs * layer.outputs for layer in linear_layers(MODELS[model]))


def product_weights(model: str) -> int:
    """Weights that every token is multiplied by: the linear layers and the output matrix."""
    entry: Any = MODELS[model]
    return linear_parameters(model) + head_parameters(entry, 0)
