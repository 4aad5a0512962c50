"""Rescored records: quality computed again from stored predictions, where a metric is new or has another name.

Nothing is trained, and no figure that was stored changes: predictions must give it again, so those of another run, or
a changed definition under an old name, are refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.record import Record
from bench.tasks import TASKS, Example, Prepared, Task, pos

CLOSE = 1e-9  # the same sums, on another version of a library
OF_SEQEVAL = {"f1": "seqeval_f1", "precision": "seqeval_precision", "recall": "seqeval_recall"}  # pos, once -> today


class Disagrees(ValueError):
    """Stored predictions that give another quality than their record has."""


def rescored(record: Record, predictions: Sequence[Mapping[str, Any]]) -> Record:
    """The record with today's metrics under today's names; predictions are empty where none were kept.

    Raises Disagrees naming record, metric and both values.
    """
    task = TASKS[record.parsed_case().task]
    renamed_record = renamed(record, task)
    if not predictions or not record.ok:
        return renamed_record
    found = quality_of(task, record, predictions)
    for name, value in renamed_record.quality.items():
        if abs(found.get(name, value) - value) > CLOSE:
            raise Disagrees(
                f"{record.case}: the record has {name} = {value!r}, but its stored predictions give {found[name]!r}; "
                "they are of another run, or the metric has changed and needs a new name"
            )
    return replace(renamed_record, quality={**found, **renamed_record.quality})  # what was stored stays to the bit


def quality_of(task: Task, record: Record, predictions: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What the task's own score gives of the stored rows."""
    labels = record.tables.get("confusion", {}).get("labels", [])
    held_out = [
        Example(row["key"], row.get("gold", []), row.get("gold", []), unscored=row.get("unscored", []))
        for row in predictions
    ]
    return task.score(Prepared([], held_out, labels), [dict(row) for row in predictions]).quality


def renamed(record: Record, task: Task) -> Record:
    """A record of pos that calls seqeval's figures on bare tags f1, precision and recall, under today's names.

    Its f1 becomes its accuracy: with one tag a word the F1 over words is nothing else.
    """
    if task.score is not pos.score or not any("precision" in quality for quality in qualities(record)):
        return record
    return replace(
        record,
        quality=with_names(record.quality),
        quality_before=with_names(record.quality_before),
        epochs=[with_names(epoch) for epoch in record.epochs],
        reasons=[re.sub(r"\bf1 (?=\d)", "seqeval_f1 ", reason) for reason in record.reasons],
    )


def qualities(record: Record) -> list[dict[str, float]]:
    return [record.quality, record.quality_before, *record.epochs]


def with_names(quality: Mapping[str, float]) -> dict[str, float]:
    if "precision" not in quality:
        return dict(quality)
    return {"f1": quality["accuracy"]} | {OF_SEQEVAL.get(name, name): value for name, value in quality.items()}
