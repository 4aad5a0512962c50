"""The sentence of a measured verdict: observed, expected, tolerance, place, and what would settle what is open."""

import math
from collections.abc import Sequence

from bench.core.case import parse_case
from bench.judge.claims.claim import Claim
from bench.judge.claims.vocabulary import ABOVE, AT_LEAST, AT_MOST, BELOW, BETWEEN, EQUAL, SIGNS, WITHIN
from bench.judge.statistics import Estimate, examples_needed, seeds_needed
from bench.judge.verdict import INCONCLUSIVE, Verdict
from bench.models import MODELS

LEAST_P = 1e-12


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


def sentence(claim: Claim, estimate: Estimate, state: str, p_value: float | None) -> str:
    """Observed with interval, expected with tolerance and place, seeds, and the smallest difference it could see."""
    tolerance = f" (tolerance {claim.shown(claim.tolerance)})" if claim.tolerance else ""
    says = f"{subject(claim)} is {claim.shown(estimate.value)}"
    if estimate.error and math.isfinite(estimate.error):
        seeds = f"{estimate.seeds} seed{'s' * (estimate.seeds != 1)}"
        size = f"{seeds}, {estimate.examples:,} examples or steps" if estimate.examples else seeds
        says += (
            f" (95 % {claim.shown(estimate.low)} to {claim.shown(estimate.high)}; {size}; "
            f"could have seen {claim.shown(estimate.smallest_seen())})"
        )
    elif estimate.error:
        says += " (one seed, no interval)"
    says += f"; {claim.place} says {SIGNS[claim.comparator]}{claim.shown_value()}{tolerance}"
    if p_value is not None:
        says += f"; {shown_p(p_value)}"
    if state != INCONCLUSIVE:
        return says
    return says + (enough_examples(claim, estimate) if estimate.seeds == 1 else "")


def shown_p(p_value: float) -> str:
    """p = 0.035; one that floating point cannot tell from 0 is only said to be small."""
    return f"p < {LEAST_P:g}" if p_value < LEAST_P else f"p = {p_value:.2g}"


def enough_seeds(verdict: Verdict, others: Sequence[float]) -> str:
    """How few seeds would decide if they spread as these did, beside the other tests that are corrected for."""
    needed = seeds_needed(verdict.p_with, verdict.seeds, others) if verdict.p_with else 0
    return f"; at least {needed} seeds like these would decide" if needed else "; more seeds are needed"


def enough_examples(claim: Claim, estimate: Estimate) -> str:
    """How many examples of a single seed would decide at the least."""
    distance = min(abs(estimate.value - bound) for bound in bounds(claim))
    needed = examples_needed(estimate, distance)
    return f"; at least {needed:,} examples or steps would decide" if needed else "; more seeds are needed"


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
