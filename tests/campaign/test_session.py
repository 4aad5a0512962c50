"""An entry's session: what it is started with, its deadline, and what came of it."""

import sys

import pytest

from bench.campaign import session
from bench.campaign.entries import Entry, read_entries
from bench.campaign.session import CUT_OFF, DONE, FAILED, command_of, outcome_of, run_entry
from bench.records.record import Record, read_records

ENTRY = Entry("toy", "a test's", ("pos",), ("tiny_bert",), ("lora", "full"), data="sample", device="cpu")
FIRST = "pos-tiny_bert-full-cpu-s0"
WRITES = """
import sys, time
from pathlib import Path
folder = Path({folder!r})
folder.mkdir(parents=True)
(folder / "records.jsonl").write_bytes({line!r})
{then}
"""


@pytest.fixture
def started(monkeypatch, tmp_path):
    """A function: the session is a process that stores a record and then runs these lines."""
    monkeypatch.setattr(session, "RUNS", tmp_path)
    monkeypatch.setattr(session, "GRACE_SECONDS", 1)

    def start(then):
        line = Record(FIRST, "ok").to_line().encode()
        code = WRITES.format(folder=str(tmp_path / "2026-campaign-toy"), line=line, then=then)
        monkeypatch.setattr(session, "command_of", lambda *words: [sys.executable, "-c", code])

    return start


def test_a_session_that_ends_has_its_records(started, tmp_path):
    started("")
    done = run_entry(ENTRY, "", (), 60)
    assert (done.state, done.run) == (DONE, tmp_path / "2026-campaign-toy")


@pytest.mark.parametrize("name", ["2027-mine", "2027-campaign-toy-full", "2027-another-campaign-toy"])
def test_a_run_that_another_session_stores_meanwhile_is_not_the_entrys(name, started, tmp_path):
    other = tmp_path / name
    started(f"(Path({str(other)!r})).mkdir(); (Path({str(other)!r}) / 'records.jsonl').touch()")
    assert run_entry(ENTRY, "", (), 60).run == tmp_path / "2026-campaign-toy"


def test_a_failed_session_says_so(started):
    started("sys.exit(1)")
    assert run_entry(ENTRY, "", (), 60).words.endswith("its tests ended with exit code 1")


@pytest.mark.parametrize("then", ["time.sleep(60)", "import signal; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
def test_a_session_is_cut_off_at_its_deadline_and_keeps_what_is_stored(started, then):
    started(then)
    done = run_entry(ENTRY, "", (), 4)
    assert (done.state, done.says) == (CUT_OFF, "1 of 2 cases have a record")
    assert done.seconds < 30
    assert list(read_records(done.run / "records.jsonl")[0]) == [FIRST]


def test_a_session_is_the_suites_with_the_entrys_options():
    words = command_of(ENTRY, "mirror", ("mine.py",), 90.4)
    assert words[1:5] == ["-P", "-m", "bench", "test"]
    for option, value in {"--models": "tiny_bert", "--run-name": "campaign-toy", "--case-timeout": "90", "--data": "sample",
                          "--mirror": "mirror", "--entries": "mine.py"}.items():  # fmt: skip
        assert words[words.index(option) + 1] == value
    (tests,) = [entry for entry in read_entries() if entry.tests]
    assert command_of(tests, "", (), 1)[1:3] == ["-m", "pytest"]


def test_records_say_what_came_of_an_entry():
    broken = Record(FIRST, "out_of_memory", reason="it took too much")
    assert outcome_of(ENTRY, [broken], 1) == (FAILED, f"{FIRST} out of memory (it took too much)")
    expected = Entry("toy", "a test's", ("pos",), ("tiny_bert",), ("full",), out_of_memory=True)
    assert outcome_of(expected, [broken], 1) == (DONE, "out of memory, as expected")
    assert outcome_of(expected, [Record(FIRST, "ok")], 0) == (FAILED, f"{FIRST} was to run out of memory")


def test_a_figure_that_is_to_be_reached_is_shown_beside_its_goal():
    fast = Record(FIRST, "ok", noisy={"model_flops_utilisation": 0.412})
    entry = Entry("toy", "a test's", figure="model_flops_utilisation", least=0.45)
    assert outcome_of(entry, [fast, Record(FIRST, "ok")], 0) == (DONE, "model_flops_utilisation 0.412, 0.45 wanted")
