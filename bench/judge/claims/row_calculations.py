"""Calculations on a source's own figures: products, differences, extremes of a row, factors between columns.

They extend calculations.py, which explains what a calculation is.
"""

import itertools
import math

from bench.judge.claims.calculations import (
    CALCULATIONS,
    QUOTIENT,
    BadArgument,
    Calculation,
    Operand,
    Operands,
    Result,
    join_operands,
    nonzero,
    pair_operands,
    several,
)
from bench.judge.verdict import INCONSISTENT, REFUTED


@CALCULATIONS.add("product", Calculation, fails_as=INCONSISTENT, gives=QUOTIENT)
def product(of: Operands) -> Result:
    """The figures multiplied."""
    return Result(math.prod(operand.value for operand in of), join_operands(of, "×"))


@CALCULATIONS.add("difference", Calculation, fails_as=INCONSISTENT)
def difference(of: Operand, less: Operand) -> Result:
    """The first figure less the second."""
    return Result(of.value - less.value, f"{of.shown} - {less.shown}")


@CALCULATIONS.add("increase", Calculation, fails_as=INCONSISTENT, gives="ratio")
def increase(of: Operand, over: Operand) -> Result:
    """By what share the first figure is above the second."""
    nonzero([over], "over")
    return Result(of.value / over.value - 1, f"{of.shown} / {over.shown} - 1")


@CALCULATIONS.add("decrease", Calculation, fails_as=INCONSISTENT, gives="ratio")
def decrease(of: Operand, over: Operand) -> Result:
    """By what share the first figure is below the second."""
    nonzero([over], "over")
    return Result(1 - of.value / over.value, f"1 - {of.shown} / {over.shown}")


@CALCULATIONS.add("sum_of_quotients", Calculation, fails_as=INCONSISTENT, gives=QUOTIENT)
def sum_of_quotients(of: Operands, over: Operands) -> Result:
    """Figures in pairs, each divided by its own, and added up: bits of constants that blocks of weights share."""
    pairs = pair_operands(of, over)
    how = " + ".join(f"{above.shown} / {below.shown}" for above, below in pairs)
    return Result(sum(above.value / below.value for above, below in pairs), how)


def enumerate_operands(of: Operands) -> str:
    return ", ".join(operand.shown for operand in of)


@CALCULATIONS.add("smallest", Calculation, fails_as=INCONSISTENT)
def smallest(of: Operands) -> Result:
    """The least figure of a row."""
    return Result(min(operand.value for operand in of), f"the least of {enumerate_operands(of)}")


@CALCULATIONS.add("largest", Calculation, fails_as=INCONSISTENT)
def largest(of: Operands) -> Result:
    """The greatest figure of a row."""
    return Result(max(operand.value for operand in of), f"the largest of {enumerate_operands(of)}")


@CALCULATIONS.add("smallest_growth", Calculation, fails_as=INCONSISTENT, gives="ratio")
def smallest_growth(of: Operands, over: Operands) -> Result:
    """Of quotients in pairs, the least factor from one to the next: above 1 where a gap grows all along."""
    gaps = pair_operands(of, over)
    several(of, "of")
    steps = list(itertools.pairwise(gaps))
    values = [(after[0].value / after[1].value) / (before[0].value / before[1].value) for before, after in steps]
    ratios = ", ".join(
        f"({after[0].shown} / {after[1].shown}) / ({before[0].shown} / {before[1].shown})" for before, after in steps
    )
    return Result(min(values), f"the least of {ratios}")


@CALCULATIONS.add("spread_ratio", Calculation, fails_as=INCONSISTENT, gives="ratio")
def spread_ratio(of: Operands, over: Operands) -> Result:
    """The largest less the smallest figure of a row, over that of another: below 1 where the first is steadier."""
    ends = [
        (max(row, key=lambda operand: operand.value), min(row, key=lambda operand: operand.value)) for row in (of, over)
    ]
    (high, low), (other_high, other_low) = ends
    how = f"({high.shown} - {low.shown}) / ({other_high.shown} - {other_low.shown})"
    if other_high.value == other_low.value:
        raise BadArgument("over", "holds one figure alone, whose spread is 0")
    return Result((high.value - low.value) / (other_high.value - other_low.value), how)


@CALCULATIONS.add("steps_ratio", Calculation, fails_as=INCONSISTENT, gives="ratio", takes={"rows": "rows"})
def steps_ratio(
    rows: Operand, batch: Operand, accumulation: Operand, other_batch: Operand, other_accumulation: Operand
) -> Result:
    """Optimizer steps of an epoch in one setting, over those in another."""
    own = math.ceil(rows.value / (batch.value * accumulation.value))
    other = math.ceil(rows.value / (other_batch.value * other_accumulation.value))
    how = (
        f"⌈{rows.shown} / ({batch.shown} × {accumulation.shown})⌉ / "
        f"⌈{rows.shown} / ({other_batch.shown} × {other_accumulation.shown})⌉"
    )
    return Result(own / other, how)


@CALCULATIONS.add("fibonacci_terms", Calculation, fails_as=REFUTED, gives="things")
def fibonacci_terms(given: str, answer: str) -> Result:
    """How many terms of an answer, from its first, are each the sum of the two before; given are the terms asked of."""
    terms = [int(term) for term in given.split(",")]
    start = len(terms)
    for term in (int(term) for term in answer.split(",")):
        if term != terms[-1] + terms[-2]:
            break
        terms.append(term)
    how = f"terms of {answer} that are the sum of the two before, after {given}"
    return Result(len(terms) - start, how)
