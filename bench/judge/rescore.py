"""Stored records with today's metrics, computed from their stored predictions.

A metric that is new is added, and one that has another name today gets that name. No stored figure changes: the
predictions must give it again. A record is refused where they do not, because they are of another run or because the
definition has changed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.records.record import Record, has_old_metrics
from bench.tasks import TASKS, Example, Prepared, Task

CLOSE = 1e-9  # the same sums, on another version of a library
OF_SEQEVAL = {"f1": "seqeval_f1", "precision": "seqeval_precision", "recall": "seqeval_recall"}  # pos, once -> today


class Disagrees(ValueError):
    """Stored predictions that give another quality than their record has."""


class CutWords(ValueError):
    """A record of sentences that were cut, which does not say how many held-out words have no prediction."""


def rescored(record: Record, predictions: Sequence[Mapping[str, Any]]) -> Record:
    """The record with today's metrics under today's names; predictions are empty where none were kept.

    Raises Disagrees naming record, metric and both values, and CutWords where today's metrics cannot be known.
    """
    task = TASKS[record.parsed_case().task]
    renamed_record = renamed(record)
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
    return replace(renamed_record, quality={**found, **renamed_record.quality})  # what was stored stays to the bit


def quality_of(task: Task, record: Record, predictions: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The task's own score of the stored rows."""
    labels = record.tables.get("confusion", {}).get("labels", [])
    held_out = [
        Example(row["key"], row.get("gold", []), row.get("gold", []), unscored=row.get("unscored", []))
        for row in predictions
    ]
    return task.score(Prepared([], held_out, labels), [dict(row) for row in predictions]).quality


def renamed(record: Record) -> Record:
    """A record of pos with old metrics, under today's names; any other record as it is.

    Its f1 becomes its accuracy, the share of right words. Raises CutWords where sentences were cut: words that were cut
    off had no part in the old accuracy, and count as wrong today.
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
