"""A verdict: a state, and a sentence with observed, expected, tolerance, place and what it rests on."""

from collections.abc import Callable
from dataclasses import dataclass, field

CONFIRMED = "confirmed"
REFUTED = "refuted"
INCONSISTENT = "inconsistent"  # the source contradicts itself
IMPLAUSIBLE = "implausible"  # it breaks a physical bound
POSSIBLE = "possible"  # nothing contradicts it, and nothing confirms it: a bound is kept, or a figure is inferred
INCONCLUSIVE = "inconclusive"  # too few examples or seeds
NOT_RUN = "not_run"  # something is missing
OUTCOMES = (CONFIRMED, REFUTED, INCONSISTENT, IMPLAUSIBLE, POSSIBLE, INCONCLUSIVE, NOT_RUN)  # that a claim may expect
ERROR = "error"  # this project contradicts itself, so nothing is known of the source
STATES = (*OUTCOMES, ERROR)

SEEDS, PROCESSES, ROUNDS, STEPS = "seeds", "processes", "rounds", "steps"  # what a test is made over


@dataclass(frozen=True)
class Verdict:
    """What is known of a claim. p_value: of the test behind a statistical verdict, None where none was made.

    sample: over how many units that test was made, and unit what they are; p_with: the p-value that so many units of
    the same mean and spread would have in the same test. None where more of them would not help.
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
