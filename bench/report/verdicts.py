"""The outcome of one case's tests in words: all passed, or how many failed and which."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.core.registry import first_few
from bench.records.record import Record
from bench.records.tested import FAILURES, PASSED, SKIPPED, CaseTests


@dataclass(frozen=True)
class CaseVerdict:
    """Counts of one case's tests; failed has their names. broken: why the case has no record to judge."""

    passed: int = 0
    skipped: int = 0
    failed: tuple[str, ...] = ()
    broken: str = ""

    def count(self) -> str:
        """A few words: 14 passed, 1 of 14 failed, not judged."""
        ran = self.passed + len(self.failed)
        if self.broken or not ran:
            return "not judged"
        return f"{len(self.failed)} of {ran} failed" if self.failed else f"{self.passed} passed"

    def sentence(self) -> str:
        """The count with the names of failed tests: 1 of 14 failed: generates_what_it_reads."""
        if self.broken:
            return f"not judged: {self.broken}"
        return self.count() + (f": {first_few(self.failed)}" if self.failed else "")


def verdict_on(outcomes: Mapping[str, str], record: Record | None) -> CaseVerdict:
    """The verdict of a case's tests, from the names and outcomes that records.tested stores."""
    counts = {state: [name for name, one in outcomes.items() if one == state] for state in (PASSED, SKIPPED)}
    failed = tuple(plain_name(name) for name, one in outcomes.items() if one in FAILURES)
    broken = "" if record is None or record.ok else record.status.replace("_", " ")
    return CaseVerdict(len(counts[PASSED]), len(counts[SKIPPED]), failed, broken)


def verdicts_on(tested: CaseTests, records: Mapping[str, Record]) -> dict[str, CaseVerdict]:
    """The verdicts on the cases that have a finished test."""
    found = {case: tested.outcomes(case) for case in tested.by_case}
    return {case: verdict_on(tests, records.get(case)) for case, tests in found.items() if tests}


def plain_name(name: str) -> str:
    """generates_what_it_reads of test_methods.py::test_generates_what_it_reads."""
    return name.rpartition("::")[2].removeprefix("test_")
