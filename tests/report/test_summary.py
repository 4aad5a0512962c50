"""The page of a session: failures first, a verdict for each case, the libraries, and commands that work."""

from dataclasses import replace

import pytest

from bench.core.paths import ROOT
from bench.judge.thresholds import Thresholds
from bench.records.record import read_records
from bench.report.summary import Beside, commands, summary_page
from bench.report.verdicts import CaseVerdict, verdict_on

RECORDS = list(read_records(ROOT / "results" / "runs" / "smoke" / "records.jsonl")[0].values())[:3]
BROKEN = replace(RECORDS[2], status="out_of_memory", reason="no room")
WORDS = ["pytest", "suites", "--devices", "cpu"]


def page(records, tests, *beside):
    return summary_page(records, Thresholds({}), tests, WORDS, "20261130T110000-before", Beside(*beside))


def test_failures_come_first_with_their_names():
    names = ("off_gives_base", "reads_back", "base_is_frozen", "training_happened")
    tests = {RECORDS[0].case: CaseVerdict(passed=14), RECORDS[1].case: CaseVerdict(passed=10, failed=names),
             BROKEN.case: CaseVerdict(failed=("reads_back",), broken="out of memory")}  # fmt: skip
    lines = page([RECORDS[0], RECORDS[1], BROKEN], tests).splitlines()
    assert lines[0] == "## 2 of 3 cases failed"
    assert lines[2].startswith("24 tests passed, 5 failed, 0 skipped. torch ")
    rows = [line for line in lines if line.startswith("|")][2:]
    assert rows[0].startswith(
        f"| {RECORDS[1].case} | ok | 4 of 14 failed: off_gives_base, reads_back, base_is_frozen and 1 more |"
    )
    assert rows[1].startswith(f"| {BROKEN.case} | out_of_memory | not judged: out of memory |")
    assert rows[2].startswith(f"| {RECORDS[0].case} | ok | 14 passed |")


def test_page_names_the_libraries_of_its_records():
    """Of a run that is judged again or was resumed, today's are not those."""
    libraries = {**RECORDS[1].environment["libraries"], "torch": "2.99.0"}
    other = replace(RECORDS[1], environment={**RECORDS[1].environment, "libraries": libraries})
    text = page([RECORDS[0], other], {})
    assert "torch 2.13.0" in text
    assert ", and torch 2.99.0" in text


def test_page_says_where_weights_are_from():
    model = RECORDS[0].parsed_case().model
    random = replace(RECORDS[0], weights={"origin": "synthetic"})
    assert f"; weights of {model} (package)." in page(RECORDS[:1], {})
    assert f"; weights of {model} (package), {model} (synthetic)." in page([RECORDS[0], random], {})


def test_good_session_says_so():
    assert page(RECORDS[:1], {RECORDS[0].case: CaseVerdict(passed=14)}).startswith("## 1 case passed\n")


GOOD = CaseVerdict(passed=14)


@pytest.mark.parametrize(
    ("tests", "beside", "says"),
    [
        ([GOOD], (["test_claims.py::test_claim[x]"],), "1 case passed, 1 other test failed"),
        ([GOOD], ((), ["a", "b"], "interrupted"), "1 of 3 cases passed, 2 not run; interrupted"),
        (
            [CaseVerdict(skipped=3)],
            ((), (), "nothing was judged"),
            "0 of 1 case passed, 1 not judged; nothing was judged",
        ),
        ([GOOD, CaseVerdict(skipped=3)], (), "1 of 2 cases passed, 1 not judged"),
        ([CaseVerdict(1, 0, ("a",)), GOOD], (["x", "y"],), "1 of 2 cases failed, 2 other tests failed"),
    ],
)
def test_session_that_is_no_pass_does_not_read_as_one(tests, beside, says):
    records = RECORDS[: len(tests)]
    text = page(records, {record.case: one for record, one in zip(records, tests, strict=True)}, *beside)
    assert text.startswith(f"## {says}\n")


def test_failed_tests_of_no_case_are_named():
    assert "- failed: `test_claims.py::test_claim[x]`" in page(RECORDS[:1], {}, ["test_claims.py::test_claim[x]"])


def test_case_of_an_earlier_session_has_a_dash():
    assert f"| {RECORDS[1].case} | ok | – |" in page(RECORDS[:2], {RECORDS[0].case: CaseVerdict(passed=14)})


def test_commands_repeat_all_or_what_failed_or_judge_again():
    found = dict(commands(WORDS, ["a", "b"], "before"))
    assert found == {
        "repeat it": WORDS,
        "repeat what failed": [*WORDS, "-k", "a or b"],
        "judge it again without running anything": ["pytest", "suites", "--replay", "before"],
    }
    assert dict(commands(["lorabench", "test"], [], "x"))["judge it again without running anything"][:2] == [
        "lorabench",
        "test",
    ]


@pytest.mark.parametrize(("words", "failed"), [([*WORDS, "-k", "x"], ["a"]), (WORDS, list("abcdef")), (WORDS, [])])
def test_command_for_what_failed_only_where_it_is_right(words, failed):
    assert "repeat what failed" not in dict(commands(words, failed, ""))


def test_verdict_counts_errors_as_failures_and_names_tests_without_their_file():
    outcomes = {
        "test_cost.py::test_a": "passed",
        "test_cost.py::test_b[x]": "error",
        "test_speed.py::test_c": "skipped",
    }
    assert verdict_on(outcomes, RECORDS[0]) == CaseVerdict(1, 1, ("b[x]",))
    assert verdict_on(outcomes, BROKEN).sentence() == "not judged: out of memory"
    assert verdict_on({"a": "skipped"}, RECORDS[0]).count() == "not judged"
