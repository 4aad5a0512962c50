"""A record's figures that a claim may speak of, by name, with what is known of their spread.

Quality comes with counts for each held-out example, so that it can be resampled; seconds with the median and the
spread over steps; bytes and parameters repeat, and one run tells them.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.records.record import Record
from bench.records.stored import Stored
from bench.records.work import MODEL, counts_of

if TYPE_CHECKING:  # pytest collects without numpy
    import numpy as np

    Counts = Callable[[Stored], np.ndarray]

STEP_SHAPE = (2, 32)  # rows, tokens of a row: what records of every age have counted


@dataclass(frozen=True)
class Figure:
    """An entry. value(record) in base units, None where the record has it not.

    counts(stored): (examples, columns), and metric of their sums; spread(record): (median, iqr, count).
    """

    name: str
    dimension: str
    value: Callable[[Record], float | None]
    counts: Counts | None = None
    metric: Callable[[np.ndarray], np.ndarray] | None = None
    spread: Callable[[Record], tuple[float, float, int]] | None = None
    repeats: bool = False  # one run tells it
    timed: bool = False  # only records of one machine compare
    quality: bool = False  # of no meaning with random weights


def quality(name: str) -> Callable[[Record], float | None]:
    return lambda record: record.quality.get(name)


def f1(record: Record) -> float | None:
    """F1 over words. The f1 of a record without seqeval_f1 is an older one's, which is seqeval's on bare tags."""
    return record.quality.get("f1") if "seqeval_f1" in record.quality else None


def at_epoch(key: str, epoch: int) -> Callable[[Record], float | None]:
    """Of a record that was evaluated after each epoch, which counts from 1."""
    return lambda record: next((entry.get(key) for entry in record.epochs if entry["epoch"] == epoch), None)


def training_loss(epoch: int) -> Callable[[Record], float | None]:
    """Mean loss of the steps of an epoch, which counts from 1; 0 is the last one."""

    def mean(record: Record) -> float | None:
        epochs = max(1, record.recipe.get("epochs", 1))
        each = len(record.losses) // epochs
        end = each * (epoch or epochs)
        own = record.losses[end - each : end if epoch else None]
        return sum(own) / len(own) if own and epoch <= epochs else None

    return mean


def change(record: Record) -> float | None:
    """Held-out loss after training less before it."""
    if "loss" not in record.quality or "loss" not in record.quality_before:
        return None
    return record.quality["loss"] - record.quality_before["loss"]


def rise(record: Record) -> float | None:
    """Held-out loss after the last epoch less that after the first."""
    if len(record.epochs) < 2:
        return None
    return record.epochs[-1]["loss"] - record.epochs[0]["loss"]


def span_counts(stored: Stored) -> np.ndarray:
    """(sentences, 3): spans of the gold tags, of the predicted ones, and those that agree, as seqeval counts them on
    bare tags: by all but a tag's first character, neighbours of one type together."""
    import numpy as np
    from seqeval.metrics.sequence_labeling import get_entities

    names = stored.record.tables["confusion"]["labels"]
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval warns for every tag without a B- or I- prefix
        for example in stored.examples:
            gold, predicted = (set(get_entities([names[i] for i in example[key]])) for key in ("gold", "predicted"))
            rows.append((len(gold), len(predicted), len(gold & predicted)))
    return np.array(rows, dtype=float)


def word_counts(stored: Stored) -> np.ndarray:
    """(sentences, 2): words, and those whose tag is right; a word without a prediction is wrong."""
    import numpy as np

    return np.array(
        [
            (len(e["gold"]) + len(e.get("unscored", ())), sum(map(operator.eq, e["gold"], e["predicted"])))
            for e in stored.examples
        ],
        dtype=float,
    )


def token_counts(key: str) -> Counts:
    """(examples, 2): tokens that are scored, and their loss or how many are right."""

    def counts(stored: Stored) -> np.ndarray:
        import numpy as np  # here, so that pytest collects without it

        return np.array([(e.get("tokens", len(e.get("gold", ()))), e[key]) for e in stored.examples], dtype=float)

    return counts


def span_f1(sums: np.ndarray) -> np.ndarray:
    return 2 * sums[..., 2] / (sums[..., 0] + sums[..., 1])


