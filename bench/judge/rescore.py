"""Stored records with today's metrics, computed from their stored predictions.

A new metric is added, and a renamed one gets its new name. No stored figure changes: the predictions must reproduce
it. If they do not, the record is refused: the predictions are from another run, or the definition has changed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.records.record import Record, has_old_metrics
from bench.tasks import TASKS, Example, Prepared, Task

CLOSE = 1e-9  # the same sums with another version of a library
OF_SEQEVAL = {"f1": "seqeval_f1", "precision": "seqeval_precision", "recall": "seqeval_recall"}  # of pos: old -> new


class Disagrees(ValueError):
    """Stored predictions give a different quality than their record states."""


class CutWords(ValueError):
    """Sentences of the record were cut, and it does not state how many held-out words have no prediction."""


def rescore_record(record: Record, predictions: Sequence[Mapping[str, Any]]) -> Record:
    """The record with today's metrics under today's names; predictions is empty if none were kept.

    Raises Disagrees naming record, metric and both values, and CutWords if today's metrics cannot be known.
    """
    task = TASKS[record.parsed_case().task]
    renamed_record = rename_metrics(record)
    if not predictions or not record.ok:
        return renamed_record
    found = quality_of(task, record, predictions)
    for name, value in renamed_record.quality.items():
        if name not in found:
            raise Disagrees(
                f"{record.case}: the record has {name} = {value!r}, which {task.name} does not report today; "
                "run the case again"
            )
        if abs(found[name] - value) > CLOSE:
            raise Disagrees(
                f"{record.case}: the record has {name} = {value!r}, but its stored predictions give {found[name]!r}; "
                "they are of another run, or the metric has changed and needs a new name"
            )
    return replace(renamed_record, quality={**found, **renamed_record.quality})  # stored values stay equal to the bit


def quality_of(task: Task, record: Record, predictions: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The score that the task computes from the stored rows."""
    labels = record.tables.get("confusion", {}).get("labels", [])
    held_out = [
        Example(row["key"], row.get("gold", []), row.get("gold", []), unscored=row.get("unscored", []))
        for row in predictions
    ]
    return task.score(Prepared([], held_out, labels), [dict(row) for row in predictions]).quality


def rename_metrics(record: Record) -> Record:
    """A pos record whose old metrics get today's names; any other record is returned unchanged.

    Its f1 becomes its accuracy, the share of right words. Raises CutWords if sentences were cut: the old accuracy
    left out words that were cut off, and today they count as wrong.
    """
    if not has_old_metrics(record):
        return record
    if record.data.get("truncated_share"):
        raise CutWords(
            f"{record.case}: sentences were cut, and the record does not say how many held-out words that cost, which "
            "count as wrong in today's f1, accuracy and macro_f1; run the case again with `pytest suites --resume RUN`"
        )
    return replace(
        record,
        quality=with_names(record.quality),
        quality_before=with_names(record.quality_before),
        epochs=[with_names(epoch) for epoch in record.epochs],
        reasons=[re.sub(r"\bf1 (?=\d)", "seqeval_f1 ", reason) for reason in record.reasons],
    )


def with_names(quality: Mapping[str, float]) -> dict[str, float]:
    if "precision" not in quality:
        return dict(quality)
    return {"f1": quality["accuracy"]} | {OF_SEQEVAL.get(name, name): value for name, value in quality.items()}
