"""Copies of committed runs with something altered, for tests of what compares runs."""

import json
import shutil
from dataclasses import replace

from bench.core.paths import RESULTS
from bench.judge.compare.runs import Options, compare_runs
from bench.judge.compare.sides import Side, read_side
from bench.records.record import read_records

RUNS = RESULTS / "runs"
POS = "pos-minilm_l6-lora-cpu-s0"
SUPPORT = "support-smollm2_135m-lora-cpu-s0"


def committed(run="smoke"):
    return read_records(RUNS / run / "records.jsonl")[0]


def run_of(folder, records, run="smoke", untrained=None):
    """A stored run of these records, with the predictions that the committed run has of their cases.

    untrained: rows of answers before training by case.
    """
    (folder / "predictions").mkdir(parents=True)
    lines = [record.to_line() + "\n" for record in records]
    (folder / "records.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps({"command": ["pytest"]}), encoding="utf-8")
    for record in records:
        source = RUNS / run / "predictions" / f"{record.case}.jsonl"
        if source.exists():
            shutil.copyfile(source, folder / "predictions" / source.name)
    for case, rows in (untrained or {}).items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "predictions" / f"{case}.before.jsonl").write_text(text, encoding="utf-8")
    return folder


def scaled(values, factor):
    return {name: value * factor for name, value in values.items()}


def seeds_of(record, values, metric):
    """The record as several seeds' with these values of a metric, each with losses of its own."""
    stem = record.case.rsplit("-", 1)[0]
    return [
        replace(record, case=f"{stem}-s{seed}", quality={**record.quality, metric: value},
                losses=[loss + value for loss in record.losses], predictions="")
        for seed, value in enumerate(values)
    ]  # fmt: skip


def side_of(records, name="run", folder=RUNS / "smoke", tested=None):
    return Side(name, folder, {record.case: record for record in records}, tested)


def findings(before, after, **options):
    """What a comparison of these records finds that is not the same."""
    found = compare_runs(side_of(before, "a"), side_of(after, "b"), Options(**options)).findings
    return [one for one in found if one.state != "same"]


def compared(before, after, **options):
    """The same of two folders."""
    found = compare_runs(read_side(before), read_side(after), Options(**options)).findings
    return [one for one in found if one.state != "same"]
