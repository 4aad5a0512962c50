"""Outcomes of tests compared: what a known fault makes of them, of cases and of the libraries alone."""

import pytest
from compared_runs import POS, committed, side_of

from bench.judge.compare.finding import BETTER, CHANGED, MISSING, SAME, WORSE, exit_code
from bench.judge.compare.outcomes import state_of_test
from bench.judge.compare.runs import compare_runs
from bench.records.tested import CaseTests
from bench.report.comparison import counts

RECORD = committed()[POS]
LIBRARY, CLAIM = "suites/test_libraries.py::test_a[tiny_bert]", "suites/test_claims.py::test_claim[one]"


def compared(before, after):
    """Two runs of one case, with these outcomes of its tests and of tests without a case."""
    sides = [
        side_of([RECORD], tested=CaseTests(True, 0, {POS: of_case}, others)) for of_case, others in (before, after)
    ]
    return compare_runs(*sides)


def of_tests(comparison):
    return [one for one in comparison.findings if one.kind == "tests" and one.state != SAME]


@pytest.mark.parametrize(
    ("old", "new", "state"),
    [
        ("passed", "passed", SAME),
        ("passed", "failed", WORSE),
        ("passed", "error", WORSE),
        ("passed", "skipped", WORSE),
        ("passed", "xfailed", WORSE),
        ("passed", "xpassed", CHANGED),
        ("passed", "not run", MISSING),
        ("xfailed", "xfailed", SAME),
        ("xfailed", "passed", BETTER),
        ("xfailed", "xpassed", BETTER),
        ("xfailed", "failed", CHANGED),
        ("xfailed", "not run", CHANGED),
        ("xpassed", "failed", WORSE),
        ("failed", "failed", SAME),
        ("failed", "passed", BETTER),
        ("failed", "xfailed", CHANGED),
        ("skipped", "failed", ""),
        ("not run", "passed", ""),
    ],
)
def test_the_state_follows_from_what_the_test_shows_of_the_library(old, new, state):
    assert state_of_test(old, new) == state


def test_a_test_that_passed_and_is_skipped_now_is_red():
    before, after = {**dict.fromkeys("abdef", "passed"), "c": "skipped"}, dict.fromkeys("acdef", "skipped")
    assert [(one.state, one.says) for one in of_tests(compared((before, {}), (after, {})))] == [
        (WORSE, "passed before, now skipped: a, d, e and 1 more"),
        (MISSING, "passed before, now not run: b"),
    ]


def test_a_test_without_a_case_that_passed_and_fails_now_is_red():
    known = "suites/test_libraries.py::test_b[tiny_bert]"
    before = {LIBRARY: "passed", CLAIM: "passed", known: "skipped"}
    found = of_tests(compared(({}, before), ({}, {LIBRARY: "failed", CLAIM: "not run", known: "failed"})))
    assert [one.sentence() for one in found] == [
        f"{LIBRARY} test worse; passed before, now failed",
        f"{CLAIM} test missing; passed before, now not run",
    ]
    narrower = compared(({}, before), ({}, {LIBRARY: "passed", known: "passed"}))
    assert {one.state for one in narrower.findings} == {SAME}


def test_a_known_fault_of_the_new_version_is_red_and_the_headline_counts_it():
    names = [f"suites/test_libraries.py::test_{letter}" for letter in "abcd"]
    before = dict(zip(names, ("passed", "xfailed", "xfailed", "passed"), strict=True))
    after = dict(zip(names, ("xfailed", "passed", "xfailed", "passed"), strict=True))
    comparison = compared(({}, before), ({}, after))
    assert [(one.case, one.state, one.says) for one in of_tests(comparison)] == [
        (names[0], WORSE, "passed before, now failed by a known fault"),
        (names[1], BETTER, "failed by a known fault before, now passed"),
    ]
    assert counts(comparison) == "1 case: 1 same; 4 other tests: 1 worse, 1 better, 2 same"
    assert exit_code(comparison.findings) == 1


def test_without_other_tests_the_headline_has_cases_alone():
    assert counts(compared(({}, {}), ({}, {}))) == "1 case: 1 same"


@pytest.mark.parametrize("before", ["passed", "xfailed"])
def test_tests_of_the_libraries_are_compared_without_any_case(before):
    sides = [side_of([], tested=CaseTests(True, 0, {}, {LIBRARY: how})) for how in (before, "passed")]
    assert exit_code(compare_runs(*sides).findings) == 0
