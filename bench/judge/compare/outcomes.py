"""Outcomes of tests compared: whether what a test shows of the libraries became worse.

A test that fails as expected of a known fault has failed, and one that passes against the expectation has passed: the
expectation depends on the versions, and says nothing of which side is better.
"""

from collections.abc import Iterator

from bench.core.registry import first_few
from bench.judge.compare.finding import BETTER, CHANGED, MISSING, SAME, TESTS, WORSE, Finding
from bench.judge.compare.sides import Side
from bench.records.tested import ERROR, FAILED, NOT_REACHED, PASSED, SKIPPED, XFAILED, XPASSED

PASSES = (PASSED, XPASSED)
FAILS = (FAILED, ERROR, XFAILED)
WORDS = {  # how a test ended
    PASSED: "passed",
    FAILED: "failed",
    ERROR: "error",
    SKIPPED: "skipped",
    NOT_REACHED: "not run",
    XFAILED: "failed by a known fault",
    XPASSED: "passed although a known fault is listed for this version",
}


def state_of_test(old: str, new: str) -> str:
    """The state of a test from its outcome on both sides; empty if the first side did not judge it."""
    if old not in (*PASSES, *FAILS):
        return ""
    if old == new:
        return SAME
    if old in PASSES:
        return MISSING if new == NOT_REACHED else CHANGED if new in PASSES else WORSE
    return BETTER if new in PASSES else CHANGED


def difference_of_tests(old: str, new: str) -> str:
    """How the outcome differs."""
    return f"{WORDS[old]} before, now {WORDS[new]}"


def compare_tests(case: str, before: Side, after: Side) -> Iterator[Finding]:
    """Findings for the case's tests that ended otherwise in the second run, if both runs stored their outcomes."""
    if before.tested is None or after.tested is None:
        return
    now = after.tested.outcomes(case)
    found: dict[tuple[str, str], list[str]] = {}
    for test, old in before.tested.outcomes(case).items():
        new = now.get(test, NOT_REACHED)
        if (state := state_of_test(old, new)) not in ("", SAME):
            found.setdefault((state, difference_of_tests(old, new)), []).append(test)
    for (state, says), tests in found.items():
        yield Finding(case, TESTS, state, "tests", f"{says}: {first_few(tests)}")


def compare_other_tests(before: Side, after: Side) -> Iterator[Finding]:
    """A finding for each test without a case that the first run judged, such as those of libraries and claims.

    A finding names the test where others name a case. A file of which the second run selected no test is left out: it
    was not asked for.
    """
    if before.tested is None or after.tested is None:
        return
    files = {file_of(test) for test in after.tested.others}
    for test, old in before.tested.others.items():
        new = after.tested.others.get(test, NOT_REACHED)
        if file_of(test) in files and (state := state_of_test(old, new)):
            yield Finding(test, TESTS, state, "test", "" if state == SAME else difference_of_tests(old, new))


def file_of(test: str) -> str:
    return test.partition("::")[0]
