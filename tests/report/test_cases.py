"""Tables of records: aligned for the terminal, escaped for Markdown, and a row for a case that failed."""

import subprocess
import sys
from dataclasses import replace

import pytest

from bench.__main__ import main
from bench.core.paths import ROOT
from bench.judge.score import DIMENSIONS
from bench.judge.thresholds import Thresholds
from bench.records.figures import FIGURES
from bench.records.record import STATUSES, Record
from bench.report.cases import EMPTY, HEADINGS, NAMES, row, table_of
from bench.report.tables import markdown_lines, text_lines

RECORD = Record(
    case="pos-minilm_l6-lora-cpu-s0",
    status="ok",
    recipe={"data": "sample"},
    recipe_digest="0123456789ab",
    quality={"f1": 0.949},
    quality_before={"f1": 0.01234},
    quality_judged=True,
    exact={"trainable_parameters": 25, "total_parameters": 1000},
    noisy={"peak_bytes": 1_234_567_890, "seconds_per_step": 0.1234, "tokens_per_second": 4321.9},
    weights={"identity": "w"},
    data={"identity": "d"},
)
ENTRY = {
    "metric": "f1", "recipe": "0123456789ab", "weights": "w", "origin": "package", "data": "d", "quality": [0.9, 0.96],
    "before": [0.0, 0.1], "gain": 0.4, "seeds": 3,
}  # fmt: skip
NONE = Thresholds({})
SOME = Thresholds(
    {
        "pos-minilm_l6-lora-cpu-sample": ENTRY,
        "support-smollm2_135m-lora-cpu-sample": {**ENTRY, "metric": "loss", "quality": [1.5, 2.5]},
    }
)
LOSS = replace(
    RECORD, case="support-smollm2_135m-lora-cpu-s0", quality={"loss": 2.0}, quality_before={"loss": 3.0}
)  # fmt: skip


def test_row_has_a_cell_for_each_heading():
    assert row(RECORD, SOME) == [
        "pos-minilm_l6-lora-cpu-s0", "ok", "f1", "0.0123", "0.9490", "0.9000–0.9600", "1.23 GB", "0.123", "4,322", "2.50%",
    ]  # fmt: skip
    assert len(row(RECORD, SOME)) == len(HEADINGS)


def test_expected_loss_is_a_band_too():
    assert row(LOSS, SOME)[2:6] == ["loss", "3.0000", "2.0000", "1.5000–2.5000"]


def test_case_without_threshold_has_a_dash():
    assert row(RECORD, NONE)[5] == EMPTY
    assert row(replace(RECORD, recipe_digest="other"), SOME)[5] == EMPTY


def test_quality_with_random_weights_is_a_dash_and_costs_are_there():
    cells = row(replace(RECORD, quality_judged=False), NONE)
    assert cells[3:5] == [EMPTY, EMPTY]
    assert cells[6:] == ["1.23 GB", "0.123", "4,322", "2.50%"]


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "ok"])
def test_failed_case_has_its_status_and_dashes(status):
    cells = row(Record(case=RECORD.case, status=status, reason="killed"), SOME)
    assert cells == [RECORD.case, status, "f1", *[EMPTY] * 7]
    assert len(cells) == len(HEADINGS)


@pytest.mark.parametrize("status", ["ok", "crashed"])
def test_record_of_entries_that_are_not_here_has_a_row(status):
    cells = row(Record(case="their_task-their_model-lora-cpu-s0", status=status), NONE)
    assert cells == ["their_task-their_model-lora-cpu-s0", status, *[EMPTY] * 8]


def test_rows_keep_the_records_order():
    assert [cells[0] for cells in table_of([LOSS, RECORD], NONE)] == ["case", LOSS.case, RECORD.case]


def test_text_is_aligned():
    """Names begin where their heading begins, numbers end where theirs ends."""
    headings, first, second = text_lines(table_of([RECORD, LOSS], SOME), NAMES)
    assert first.index(" f1 ") == second.index(" loss ") == headings.index(" metric ")
    for heading, cell, other in (("after", "0.9490", "2.0000"), ("peak memory", "1.23 GB", "1.23 GB")):
        ends = {headings.index(heading) + len(heading), first.index(cell) + 6 + (cell == "1.23 GB")}
        assert ends == {second.index(other) + len(other)}
    assert not [line for line in (headings, first, second) if line != line.rstrip()]


def test_text_without_records_is_the_headings():
    assert text_lines(table_of([], SOME), NAMES) == ["  ".join(HEADINGS)]


def test_markdown_has_as_many_cells_in_every_line():
    lines = markdown_lines(table_of([RECORD, LOSS], SOME), NAMES)
    assert {line.count("|") for line in lines} == {len(HEADINGS) + 1}
    assert lines[1] == "|---|---|---|" + "---:|" * 7
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("cell", "shown"),
    [("a|b", r"a\|b"), ("||", r"\|\|"), ("a_b", "a_b")],
)
def test_markdown_escapes_what_would_break_a_cell(cell, shown):
    lines = markdown_lines([["name", "number"], [cell, "x"]], 1)
    assert lines[2] == f"| {shown} | x |"


@pytest.mark.parametrize("text", ["", '{"case": "pos-tiny_bert-lora-cp'])
def test_a_run_without_a_record_has_no_table(capsys, tmp_path, text):
    (tmp_path / "records.jsonl").write_text(text, encoding="utf-8")
    assert main(["table", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"bench: no record in the run {tmp_path.name}")
    assert err.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error():
    """As with `python -m bench claims | head -1`: a pipe that is closed before all is written."""
    command = [sys.executable, "-m", "bench", "table", "smoke"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_peak_of_the_whole_process_is_marked_and_compared_with_none():
    """Where the kernel does not let phases be told apart; it holds checks and probes too."""
    whole = replace(RECORD, noisy={**RECORD.noisy, "memory": {"process": {"resident_bytes": 1_234_567_890}}})
    assert row(whole, SOME)[6] == "1.23 GB (process)"
    assert [DIMENSIONS["memory"].figure_of(record) for record in (RECORD, whole)] == [1_234_567_890, None]
    assert [FIGURES["peak_bytes"].value(record) for record in (RECORD, whole)] == [1_234_567_890, None]