def second_over_first(sums: np.ndarray) -> np.ndarray:
    return sums[..., 1] / sums[..., 0]


def allocated_peak(record: Record) -> float | None:
    """What tensors held at the peak of training on a card."""
    return record.noisy.get("memory", {}).get("train", {}).get("allocated_bytes")


def step_flops(record: Record) -> int | None:
    """Model FLOPs of a step of STEP_SHAPE; None where an older record counted recomputation too."""
    counts = counts_of(record.exact, record.recipe)
    return next((one.get(MODEL) for one in counts if (one["rows"], one["length"]) == STEP_SHAPE), None)


def step_spread(record: Record) -> tuple[float, float, int]:
    noisy = record.noisy
    return noisy["seconds_per_step"], noisy["seconds_per_step_iqr"], noisy["steps_timed"]


def inference(kind: str) -> tuple[Callable[[Record], float | None], Callable[[Record], tuple[float, float, int]]]:
    """Seconds per generated token of the base, the unmerged or the merged model."""

    def found(record: Record) -> dict[str, Any]:
        return record.times.get("inference", {}).get(kind, {})

    def spread(record: Record) -> tuple[float, float, int]:
        return found(record)["seconds_per_token"], found(record)["iqr"], found(record)["rounds"]

    return lambda record: found(record).get("seconds_per_token"), spread


def timed(name: str, kind: str) -> Figure:
    value, spread = inference(kind)
    return Figure(name, "time", value, spread=spread, timed=True)


def of_epoch(epoch: int) -> tuple[Figure, ...]:
    """What source 001's tables say of each epoch."""
    return (
        Figure(f"seqeval_f1_of_epoch_{epoch}", "fraction", at_epoch("seqeval_f1", epoch), quality=True),
        Figure(f"seqeval_precision_of_epoch_{epoch}", "fraction", at_epoch("seqeval_precision", epoch), quality=True),
        Figure(f"seqeval_recall_of_epoch_{epoch}", "fraction", at_epoch("seqeval_recall", epoch), quality=True),
        Figure(f"accuracy_of_epoch_{epoch}", "fraction", at_epoch("accuracy", epoch), quality=True),
        Figure(f"validation_loss_of_epoch_{epoch}", "nats", at_epoch("loss", epoch), quality=True),
        Figure(f"training_loss_of_epoch_{epoch}", "nats", training_loss(epoch), quality=True),
    )


FIGURES = {
    figure.name: figure
    for figure in (
        Figure("f1", "fraction", f1, word_counts, second_over_first, quality=True),
        Figure("accuracy", "fraction", quality("accuracy"), word_counts, second_over_first, quality=True),
        Figure("seqeval_f1", "fraction", quality("seqeval_f1"), span_counts, span_f1, quality=True),
        Figure("loss", "nats", quality("loss"), token_counts("loss"), second_over_first, quality=True),
        Figure("token_accuracy", "fraction", quality("token_accuracy"), token_counts("correct"), second_over_first,
               quality=True),
        Figure("loss_change", "nats", change, quality=True),
        Figure("validation_loss_rise", "nats", rise, quality=True),
        *(figure for epoch in (1, 2, 3) for figure in of_epoch(epoch)),
        Figure("training_loss", "nats", training_loss(0), quality=True),
        Figure("seconds_per_step", "time", lambda r: r.times.get("seconds_per_step"), spread=step_spread, timed=True),
        Figure("training_seconds", "time", lambda r: r.times.get("seconds", {}).get("train"), timed=True, repeats=True),
        Figure("peak_bytes", "bytes", lambda r: r.peak_bytes, timed=True, repeats=True),
        Figure("allocated_peak_bytes", "bytes", allocated_peak, repeats=True),
        Figure("allocated_bytes", "bytes", lambda r: r.exact.get("step_allocated_bytes"), repeats=True),
        Figure("resting_bytes", "bytes", lambda r: r.exact.get("resting_allocated_bytes"), repeats=True),
        Figure("step_flops", "flop", step_flops, repeats=True),
        Figure("trainable_parameters", "parameters", lambda r: r.exact.get("trainable_parameters"), repeats=True),
        timed("base_seconds_per_token", "base"),
        timed("unmerged_seconds_per_token", "unmerged"),
        timed("merged_seconds_per_token", "merged"),
    )
}  # fmt: skip
