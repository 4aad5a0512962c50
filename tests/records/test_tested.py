"""How a run's tests ended: names without their case, merged over sessions, read back."""

import pytest

from bench.records.record import BadRecord
from bench.records.tested import CaseTests, read_tested, short_name, write_tested

CASE = "pos-tiny_bert-lora-cpu-s0"


@pytest.mark.parametrize(
    ("node_id", "name"),
    [
        (f"suites/test_cost.py::test_adapter_bytes[{CASE}]", "test_cost.py::test_adapter_bytes"),
        (f"suites/test_cost.py::test_forward_flops[{CASE}-forward]", "test_cost.py::test_forward_flops[forward]"),
        (f"suites/test_cost.py::test_forward_flops[forward-{CASE}]", "test_cost.py::test_forward_flops[forward]"),
        (f"test_cost.py::test_a[x-{CASE}-y]", "test_cost.py::test_a[x-y]"),
    ],
)
def test_a_name_is_the_same_for_every_case(node_id, name):
    assert short_name(node_id, CASE) == name


def test_what_is_written_is_read_back(tmp_path):
    tested = CaseTests(True, 1, {CASE: {"a": "failed"}})
    write_tested(tmp_path, tested)
    assert read_tested(tmp_path) == tested


def test_a_run_of_before_has_none(tmp_path):
    assert read_tested(tmp_path) is None


@pytest.mark.parametrize("text", ["{", '{"other": 1}', "[1]"])
def test_a_damaged_file_is_one_sentence(text, tmp_path):
    (tmp_path / "tests.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadRecord, match="tests.json: damaged"):
        read_tested(tmp_path)


def test_a_later_session_keeps_what_it_did_not_run_again():
    earlier = CaseTests(False, 2, {CASE: {"a": "failed", "b": "passed"}, "other": {"a": "passed"}})
    later = CaseTests(True, 0, {CASE: {"a": "passed"}})
    assert later.with_earlier(earlier) == CaseTests(
        True, 0, {CASE: {"a": "passed", "b": "passed"}, "other": {"a": "passed"}}
    )
    assert later.with_earlier(None) == later


PLANNED = CaseTests(False, 2, {CASE: {"a": "passed"}, "other": {"a": "not run"}})


@pytest.mark.parametrize(
    ("later", "finished"),
    [({CASE: {"a": "passed"}}, False), ({"other": {"b": "passed"}}, False), ({"other": {"a": "passed"}}, True)],
)
def test_an_interrupted_run_is_finished_once_all_that_it_was_to_run_is_run(later, finished):
    """Not by a session of another selection."""
    assert CaseTests(True, 0, later).with_earlier(PLANNED).finished == finished


@pytest.mark.parametrize("outcome", ["failed", "error", "xpassed"])
def test_a_failure_stays_until_its_test_is_run_again(outcome):
    earlier = CaseTests(True, 1, {CASE: {"a": outcome}}, {"test_claims.py::test_claim[x]": outcome})
    for later in (CaseTests(True, 0, {CASE: {"b": "passed"}}), CaseTests(False, 2, {CASE: {"a": "not run"}})):
        found = later.with_earlier(earlier)
        assert (found.by_case[CASE]["a"], found.others) == (outcome, earlier.others)
    again = CaseTests(True, 0, {CASE: {"a": "passed"}}, {"test_claims.py::test_claim[x]": "passed"})
    assert again.with_earlier(earlier) == again


def test_a_test_that_was_not_run_has_no_outcome():
    assert PLANNED.outcomes("other") == {}


def test_a_file_of_before_has_no_other_tests(tmp_path):
    (tmp_path / "tests.json").write_text('{"finished": true, "exit_code": 0, "by_case": {}}', encoding="utf-8")
    assert read_tested(tmp_path) == CaseTests(True)
