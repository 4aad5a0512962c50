"""Rescoring: today's metrics out of stored predictions, and no figure that was stored becomes another."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from run_files import append_record

from bench.__main__ import main
from bench.core.files import write_atomically
from bench.core.paths import RESULTS, ROOT
from bench.judge.rescore import CutWords, Disagrees, rescore_record
from bench.records.record import Record, add_line, open_records, read_records, read_run

ANOTHER = "pos-tiny_bert-lora-cpu-s0"
WAITING_SECONDS = 6.0  # until the other process has begun
NAMES = ["DT", "IN", "NN"]
ROWS = [  # NN is taken for IN and IN for NN, so seqeval's F1 on bare tags is 1 and 2 of 5 words are right
    {"key": "test-0", "gold": [0, 2, 1], "predicted": [0, 1, 2], "loss": 2.0},
    {"key": "test-1", "gold": [0, 2], "predicted": [0, 1], "loss": 3.0},
]
OLD_QUALITY = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "accuracy": 0.4, "macro_f1": 1 / 3, "loss": 1.0}
OLD_BEFORE = {"precision": 0.1, "recall": 0.2, "f1": 0.13, "accuracy": 0.3, "macro_f1": 0.05, "loss": 4.0}
OLD = Record(
    case="pos-minilm_l6-lora-cpu-s0",
    status="ok",
    quality=OLD_QUALITY,
    quality_before=OLD_BEFORE,
    epochs=[{"epoch": 1, "train_loss": 3.0, **OLD_BEFORE}, {"epoch": 2, "train_loss": 2.0, **OLD_QUALITY}],
    tables={"confusion": {"labels": NAMES}},
    reasons=["started from full: 8 steps, last loss 0.5, f1 0.9568; the quality before is another"],
    predictions="predictions/pos-minilm_l6-lora-cpu-s0.jsonl",
)
QUALITY = {
    "f1": 0.4,
    "seqeval_precision": 1.0,
    "seqeval_recall": 1.0,
    "seqeval_f1": 1.0,
    "accuracy": 0.4,
    "macro_f1": 1 / 3,
    "loss": 1.0,
}
BEFORE = {
    "f1": 0.3,
    "seqeval_precision": 0.1,
    "seqeval_recall": 0.2,
    "seqeval_f1": 0.13,
    "accuracy": 0.3,
    "macro_f1": 0.05,
    "loss": 4.0,
}
ANSWERED = Record(
    case="support-smollm2_135m-lora-cpu-s0", status="ok", quality={"loss": 1.75, "token_accuracy": 0.5}
)  # fmt: skip
ANSWERS = [
    {"key": "test-0", "loss": 6.0, "tokens": 3, "correct": 1},
    {"key": "test-1", "loss": 1.0, "tokens": 1, "correct": 1},
]


@pytest.mark.parametrize("rows", [ROWS, []], ids=["predictions", "none kept"])
def test_f1_on_bare_tags_becomes_seqevals_everywhere(rows):
    found = rescore_record(OLD, rows)
    assert found.quality == pytest.approx(QUALITY)
    assert found.quality_before == BEFORE
    assert found.epochs == [{"epoch": 1, "train_loss": 3.0, **BEFORE}, {"epoch": 2, "train_loss": 2.0, **QUALITY}]
    assert found.reasons == [OLD.reasons[0].replace("f1 0.9568", "seqeval_f1 0.9568")]
    untouched = {"quality": {}, "quality_before": {}, "epochs": [], "reasons": []}
    assert replace(found, **untouched) == replace(OLD, **untouched)


@pytest.mark.parametrize("rows", [ROWS, []], ids=["predictions", "none kept"])
def test_rescoring_twice_is_rescoring_once(rows):
    once = rescore_record(OLD, rows)
    assert rescore_record(once, rows) == once


@pytest.mark.parametrize("rows", [ANSWERS, []], ids=["predictions", "none kept"])
def test_a_record_whose_metrics_are_todays_stays_as_it_is(rows):
    assert rescore_record(ANSWERED, rows) == ANSWERED


def test_a_metric_that_the_record_lacks_is_added():
    assert rescore_record(replace(ANSWERED, quality={"loss": 1.75}), ANSWERS) == ANSWERED


@pytest.mark.parametrize("record", [OLD, rescore_record(OLD, [])], ids=["old", "today's"])
@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "loss"])
def test_another_value_under_the_same_name_is_refused(record, name):
    """Predictions of another run, or a metric that means something else now."""
    other = replace(record, quality={**record.quality, name: 0.77})
    with pytest.raises(Disagrees, match=f"^{OLD.case}: the record has (f1|{name}) = 0.77, but its stored predictions"):
        rescore_record(other, ROWS)


def test_the_f1_of_bare_tags_is_checked_too():
    with pytest.raises(Disagrees, match="seqeval_f1 = 0.9, but its stored predictions give 1.0"):
        rescore_record(replace(OLD, quality={**OLD_QUALITY, "f1": 0.9}), ROWS)


def test_a_metric_that_is_not_reported_today_is_named():
    other = replace(ANSWERED, quality={**ANSWERED.quality, "perplexity": 5.8})
    with pytest.raises(Disagrees, match="the record has perplexity = 5.8, which support does not report today; run"):
        rescore_record(other, ANSWERS)


@pytest.mark.parametrize("rows", [ROWS, []], ids=["predictions", "none kept"])
def test_words_that_were_cut_off_are_in_no_old_accuracy(rows):
    with pytest.raises(CutWords, match=f"^{OLD.case}: sentences were cut, .*; run the case again with"):
        rescore_record(replace(OLD, data={"truncated_share": 0.1}), rows)
    assert rescore_record(replace(OLD, data={"truncated_share": 0.0}), rows).quality["f1"] == 0.4


def test_half_of_the_predictions_is_refused():
    with pytest.raises(Disagrees):
        rescore_record(OLD, ROWS[:1])


def run_of(folder, *records, rows=ROWS):
    for record in records:
        append_record(folder / "records.jsonl", record)
    path = folder / OLD.predictions
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "records.jsonl"


def test_command_rewrites_what_changes_and_leaves_the_other_lines(tmp_path, capsys):
    path = run_of(tmp_path, ANSWERED, OLD)
    answered, old = path.read_bytes().splitlines()
    assert main(["rescore", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path.name}: 1 of 2 records rescored\n"
    first, second = path.read_bytes().splitlines()
    assert (first == answered, second == old) == (True, False)
    assert read_records(path)[0][OLD.case].quality == pytest.approx(QUALITY)
    written = path.read_bytes()
    assert main(["rescore", str(tmp_path)]) == 0
    assert path.read_bytes() == written


def test_command_rescores_the_newest_record_of_a_case(tmp_path):
    """The predictions are those of the newest; what --resume ran again is no obstacle."""
    cut = replace(OLD, data={"truncated_share": 0.1})
    today = rescore_record(OLD, ROWS)
    path = run_of(tmp_path, cut, today)
    before = path.read_bytes()
    assert main(["rescore", str(tmp_path)]) == 0
    assert path.read_bytes() == before
    assert read_run(tmp_path) == ({OLD.case: today}, [])


def test_command_rescores_the_first_process_and_not_its_repeats(tmp_path):
    """The predictions are those of the first; a repeat has none."""
    path = run_of(tmp_path, OLD, replace(OLD, repeat=1, quality={**OLD_QUALITY, "loss": 0.5}, predictions=""))
    _, repeat = path.read_bytes().splitlines()
    assert main(["rescore", str(tmp_path)]) == 0
    assert read_records(path)[0][OLD.case].quality == pytest.approx(QUALITY)
    assert path.read_bytes().splitlines()[1] == repeat


@pytest.mark.parametrize("command", ["score", "thresholds", "table", "picture"])
def test_commands_refuse_old_metrics_until_they_are_rescored(tmp_path, capsys, command):
    run_of(tmp_path, OLD, ANSWERED)
    assert main([command, str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"bench: {OLD.case} in the run {tmp_path.name}: f1 there is seqeval's on bare tags, ")
    assert f"`python -m bench rescore {tmp_path}`" in err
    assert main(["rescore", str(tmp_path)]) == 0
    assert read_run(tmp_path)[0].keys() == {OLD.case, ANSWERED.case}


def test_old_metrics_are_no_evidence_and_no_start_of_a_resumed_run(tmp_path):
    path = run_of(tmp_path, OLD, ANSWERED)
    records, (complaint,) = read_records(path)
    assert list(records) == [ANSWERED.case]
    assert f"`python -m bench rescore {tmp_path}`" in complaint


def test_a_persons_task_may_report_a_precision(tmp_path):
    path = run_of(tmp_path, replace(OLD, case="pos_chem-minilm_l6-lora-cpu-s0"))
    assert read_records(path)[1] == []


def test_command_writes_no_run_where_one_is_refused(tmp_path, capsys):
    good, bad = tmp_path / "good", tmp_path / "bad"
    paths = [run_of(good, OLD), run_of(bad, OLD, rows=ROWS[:1])]
    before = [path.read_bytes() for path in paths]
    assert main(["rescore", str(good), str(bad)]) == 2
    assert capsys.readouterr().err.startswith(f"bench: {OLD.case}: the record has ")
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize(
    ("damage", "says"), [(b'{"case": "po', "cut or damaged JSON"), (b'{"case": "\xff', "not UTF-8")]
)
def test_command_leaves_a_damaged_run_alone(tmp_path, capsys, damage, says):
    path = run_of(tmp_path, OLD)
    path.write_bytes(path.read_bytes() + damage)
    before = path.read_bytes()
    assert main(["rescore", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err
    assert path.read_bytes() == before


def test_damaged_predictions_are_one_sentence(tmp_path, capsys):
    run_of(tmp_path, OLD)
    (tmp_path / OLD.predictions).write_text('{"key": "te', encoding="utf-8")
    assert main(["rescore", str(tmp_path)]) == 2
    assert "its predictions are cut or damaged" in capsys.readouterr().err


COMMITTED = sorted(path.parent.name for path in (RESULTS / "runs").glob("*/records.jsonl"))


def test_no_held_out_word_of_the_committed_records_is_cut():
    """One sentence of the full data is, in training: every held-out word has a prediction, or is kept as unscored."""
    census = json.loads((RESULTS / "census.json").read_text(encoding="utf-8"))
    words = sum(census["pos"]["labels"]["test"].values())
    folders = [RESULTS / "runs" / run for run in COMMITTED]
    cut = [
        folder / record.predictions
        for folder in folders
        for record in read_records(folder / "records.jsonl")[0].values()
        if record.case.startswith("pos-") and record.data.get("truncated_share")
    ]
    assert len(cut) == 14
    for path in cut:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert sum(len(row["predicted"]) + len(row.get("unscored", [])) for row in rows) == words


@pytest.mark.parametrize("run", COMMITTED)
def test_committed_records_have_todays_metrics(run):
    """No name is an older one's, and F1 over words is accuracy."""
    records, _ = read_records(RESULTS / "runs" / run / "records.jsonl")
    assert [record.case for record in records.values() if rescore_record(record, []) != record] == []
    tagged = [record.quality for record in records.values() if "f1" in record.quality]
    assert [quality for quality in tagged if quality["f1"] != quality["accuracy"]] == []


