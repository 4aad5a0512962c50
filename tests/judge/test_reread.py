"""Stored answers to probes are read anew: outcomes and shares follow the parsers, what was said stays."""

import json

import pytest
from run_files import append_record

from bench.__main__ import main
from bench.judge.reread import NotAsked, reread, was_cut
from bench.probes import EVASIVE, PROBES, RIGHT, WRONG
from bench.probes.scoring import summarise
from bench.records.record import Record, read_records

CASE = "numbers-smollm2_135m-lora_all-cpu-s0"
ASKED = PROBES["source003"].items[1]  # 9.11 or 9.9
LATER = PROBES["source003"].items[0]  # 1, 1, 2, 3, 5, 8
LOSS = {"key": "forgetting/x", "family": "forgetting", "language": "en", "group": "x", "tokens": 3, "before": 9.0,
        "after": 8.0}  # fmt: skip


def row(item=ASKED, **changes):
    return {
        "key": f"source003/{item.id}", "family": "source003", "language": "en", "group": item.group, "form": "text",
        "before": EVASIVE, "after": RIGHT, "before_margin": -1.0, "after_margin": 1.0,
        "said_before": "9.11 is larger. Wait, no: 9.9 is larger.", "said_after": "9.9", **changes,
    }  # fmt: skip


def record_of(rows):
    return Record(case=CASE, status="ok", tables={"probes": summarise([one for one in rows if "form" in one])})


def test_outcomes_and_shares_follow_the_parsers():
    rows = [row(), LOSS]
    found = reread(record_of(rows), rows)
    assert found.rows == [{**row(), "before": RIGHT}, LOSS]
    assert found.record.tables["probes"] == summarise([{**row(), "before": RIGHT}])
    assert found.changes == [f"{CASE}: source003/larger before tuning: 0 -> 1 of 1 right"]


def test_reading_twice_changes_nothing():
    once = reread(record_of([row()]), [row()])
    again = reread(once.record, once.rows)
    assert (again.record, again.rows, again.changes) == (once.record, once.rows, [])


def test_record_without_probes_is_as_it_was():
    record = Record(case=CASE, status="ok", tables={"confusion": {}})
    assert reread(record, []).record is record


def test_item_that_is_gone_is_refused_by_name():
    gone = {**row(), "key": "source003/en-largest"}
    with pytest.raises(NotAsked, match=f"{CASE}: source003 asks no item 'en-largest' today; run the case again"):
        reread(record_of([gone]), [gone])


@pytest.mark.parametrize(
    ("changes", "cut"),
    [
        ({"cut_after": True, "after": WRONG}, True),
        ({"cut_after": False, "after": RIGHT}, False),
        ({"after": RIGHT}, True),  # an older row: right only if the last number was cut
        ({"after": WRONG}, False),
    ],
)
def test_older_rows_say_by_their_outcome_whether_an_answer_was_cut(changes, cut):
    assert was_cut(row(LATER, said_after="13, 21, 34, 5", **changes), "after", LATER) is cut


def test_command_writes_record_and_answers(tmp_path, capsys):
    append_record(tmp_path / "records.jsonl", record_of([row()]))
    path = tmp_path / "predictions" / f"{CASE}.probes.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps(row()) + "\n")
    assert main(["rescore", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path.name}: 1 of 1 records rescored",
        f"{CASE}: source003/larger before tuning: 0 -> 1 of 1 right",
    ]
    assert json.loads(path.read_text())["before"] == RIGHT
    assert read_records(tmp_path / "records.jsonl")[0][CASE].tables["probes"][0]["kept"] == 1
    assert main(["rescore", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path.name}: 0 of 1 records rescored\n"
