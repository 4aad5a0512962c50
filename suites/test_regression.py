"""Is it worse than the baseline: every case, by kind of figure. Collected with --baseline alone.

    pytest suites --baseline RUN                 run the cases and compare them
    pytest suites --baseline RUN --replay OTHER  compare two stored runs

What differs and is not worse passes; what the noise leaves open is skipped, with the smallest difference that could
have been seen. A case that cannot be compared fails: a green session that compared nothing would hide a regression.
"""

from collections.abc import Callable

import pytest

from bench.core.case import Case
from bench.judge.compare.finding import (
    EVIDENCE,
    EXACT,
    INCOMPARABLE,
    INCONCLUSIVE,
    MEMORY,
    NEW,
    PROBES,
    QUALITY,
    RED,
    STATUS,
    TRACE,
    Finding,
)

GATED = (STATUS, EXACT, MEMORY, EVIDENCE, TRACE, QUALITY, PROBES)
OPEN = (INCONCLUSIVE, INCOMPARABLE, NEW)  # states that decide nothing; of a whole case, incomparable fails


@pytest.mark.parametrize("kind", GATED)
def test_no_worse_than_baseline(case: Case, kind: str, findings: Callable[[str], list[Finding]]) -> None:
    found = findings(kind)
    red = [one.sentence() for one in found if one.state in RED]
    assert not red, "\n".join(red)
    whole = [one for one in findings(STATUS) if one.state in (INCOMPARABLE, NEW)]  # the case has no other finding
    refused = [one.sentence() for one in whole if one.state == INCOMPARABLE]
    assert not refused, f"nothing of the case was compared: {'; '.join(refused)}"
    if undecided := [one.sentence() for one in (*whole, *found) if one.state in OPEN]:
        pytest.skip("; ".join(dict.fromkeys(undecided)))


def test_no_case_of_the_baseline_is_missing(missing_cases: list[str]) -> None:
    assert not missing_cases, (
        f"the baseline has {', '.join(missing_cases)}, which this session was to run and did not; "
        "has a model or a method gone, or can it not run here?"
    )
