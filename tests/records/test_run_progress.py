"""The progress of a session is written for a reader, who also knows whether the session is alive."""

import fcntl
import json

import pytest

from bench.records.run_progress import FILE, PAUSE_SECONDS, CaseProgress, ProgressFile, RunProgress, read_progress

CASE, OTHER = "pos-tiny_bert-lora-cpu-s0", "pos-tiny_bert-full-cpu-s0"
SAID = {"step": 1, "steps": 8, "loss": 2.5, "tokens_per_second": 100.0, "seconds_left": 7.0}


@pytest.fixture
def file(tmp_path):
    found = ProgressFile()
    found.begin(tmp_path, [CASE, OTHER])
    yield found
    found.close()


def test_a_reader_sees_what_runs_and_what_waits(file, tmp_path):
    file.add(CASE, SAID)
    running = CaseProgress(CASE, "running", 1, 8, 100, 7, [(1, 2.5)])
    assert read_progress(tmp_path) == RunProgress(True, (running, CaseProgress(OTHER)))
    file.end(CASE, "out_of_memory")
    assert [one.state for one in read_progress(tmp_path).cases] == ["out_of_memory", "waiting"]


def test_a_run_is_alive_until_its_session_ends_however_often_it_is_read(file, tmp_path):
    assert [read_progress(tmp_path).alive for _ in range(3)] == [True] * 3
    file.close()
    assert not read_progress(tmp_path).alive
    file.end(CASE, "ok")  # of an executor's thread that is late
    assert read_progress(tmp_path).cases[0].state == "waiting"


def test_a_resumed_run_shows_its_last_session(file, tmp_path):
    file.end(CASE, "ok")
    file.close()
    later = ProgressFile()
    later.begin(tmp_path, [OTHER])
    assert read_progress(tmp_path) == RunProgress(True, (CaseProgress(OTHER),))
    later.close()


def test_at_most_one_line_a_second_is_written_for_a_case(file, tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    for step in range(1, 101):
        file.add(CASE, {**SAID, "step": step})
        file.add(CASE, {"line": "loading"})
        now += PAUSE_SECONDS / 8
    (one, _) = read_progress(tmp_path).cases
    assert [step for step, _ in one.losses] == list(range(1, 101, 8))


def test_a_run_without_progress_has_none(tmp_path):
    assert read_progress(tmp_path) == RunProgress()


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "7", '{"case": 1, "step": "x"}', '{"begin": 3}', '{"step": 1}', "[" * 9999, "\xff", "null"]
)
def test_a_line_that_is_damaged_is_passed_over(line, file, tmp_path):
    with (tmp_path / FILE).open("ab") as lines:
        lines.write(line.encode("latin-1") + b"\n")
    file.end(OTHER, "ok")
    assert {one.case: one.state for one in read_progress(tmp_path).cases}[OTHER] == "ok"


def test_a_disk_that_fails_ends_no_session(tmp_path):
    found = ProgressFile()
    found.begin(tmp_path / "gone", [CASE])
    found.add(CASE, SAID)
    found.end(CASE, "ok")
    found.close()
    assert read_progress(tmp_path / "gone") == RunProgress()


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_costs_itself_alone(loss, file, tmp_path):
    file.add(CASE, {**SAID, "loss": loss})
    assert read_progress(tmp_path).cases[0] == CaseProgress(CASE, "running", 1, 8, 100, 7, [])
    lines = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    assert "loss" not in json.loads(lines[1])


def test_a_reader_that_looks_as_a_session_begins_does_not_keep_it_from_its_lock(tmp_path, monkeypatch):
    with (tmp_path / FILE).open("ab") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        monkeypatch.setattr("time.sleep", lambda seconds: fcntl.flock(reader, fcntl.LOCK_UN))
        found = ProgressFile()
        found.begin(tmp_path, [CASE])
        assert read_progress(tmp_path).alive
    found.close()