def test_command_scores_only_the_newest_record_of_a_case(tmp_path, capsys):
    """Stored predictions are the newest record's; an older line would disagree with them."""
    older = replace(OLD, quality={name: value / 2 for name, value in OLD.quality.items()})
    path = run_of(tmp_path, older, OLD)
    first, _ = path.read_bytes().splitlines()
    assert main(["rescore", str(tmp_path)]) == 0
    assert path.read_bytes().splitlines()[0] == first
    assert read_records(path)[0][OLD.case].quality == pytest.approx(QUALITY)


def test_command_takes_a_run_that_is_named_twice_once(tmp_path, capsys):
    run_of(tmp_path, OLD)
    assert main(["rescore", str(tmp_path), str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("records rescored") == 1


def test_a_session_that_waits_for_the_command_loses_no_record(tmp_path):
    """It has opened the file that the command replaces."""
    path = tmp_path / "records.jsonl"
    append_record(path, Record(OLD.case, "ok"))
    code = (
        "import sys; from pathlib import Path; from run_files import append_record; from bench.records.record import Record; "
        "append_record(Path(sys.argv[1]), Record(sys.argv[2], 'ok'))"
    )
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    with open_records(path):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path), ANOTHER], cwd=ROOT, env=surroundings)
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(WAITING_SECONDS)
        write_atomically(path, path.read_text(encoding="utf-8"))
    assert writer.wait(60) == 0
    assert read_records(path)[0].keys() == {OLD.case, ANOTHER}


def test_command_waits_for_a_session_that_writes(tmp_path):
    path = run_of(tmp_path, OLD)
    with open_records(path) as file:
        command = subprocess.Popen([sys.executable, "-m", "bench", "rescore", str(tmp_path)], cwd=ROOT)
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(WAITING_SECONDS)
        add_line(file, Record(ANOTHER, "ok").to_line())
    assert command.wait(60) == 0
    assert read_records(path)[0].keys() == {OLD.case, ANOTHER}
