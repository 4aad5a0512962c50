"""The sentence of a measured verdict: observed, expected, tolerance, place, and what would settle an open one."""

import math
from collections.abc import Sequence

from bench.core.case import parse_case
from bench.judge.claims.claim import Claim
from bench.judge.claims.vocabulary import ABOVE, AT_LEAST, AT_MOST, BELOW, BETWEEN, EQUAL, SIGNS, WITHIN
from bench.judge.statistics import Estimate, counts_above, units_needed
from bench.judge.verdict import PROCESSES, ROUNDS, SEEDS, STEPS, Verdict
from bench.models import MODELS

LEAST_P = 1e-12
SHOWN_UNITS = {ROUNDS: "rounds or steps"}  # steps are rounds; several count as one
SINGULAR = {SEEDS: "seed", PROCESSES: "process", STEPS: "step"}


def bounds(claim: Claim) -> tuple[float, float]:
    """The range, in base units, in which the figure must lie for the claim to hold."""
    first, slack, endless = claim.value[0], claim.tolerance, float("inf")
    return {
        AT_LEAST: (first - slack, endless),
        ABOVE: (first + slack, endless),
        AT_MOST: (-endless, first + slack),
        BELOW: (-endless, first - slack),
        EQUAL: (first - slack, first + slack),
        WITHIN: (-first - slack, first + slack),
        BETWEEN: (first - slack, claim.value[-1] + slack),
    }[claim.comparator]


def prefix(claim: Claim) -> str:
    return f"stand-in {claim.protocol.model} for {claim.stand_in_for}: " if claim.stand_in_for else ""


def subject(claim: Claim) -> str:
    by = claim.by
    text = f"{by['figure']} of {by['case']}"
    if "against" in by or "against_figure" in by:
        word = "over" if claim.unit == "x" else "less"
        text += f" {word} {by.get('against_figure', by['figure'])} of {by.get('against', by['case'])}"
    return text


def sentence(claim: Claim, estimate: Estimate, p_value: float | None) -> str:
    """Observed with interval and sample, expected with tolerance and place, the smallest detectable difference."""
    tolerance = f" (tolerance {claim.number_text(claim.tolerance)})" if claim.tolerance else ""
    says = f"{subject(claim)} is {claim.number_text(estimate.value)}{interval_words(claim, estimate)}"
    says += f"; {claim.place} says {SIGNS[claim.comparator]}{claim.shown_value()}{tolerance}"
    return says if p_value is None else f"{says}; {shown_p(p_value)}"


def interval_words(claim: Claim, estimate: Estimate) -> str:
    if len(set(estimate.values)) > 1:
        low, high = claim.number_text(estimate.low), claim.number_text(estimate.high)
        return f" ({low} to {high} in {len(estimate.values)} records; exact, so no test)"
    if estimate.error == 0:
        return ""
    if math.isinf(estimate.error) and estimate.examples:
        low, high = claim.number_text(estimate.low), claim.number_text(estimate.high)
        return f" (95 % {low} to {high} over {estimate.examples:,} examples of one seed, whose own noise is not stated)"
    if math.isinf(estimate.error):
        return f" (one of {SHOWN_UNITS.get(estimate.unit, estimate.unit)}, no interval)"
    size = sample_words(estimate.sample, estimate.unit) + (
        f", {estimate.examples:,} examples" * bool(estimate.examples)
    )
    return (
        f" (95 % {claim.number_text(estimate.low)} to {claim.number_text(estimate.high)}; {size}; "
        f"could have seen {claim.number_text(estimate.smallest_seen())})"
    )


def sample_words(count: int, unit: str) -> str:
    """3 seeds, 1 seed, 7 rounds or steps of one process each"""
    if unit == ROUNDS:
        return f"{count} {SHOWN_UNITS[unit]} of one process each"
    return f"{count} {unit if count != 1 else SINGULAR[unit]}"


def shown_p(p_value: float) -> str:
    """p = 0.035; a value that floating point cannot distinguish from 0 is only called small."""
    return f"p < {LEAST_P:g}" if p_value < LEAST_P else f"p = {p_value:.2g}"


def enough(verdict: Verdict, others: Sequence[float]) -> str:
    """How many units would decide the same test with the same spread, corrected together with the others."""
    words = SHOWN_UNITS.get(verdict.unit, verdict.unit)
    if verdict.p_with is None:
        return f"; more {words} are needed"
    needed = units_needed(verdict.p_with, counts_above(verdict.sample, verdict.unit), others)
    if needed:
        return f"; at least {needed} {words} like these would decide"
    more = ", several processes on each side may" if verdict.unit == ROUNDS else ""
    return f"; no number of {words} would decide{more}"


def missing(claim: Claim, suite: str = "suites/test_quality.py") -> str:
    """What is missing, and the command that would settle it."""
    cases = [parse_case(f"{claim.by[key]}-s0") for key in ("case", "against") if key in claim.by]
    first = cases[0]
    needs = []
    if first.device != "cpu":
        needs.append("a CUDA device")
    if not MODELS[first.model].embedded:
        needs.append(f"the weights of {first.model}")
    if claim.by["data"] == "full":
        needs.append("the full data")
    methods = ",".join(dict.fromkeys(case.method for case in cases))
    tasks = ",".join(dict.fromkeys(case.task for case in cases))
    words = [f"pytest {suite}", f"--tasks {tasks} --models {first.model} --methods {methods}"]
    seeds = ",".join(map(str, range(claim.by.get("seeds", 1))))
    words += [f"--devices {first.device} --seeds {seeds} --data {claim.by['data']}"]
    if claim.by["data"] == "full":
        words += ["--mirror DIR -m slow"]
    return f"needs {' and '.join(needs) or 'a run'}: {' '.join(words)}"
