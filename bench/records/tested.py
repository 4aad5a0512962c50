"""The outcomes of a run's tests, those of each case and the others, stored beside its records in tests.json.

A record is written before its tests run. Without this file a comparison could not tell that a test passed in one run
and was skipped in the other.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.core.files import write_atomically
from bench.records.record import BadRecord

FILE = "tests.json"
PASSED, FAILED, SKIPPED, ERROR = "passed", "failed", "skipped", "error"
XFAILED = "xfailed"  # failed as expected of a known fault
XPASSED = "xpassed"  # passed although a known fault makes it fail, which fails the session: the fault's entry is stale
FAILURES = (FAILED, ERROR, XPASSED)  # outcomes that fail a session
NOT_REACHED = "not run"  # selected, but the session ended first


@dataclass(frozen=True)
class CaseTests:
    """by_case: case -> test -> outcome; others: test id -> outcome, for tests without a case.

    exit_code: the last session's; finished: whether every test that any session selected came to an end.
    """

    finished: bool = False
    exit_code: int = 0
    by_case: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)

    def outcomes(self, case: str) -> Mapping[str, str]:
        """The outcomes of the case's tests that came to an end."""
        return {test: outcome for test, outcome in self.by_case.get(case, {}).items() if outcome != NOT_REACHED}

    def with_earlier(self, earlier: "CaseTests | None") -> "CaseTests":
        """These outcomes, and those of tests that only an earlier session of the run had.

        So a test that failed, or did not run, counts until it runs again.
        """
        if earlier is None:
            earlier = CaseTests()
        cases = {**earlier.by_case, **self.by_case}
        by_case = {case: newest(earlier.by_case.get(case, {}), self.by_case.get(case, {})) for case in cases}
        others = newest(earlier.others, self.others)
        unrun = any(NOT_REACHED in tests.values() for tests in (*by_case.values(), others))
        return CaseTests(self.finished and not unrun, self.exit_code, by_case, others)


def newest(earlier: Mapping[str, str], later: Mapping[str, str]) -> dict[str, str]:
    """The later outcomes; an earlier failure stays if the later session did not reach the test."""
    kept = {test: one for test, one in earlier.items() if one in FAILURES and later.get(test) == NOT_REACHED}
    return {**earlier, **later, **kept}


def short_name(node_id: str, case: str) -> str:
    """A test's id without its folder and its case: test_cost.py::test_forward_flops[forward]."""
    file, *names = node_id.split("::")
    text = "::".join([Path(file).name, *names])
    return text.replace(f"[{case}]", "").replace(f"[{case}-", "[").replace(f"-{case}]", "]").replace(f"-{case}-", "-")


def write_tested(folder: Path, tested: CaseTests) -> None:
    """Write tests.json. Raises OSError if the disk is full or read-only."""
    write_atomically(folder / FILE, json.dumps(asdict(tested), indent=1, ensure_ascii=False) + "\n")


def read_tested(folder: Path) -> CaseTests | None:
    """The stored outcomes; None if the run's version did not keep them. Raises BadRecord if the file is damaged."""
    try:
        return CaseTests(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise BadRecord(f"{folder / FILE}: damaged ({error}); run the cases again") from None


def earlier_tests(folder: Path) -> CaseTests | None:
    """The outcomes of an earlier session; None also if its file is damaged, because the next session replaces it."""
    try:
        return read_tested(folder)
    except BadRecord:
        return None
