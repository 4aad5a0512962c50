"""Findings of a comparison: a figure of a case, its state, and a sentence."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

SAME = "same"
BETTER = "better"
WORSE = "worse"
CHANGED = "changed"  # differs, but is neither better nor worse
INCONCLUSIVE = "inconclusive"  # the noise is too large to tell
INCOMPARABLE = "incomparable"  # the two sides have different bases
MISSING = "missing"  # only the first run has it
NEW = "new"  # only the second run has it
STATES = (WORSE, MISSING, INCONCLUSIVE, INCOMPARABLE, CHANGED, BETTER, NEW, SAME)  # the most serious first
RED = (WORSE, MISSING)

STATUS, TESTS, EXACT, MEMORY, EVIDENCE, TRACE, QUALITY, PROBES, WARNINGS, TIME = KINDS = (
    "status", "tests", "exact", "memory", "evidence", "trace", "quality", "probes", "warnings", "time",
)  # fmt: skip

NOTHING_WORSE, SOMETHING_WORSE, NOTHING_COMPARABLE, UNDECIDED = 0, 1, 2, 3  # exit codes


@dataclass(frozen=True)
class Finding:
    """The result of a comparison for one figure. case: a case id; for quality over several seeds, one without its seed;
    for a test without a case, the test's id.

    before, after: the values as text; suspect: the likely cause of the difference; fresh: options of pytest suites that
    run the fresh seeds needed to decide; points_to_loss: for an inconclusive finding, whether the seeds show a loss
    rather than noise alone.
    """

    case: str
    kind: str
    state: str
    figure: str = ""
    says: str = ""
    before: str = ""
    after: str = ""
    suspect: str = ""
    fresh: tuple[str, ...] = ()
    points_to_loss: bool = False

    def __post_init__(self) -> None:
        for name, value, choices in (("state", self.state, STATES), ("kind", self.kind, KINDS)):
            if value not in choices:
                raise ValueError(f"{name}={value!r} must be one of {', '.join(choices)}")

    def sentence(self) -> str:
        """The whole finding on one line."""
        values = f": {self.before} → {self.after}" if self.before or self.after else ""
        parts = [f"{self.case} {self.figure or self.kind} {self.state}{values}", self.says]
        if self.suspect:
            parts.append(f"suspect: {self.suspect}")
        return "; ".join(filter(None, parts))


def is_other_test(finding: Finding) -> bool:
    """Whether the finding is of a test without a case."""
    return finding.kind == TESTS and "::" in finding.case


def worst_state(findings: Iterable[Finding]) -> str:
    """The most serious state; same if there is no finding."""
    return min((finding.state for finding in findings), key=STATES.index, default=SAME)


def nothing_compared(findings: Iterable[Finding]) -> bool:
    """Whether no case of the first run ended well in both runs on one basis.

    Of two runs without any case, as of the libraries' tests alone, whether no test is the same or better.
    """
    found = list(findings)
    judged = [one for one in found if one.kind == STATUS] or [one for one in found if is_other_test(one)]
    return not any(one.state in (SAME, BETTER) for one in judged)


def exit_code(findings: Collection[Finding], red: Collection[str] = RED, allow_inconclusive: bool = False) -> int:
    """0 nothing is worse, 1 something is, 2 nothing could be compared, 3 something could not be decided."""
    if any(finding.state in red for finding in findings):
        return SOMETHING_WORSE
    if nothing_compared(findings):
        return NOTHING_COMPARABLE
    open_ones = any(one.state in (INCONCLUSIVE, INCOMPARABLE) for one in findings)
    return UNDECIDED if open_ones and not allow_inconclusive else NOTHING_WORSE
