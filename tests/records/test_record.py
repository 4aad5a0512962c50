"""Records are written whole or not at all, and read back as they were; what cannot be read is said by file and line."""

import errno
import json
import math
import os
from dataclasses import asdict, fields, replace

import pytest
from run_files import append_record

from bench.core.case import Case
from bench.core.files import write_atomically
from bench.records import record
from bench.records.record import (
    NOT_RUN,
    STATUSES,
    BadRecord,
    Record,
    parse_record,
    read_records,
    read_repeats,
)

FULL = Record(
    case="pos-minilm_l6-lora-cpu-s0",
    status="ok",
    reason="it was: “fine”",
    last_lines=["a\tb", "line\u2028separator", "\x1b[31m"],
    recipe={"rank": 8, "data": "sample"},
    recipe_digest="0123456789ab",
    quality={"f1": 0.1 + 0.2, "loss": 1e-300},
    quality_before={"f1": 0.0},
    quality_judged=True,
    exact={"trainable_parameters": 2**53 + 1, "flops_shape": [2, 64], "nothing": None},
    noisy={"seconds_per_step": 0.1},
    evidence={"base": {"changed": 0}},
    epochs=[{"epoch": 1, "f1": 0.5}],
    losses=[2.0, 1.5],
    tables={"generated": [{"prompt": "日本語\n", "generated": "|"}]},
    data={"identity": "sha256:1"},
    weights={"identity": "sha256:2"},
    environment={"python": "3.11"},
    reasons=["weights: the wheel"],
    predictions="predictions/pos.jsonl",
    kept={"what": "adapter", "folder": "adapters/pos", "files": {"adapter_model.safetensors": "sha256:3"}},
    warnings=[{"category": "FutureWarning", "module": "peft/peft_model.py", "text": "renamed"}],
)
OTHER = Record(case="support-gpt2-lora-cuda-s1", status=NOT_RUN, reason="needs a CUDA device")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "one" / "records.jsonl"


