"""A verdict: a state, and a sentence with observed, expected, tolerance, place and what it rests on."""

from collections.abc import Callable
from dataclasses import dataclass, field

CONFIRMED = "confirmed"
REFUTED = "refuted"
INCONSISTENT = "inconsistent"  # the source contradicts itself
IMPLAUSIBLE = "implausible"  # it breaks a physical bound
INCONCLUSIVE = "inconclusive"  # too few examples or seeds
NOT_RUN = "not_run"  # something is missing
STATES = (CONFIRMED, REFUTED, INCONSISTENT, IMPLAUSIBLE, INCONCLUSIVE, NOT_RUN)


@dataclass(frozen=True)
class Verdict:
    """What is known of a claim. p_value: of the test behind a statistical verdict, None where none was made.

    seeds: over whose spread that test was made; 0 where it was made over examples or steps. p_with: the p-value that
    so many seeds of the same mean and spread would have.
    """

    claim: str
    state: str
    says: str
    records: tuple[str, ...] = ()  # RUN/case-id
    p_value: float | None = None
    seeds: int = 0
    p_with: Callable[[int], float] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state={self.state!r} must be one of {', '.join(STATES)}")
