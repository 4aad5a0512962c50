"""A verdict: a state, and a sentence with observed, expected, tolerance, place and basis."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.records.record import NOT_RUN  # of a claim: something is missing

CONFIRMED = "confirmed"
REFUTED = "refuted"
INCONSISTENT = "inconsistent"  # the source contradicts itself
IMPLAUSIBLE = "implausible"  # it breaks a physical bound
POSSIBLE = "possible"  # nothing contradicts or confirms it: a bound is kept, or a figure is inferred
INCONCLUSIVE = "inconclusive"  # too few examples or seeds
OUTCOMES = (CONFIRMED, REFUTED, INCONSISTENT, IMPLAUSIBLE, POSSIBLE, INCONCLUSIVE, NOT_RUN)  # what a claim may expect
ERROR = "error"  # this project contradicts itself, so nothing is known about the source
STATES = (*OUTCOMES, ERROR)

SEEDS, PROCESSES, ROUNDS, STEPS = "seeds", "processes", "rounds", "steps"  # units of a test


@dataclass(frozen=True)
class Verdict:
    """What is known about a claim. p_value: of the test behind a statistical verdict, None if there was no test.

    sample: how many units the test used, and unit their kind. p_with(n): the p-value that n units of the same mean and
    spread would have in the same test; None if more units would not help.
    """

    claim: str
    state: str
    says: str
    records: tuple[str, ...] = ()  # RUN/case-id
    p_value: float | None = None
    sample: int = 0
    unit: str = SEEDS
    p_with: Callable[[int], float] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state={self.state!r} must be one of {', '.join(STATES)}")