class FullDisk:
    """A file that takes the first bytes and no more."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, text):
        self.file.write(text[:5])
        self.file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_example_fills_every_field():
    assert all(value not in ("", [], {}, None) for value in asdict(FULL).values())


def test_repeats_of_a_case_are_kept_apart_and_the_first_is_the_cases_record(path):
    for repeat in (0, 1, 2, 1):
        append_record(path, replace(OTHER, repeat=repeat, reason=f"of repeat {repeat}"))
    assert [record.repeat for record in read_repeats(path)[0].values()] == [0, 1, 2]
    assert read_records(path)[0] == {OTHER.case: replace(OTHER, reason="of repeat 0")}


def test_a_record_of_before_has_no_repeat_no_warnings_and_nothing_kept():
    fields = asdict(OTHER)
    del fields["repeat"], fields["warnings"], fields["kept"]
    assert parse_record(json.dumps(fields)) == OTHER


def test_record_reads_back_as_it_was():
    assert parse_record(FULL.to_line()) == FULL


def test_line_is_one_line():
    assert "\n" not in FULL.to_line()
    assert json.loads(FULL.to_line()).keys() == {field.name for field in fields(Record)}


def test_record_knows_its_case():
    assert OTHER.parsed_case() == Case("support", "gpt2", "lora", "cuda", 1)
    assert FULL.ok
    assert not OTHER.ok


def test_unknown_status_is_refused():
    with pytest.raises(ValueError, match=f"status='fine' must be one of {', '.join(STATUSES)}"):
        Record(case="pos-gpt2-lora-cpu-s0", status="fine")


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_figure_that_json_has_no_word_for_is_not_written(path, figure):
    with pytest.raises(ValueError, match="JSON"):
        append_record(path, Record(case=FULL.case, status="ok", quality={"loss": figure}))
    assert not path.exists()


WRONG_LINES = {
    "cut": (FULL.to_line()[:-7], "cut or damaged JSON"),
    "empty": ("", "cut or damaged JSON"),
    "foreign object": ('{"step": 1}', "no record, it lacks case and status"),
    "foreign list": ("[1, 2]", "no record, it lacks case and status"),
    "null": ("null", "no record, it lacks case and status"),
    "newer version": ('{"case": "pos-gpt2-lora-cpu-s0", "status": "ok", "carbon": 1}', "unknown fields carbon; written"),
    "no case id": ('{"case": "pos", "status": "ok"}', "'pos' is not a case id"),
    "case of another type": ('{"case": 7, "status": "ok"}', "case must be str, not int"),
    "unknown status": ('{"case": "pos-gpt2-lora-cpu-s0", "status": "fine"}', "status='fine' must be one of"),
    "text for a table": ('{"case": "pos-gpt2-lora-cpu-s0", "status": "ok", "exact": "x"}', "exact must be dict, not str"),
    "null for a list": ('{"case": "pos-gpt2-lora-cpu-s0", "status": "ok", "losses": null}', "losses must be list, not NoneType"),
    "NaN": ('{"case": "pos-gpt2-lora-cpu-s0", "status": "ok", "quality": {"loss": NaN}}', "NaN is no figure"),
    "infinite": ('{"case": "pos-gpt2-lora-cpu-s0", "status": "ok", "losses": [-Infinity]}', "-Infinity is no figure"),
    "another schema": ('{"case": "pos-gpt2-lora-cpu-s0", "status": "ok", "schema": 2}', "schema 2, this version reads 1"),
    "too deep": ("[" * 100_000, "nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "says"), WRONG_LINES.values(), ids=WRONG_LINES)
def test_line_that_is_no_record_is_refused(line, says):
    with pytest.raises(BadRecord) as raised:
        parse_record(line, "records.jsonl:3")
    assert str(raised.value).startswith("records.jsonl:3: ")
    assert says in str(raised.value)


def test_records_are_appended_and_read(path):
    append_record(path, FULL)
    append_record(path, OTHER)
    assert read_records(path) == ({FULL.case: FULL, OTHER.case: OTHER}, [])


def test_newest_record_of_a_case_counts(path):
    append_record(path, Record(case=FULL.case, status="crashed", reason="killed by signal 9 (SIGKILL)"))
    append_record(path, FULL)
    assert read_records(path) == ({FULL.case: FULL}, [])


def test_record_is_appended_after_a_half_written_line(path):
    append_record(path, FULL)
    path.write_bytes(path.read_bytes() + OTHER.to_line().encode()[:40])
    append_record(path, OTHER)
    records, complaints = read_records(path)
    assert records == {FULL.case: FULL, OTHER.case: OTHER}
    assert len(complaints) == 1
    assert complaints[0].startswith(f"{path}:2: cut or damaged JSON")


def test_line_cut_inside_a_character_costs_that_line_alone(path):
    append_record(path, OTHER)
    append_record(path, FULL)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index("“".encode()) + 1])
    records, complaints = read_records(path)
    assert records == {OTHER.case: OTHER}
    assert len(complaints) == 1
    assert complaints[0].startswith(f"{path}:2: not UTF-8")


def test_foreign_line_costs_that_line_alone(path):
    append_record(path, FULL)
    path.write_text(f'{{"step": 1}}\n\n{FULL.to_line()}\nnot JSON\n', encoding="utf-8")
    records, complaints = read_records(path)
    assert records == {FULL.case: FULL}
    assert [complaint.removeprefix(f"{path}:").split(" ")[0] for complaint in complaints] == ["1:", "4:"]


def test_empty_file_has_no_records(path):
    path.parent.mkdir(parents=True)
    path.touch()
    assert read_records(path) == ({}, [])


def test_written_file_holds_all_of_the_text(path):
    write_atomically(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_full_disk_at_sync_leaves_the_old_file(path, monkeypatch):
    write_atomically(path, "old")
    monkeypatch.setattr(record.os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]


def test_full_disk_while_writing_leaves_the_old_file(path, monkeypatch):
    write_atomically(path, "old")
    opened = type(path).open
    monkeypatch.setattr(type(path), "open", lambda self, *args, **more: FullDisk(opened(self, *args, **more)))
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new and long")
    monkeypatch.undo()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]


def test_full_disk_at_replacing_leaves_the_old_file(path, monkeypatch):
    write_atomically(path, "old")
    monkeypatch.setattr(type(path), "replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]


def test_full_disk_while_appending_leaves_the_earlier_records(path, monkeypatch):
    append_record(path, FULL)
    monkeypatch.setattr(record.os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        append_record(path, OTHER)
    assert read_records(path)[0][FULL.case] == FULL


def test_seconds_of_a_case_that_others_ran_beside_are_not_its_own():
    assert FULL.times == FULL.noisy
    assert replace(FULL, noisy={**FULL.noisy, "ran_beside": ["pos-minilm_l6-dora-cpu-s0"]}).times == {}
