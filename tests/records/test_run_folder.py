"""The folder of a run, written by several sessions at once, and where it cannot be written."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from run_files import append_record

from bench.core.files import write_atomically
from bench.core.paths import ROOT
from bench.records import run_folder
from bench.records.record import Record, read_records

SESSIONS = 24
CASE = "pos-tiny_bert-lora-cpu-s0"
WAITING_SECONDS = 1.0
WRITE_MANY = """
import sys
from pathlib import Path
from bench.records.run_folder import write_case
from bench.records.record import Record
session = sys.argv[2]
for number in range(20):
    case = f"pos-tiny_bert-lora-cpu-s{session}{number:02}"
    rows = [{"said": "x" * 100_000}]
    write_case(Path(sys.argv[1]), Record(case, "ok", "y" * 50_000, predictions=f"predictions/{case}.jsonl"), rows, [])
"""
WRITE_ONE = """
import sys
from pathlib import Path
from bench.records.run_folder import write_case
from bench.records.record import Record
write_case(Path(sys.argv[1]), Record(sys.argv[2], "ok", predictions="predictions/one.jsonl"), [{"said": "new"}], [])
"""


class Noon(datetime):
    """A clock that stands still: every session begins in the same second."""

    @classmethod
    def now(cls, tz=None):
        return datetime(2026, 1, 2, 12, tzinfo=UTC)


def python(text, *arguments):
    return subprocess.Popen([sys.executable, "-c", text, *map(str, arguments)], cwd=ROOT)


def test_sessions_of_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(run_folder, "datetime", Noon)
    run_folder.describe_machine()  # once, or every thread begins with it
    together = threading.Barrier(SESSIONS)

    def begin(_):
        together.wait()
        return run_folder.make_folder(None, None)

    with ThreadPoolExecutor(SESSIONS) as pool:
        folders = list(pool.map(begin, range(SESSIONS)))
    assert len(set(folders)) == SESSIONS
    assert sorted(folders) == sorted((tmp_path / "runs").iterdir())
    assert all(json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders)


def test_a_run_names_what_its_workers_loaded_beside_the_projects_modules(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "RUNS", tmp_path)
    for entries in ((), ("my_methods",)):
        folder = run_folder.make_folder(None, None, "own", entries)
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        assert tuple(about.get("entries", ())) == entries


def test_many_sessions_lose_no_record_of_one_run(tmp_path):
    writers = [python(WRITE_MANY, tmp_path, session) for session in (1, 2, 3, 4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    records, complaints = read_records(tmp_path / "records.jsonl")
    assert complaints == []
    assert len(records) == 80
    assert all((tmp_path / record.predictions).is_file() for record in records.values())
    assert list(tmp_path.rglob("*.part")) == []


def test_sessions_take_turns_to_write_a_case(tmp_path):
    """On a network file system appending is not atomic: whoever writes holds the run, its answers included."""
    append_record(tmp_path / "records.jsonl", Record("pos-tiny_bert-lora-cpu-s1", "ok"))
    with (tmp_path / "records.jsonl").open("ab+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer = python(WRITE_ONE, tmp_path, CASE)
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(WAITING_SECONDS + 5)
        assert not (tmp_path / "predictions").exists()
        assert read_records(tmp_path / "records.jsonl")[0].keys() == {"pos-tiny_bert-lora-cpu-s1"}
    assert writer.wait(60) == 0
    assert CASE in read_records(tmp_path / "records.jsonl")[0]


def test_threads_write_one_file_at_once(tmp_path):
    """Part files are named apart, within a process and across machines whose process ids are alike."""
    path = tmp_path / "file"
    texts = [str(number) * 20_000 for number in range(8)]
    until = time.monotonic() + WAITING_SECONDS

    def write(text):
        while time.monotonic() < until:
            write_atomically(path, text)

    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(write, texts))
    assert path.read_text(encoding="utf-8") in texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_no_empty_folder(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_folder, "RUNS", tmp_path)
    monkeypatch.setattr(run_folder, "write_atomically", full)
    with pytest.raises(run_folder.NotStored, match=r"^the run cannot be written to .*: No space left on device$"):
        run_folder.make_folder(None, None)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_cannot_be_continued_is_said_before_anything_trains(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    (tmp_path / "records.jsonl").mkdir()
    with pytest.raises(run_folder.NotStored, match=r"^the run cannot be written to .*: Is a directory$"):
        run_folder.make_folder(None, tmp_path)


def test_whatever_is_not_stored_is_one_sentence(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    says = run_folder.why_not_stored(tmp_path, {"a": full, "b": full, "summary.md": full})
    assert says == (
        f"the run is not stored: a and 2 more could not be written to {tmp_path} (No space left on device); "
        f"make room there and add --resume {tmp_path} to run what is missing"
    )
