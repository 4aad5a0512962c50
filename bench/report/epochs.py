"""Tables of epochs: figures after each epoch, as in source 001's Tables 3 to 6, tags that were confused, and seconds
per epoch, as in source 002's table of training results.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import ceil
from typing import Any

from bench.judge.statistics import LEAST_SEEDS, interval
from bench.records.basis import basis_of, group_of
from bench.records.figures import FIGURES
from bench.records.record import Record
from bench.report.cases import EMPTY

SHOWN = {
    "train_loss": "training loss",
    "loss": "validation loss",
    "f1": "F1",
    "accuracy": "accuracy",
    "seqeval_precision": "seqeval precision",
    "seqeval_recall": "seqeval recall",
    "seqeval_f1": "seqeval F1",
}
NAMES = 1  # of the epochs' columns; numbers follow
CONFUSION_NAMES = 3
SECONDS_NAMES = 2
CONFUSIONS = 12  # of a case's tags, the most frequent


def by_group(records: Iterable[Record]) -> list[tuple[str, list[Record]]]:
    """Cases without their seeds, and the judged records of each recipe, data and weights."""
    judged = sorted((record for record in records if record.ok and record.quality_judged), key=alike)
    return [(name, list(found)) for (name, *_), found in groupby(judged, key=alike)]


def alike(record: Record) -> tuple[str, ...]:
    basis = basis_of(record)
    return group_of(record), basis.recipe, basis.data, basis.weights


def epochs_table(records: Iterable[Record]) -> list[list[str]]:
    """A line for each epoch of each case: means over seeds, ± half of their 95 % interval; headings only if none."""
    groups = [(name, found) for name, found in by_group(records) if all(record.epochs for record in found)]
    told = [key for key in SHOWN if any(key in record.epochs[0] for _, found in groups for record in found)]
    lines = [["case", "seeds", "epoch", *(SHOWN[key] for key in told)]]
    for name, found in groups:
        for epoch in zip(*(record.epochs for record in found), strict=True):
            figures = [over_seeds([one[key] for one in epoch if key in one]) for key in told]
            lines.append([name, str(len(found)), str(epoch[0]["epoch"]), *figures])
    return lines


def over_seeds(values: Sequence[float]) -> str:
    if not values:
        return EMPTY
    if len(values) < LEAST_SEEDS:
        return f"{values[0]:.4f}"
    found = interval(values)
    return f"{found.mean:.4f} ± {found.half:.4f}"


def seconds_table(records: Iterable[Record]) -> list[list[str]]:
    """A line for each case that trained: the median step, and the duration of an epoch derived from it."""
    lines = [["case", "processor or card", "batch", "accumulation", "s/step", "tokens/s", "steps", "s/epoch"]]
    for record in records:
        if record.ok:
            recipe = record.recipe
            steps = ceil(record.data["train_examples"] / recipe["batch_size"] / recipe["gradient_accumulation_steps"])
            seconds, tokens = (
                FIGURES[name].required_value(record) for name in ("seconds_per_step", "tokens_per_second")
            )
            figures = [f"{seconds:.3f}", f"{tokens:,.0f}", f"{steps:,}"]
            lines.append([record.case, machine_of(record), str(recipe["batch_size"]),
                          str(recipe["gradient_accumulation_steps"]), *figures,
                          f"{steps * seconds:,.0f}"])  # fmt: skip
    return lines


def machine_of(record: Record) -> str:
    about = record.environment
    if record.parsed_case().device == "cpu":
        return f"{about['processor']}, {about['cores']} cores"
    return about["accelerator"]


def confusions_table(records: Iterable[Record]) -> list[list[str]]:
    """A case's most frequent mistakes over its seeds: tag, mistaken for, how often, and out of how many.

    Only the headings if no record has a confusion matrix.
    """
    lines = [["case", "tag", "taken for", "times", "of the tag's words"]]
    for name, found in by_group(records):
        matrices = [record.tables["confusion"] for record in found if "confusion" in record.tables]
        lines += [[name, *line] for line in most_frequent(matrices)]
    return lines


def most_frequent(matrices: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Cells of the CONFUSIONS largest counts off the diagonal, summed; counts[i][j]: label i mistaken for label j."""
    counts: dict[tuple[str, str], int] = {}
    words: dict[str, int] = {}
    for matrix in matrices:
        for tag, row in zip(matrix["labels"], matrix["counts"], strict=True):
            words[tag] = words.get(tag, 0) + sum(row)
            for other, count in zip(matrix["labels"], row, strict=True):
                counts[tag, other] = counts.get((tag, other), 0) + count
    wrong = sorted((pair for pair in counts if pair[0] != pair[1] and counts[pair]), key=lambda pair: -counts[pair])
    return [
        [tag, other, f"{counts[tag, other]:,}", f"{counts[tag, other] / words[tag]:.1%}"]
        for tag, other in wrong[:CONFUSIONS]
    ]
