"""`pytest suites/test_libraries.py`: which checks are selected, one worker for all, and faults that are expected."""

import os
import re
from contextlib import nullcontext

import pytest
from suite_sessions import start

from bench.executor import CallFailed, Outcome, WorkerDied
from bench.judge.known_faults import read_known_faults
from bench.plan.selection import Selection
from bench.plugin import libraries
from bench.plugin.libraries import selects
from bench.plugin.outcomes import outcome_of

SUITE = "suites/test_libraries.py"
OUTCOME = Outcome("checks of the libraries", "failed", "killed by signal 11", ["Fatal Python error"])


@pytest.mark.parametrize(("named", "selected"), [
    ({}, {"tiny_bert-lora", "tiny_llama-lora", "tiny_llama-dora"}),
    ({"models": ("tiny_llama", "minilm_l6")}, {"tiny_llama-lora", "tiny_llama-dora"}),
    ({"models": ("minilm_l6",)}, set()),
    ({"methods": ("dora", "full")}, {"tiny_llama-dora"}),
    ({"tasks": ("pos",)}, {"tiny_bert-lora"}),
    ({"tasks": ("pos", "support"), "devices": ("cpu", "cuda")}, {"tiny_bert-lora", "tiny_llama-lora", "tiny_llama-dora"}),
    ({"devices": ("cuda",)}, set()),
])  # fmt: skip
def test_options_select_checks_as_they_select_cases(named, selected):
    pairs = [("tiny_bert", "lora"), ("tiny_llama", "lora"), ("tiny_llama", "dora")]
    assert {"-".join(pair) for pair in pairs if selects(Selection(**named), *pair)} == selected


def test_every_known_fault_is_of_a_test_that_is_collected(tmp_path):
    done = start(tmp_path, SUITE, "--collect-only", "-q")
    assert done.code == 0, done.text
    collected = set(re.findall(r"^suites/(test_libraries\.py::\S+)$", done.text, re.MULTILINE))
    assert len(collected) > 30
    known = {test for fault in read_known_faults() for test in fault.tests}
    assert not known - collected


def test_a_device_without_checks_collects_none(tmp_path):
    done = start(tmp_path, SUITE, "--devices", "cuda", "--collect-only", "-q")
    assert "tiny_" not in done.text


class Item:
    """What pytest collects, with the marks that it gets."""

    def __init__(self, nodeid):
        self.nodeid, self.marks = nodeid, []

    def add_marker(self, mark):
        self.marks.append(mark)


@pytest.mark.parametrize(
    ("library", "versions", "installed", "marks", "raises"),
    [
        ("transformers", ">=5.17.0,<=5.24.0", "5.23.0", 1, AssertionError),
        ("transformers", ">=5.17.0,<=5.24.0", "5.24.1", 0, None),
        ("transformers", ">=5.17.0,<=5.24.0", None, 0, None),
        ("bitsandbytes", ">=0.48.2,<=0.49.2", "0.49.2", 1, pytest.fail.Exception),  # its check raises
        ("bitsandbytes", ">=0.48.2,<=0.49.2", "0.50.0", 0, None),
    ],
)
def test_a_known_fault_must_fail_with_its_versions_and_with_no_other(
    library, versions, installed, marks, raises, monkeypatch
):
    monkeypatch.setattr(libraries, "library_versions", lambda: {library: installed})
    known = next(fault for fault in read_known_faults() if fault.library == library)
    items = [Item(f"suites/{known.tests[0]}"), Item("suites/test_libraries.py::test_a[tiny_bert]")]
    libraries.pytest_collection_modifyitems(items)
    assert [len(item.marks) for item in items] == [marks, 0]
    for mark in items[0].marks:
        assert (mark.name, mark.kwargs["strict"], mark.kwargs["raises"]) == ("xfail", True, raises)
        assert mark.kwargs["reason"].startswith(f"known fault of {library} {versions}: ")


MARKED = """
import pytest

stale = pytest.mark.xfail(raises=AssertionError, strict=True, reason="a known fault")
def test_passes(): pass
def test_fails(): assert False
def test_skips(): pytest.skip("not here")
@stale
def test_fails_as_expected(): assert False
@stale
def test_fails_otherwise(): raise KeyError
@stale
def test_passes_against_the_entry(): pass
@stale
def test_breaks_before(missing): pass
"""


def test_what_a_known_fault_makes_of_a_test_is_an_outcome_of_its_own(tmp_path):
    """Of reports as pytest itself makes them; it calls the fourth skipped and the last but one failed."""

    seen = {}

    class Reports:
        def pytest_runtest_logreport(self, report):
            if report.when == "call" or report.outcome != "passed":
                seen[report.nodeid.rpartition("::")[2]] = outcome_of(report)

    path = tmp_path / "test_marked.py"
    path.write_text(MARKED, encoding="utf-8")
    pytest.main([str(path), "-q", "-c", os.devnull, f"--rootdir={tmp_path}", "-p", "no:cacheprovider"], [Reports()])
    assert seen == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_skips": "skipped",
        "test_fails_as_expected": "xfailed",
        "test_fails_otherwise": "failed",
        "test_passes_against_the_entry": "xpassed",
        "test_breaks_before": "error",
    }


class Sessions:
    """A run that opens sessions, whose calls end as these answers say."""

    def __init__(self, *answers):
        self.answers, self.opened = list(answers), 0

    def open_checks(self):
        self.opened += 1
        return self

    def call(self, check, **arguments):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(("error", "opened", "sentence"), [
    (CallFailed("failed", "ZeroDivisionError: division by zero"), 1,
     r"the check loss \(model = tiny_bert\) raised ZeroDivisionError: division by zero; expected figures to compare"),
    (WorkerDied(OUTCOME), 2,
     r"the check loss \(model = tiny_bert\) ended its worker: .* killed by signal 11\n +Fatal Python error"),
])  # fmt: skip
def test_a_check_that_breaks_fails_its_test_and_leaves_the_next_a_worker(error, opened, sentence, monkeypatch):
    sessions = Sessions(error, {"theirs": 1.0})
    monkeypatch.setattr(libraries, "progress_on_terminal", lambda config: nullcontext(sessions))
    worker = libraries.Worker(None)
    with pytest.raises(pytest.fail.Exception, match=sentence):
        worker.figures("loss", model="tiny_bert")
    assert worker.figures("loss", model="tiny_bert") == {"theirs": 1.0}
    assert sessions.opened == opened
