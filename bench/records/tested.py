"""How a session's tests of each case ended, kept beside its records in tests.json.

A record is written before its tests run. Without this file a comparison could not see that a test passed in one run
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


@dataclass(frozen=True)
class CaseTests:
    """by_case: case -> test -> outcome; exit_code of the last session; finished: whether every test came to an end."""

    finished: bool = False
    exit_code: int = 0
    by_case: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def outcomes(self, case: str) -> Mapping[str, str]:
        return self.by_case.get(case, {})

    def with_earlier(self, earlier: "CaseTests | None") -> "CaseTests":
        """The same with the outcomes of tests that only an earlier session of the run had."""
        if earlier is None:
            return self
        cases = {**earlier.by_case, **self.by_case}
        merged = {case: {**earlier.outcomes(case), **self.outcomes(case)} for case in cases}
        return CaseTests(self.finished, self.exit_code, merged)


def short_name(node_id: str, case: str) -> str:
    """A test's id without its folder and its case: test_cost.py::test_forward_flops[forward]."""
    file, *names = node_id.split("::")
    text = "::".join([Path(file).name, *names])
    return text.replace(f"[{case}]", "").replace(f"[{case}-", "[").replace(f"-{case}]", "]").replace(f"-{case}-", "-")


def write_tested(folder: Path, tested: CaseTests) -> None:
    """Raises OSError where the disk is full or read-only."""
    write_atomically(folder / FILE, json.dumps(asdict(tested), indent=1, ensure_ascii=False) + "\n")


def read_tested(folder: Path) -> CaseTests | None:
    """None for a run whose version did not keep it. Raises BadRecord if the file is damaged."""
    try:
        return CaseTests(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise BadRecord(f"{folder / FILE}: damaged ({error}); run the cases again") from None


def tested_before(folder: Path) -> CaseTests | None:
    """What an earlier session kept; None also if its file is damaged, which the next session writes anew."""
    try:
        return read_tested(folder)
    except BadRecord:
        return None
