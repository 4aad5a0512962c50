"""Every figure of a record: its name, place in the record, dimension, kind, better direction and spread.

Claims, scores, comparisons and tables read figures through this table, so that a figure has one name, one place and one
meaning. A new figure of the worker needs an entry here and nothing elsewhere.

There are three kinds of figures. Quality is measured on held-out examples, needs real weights and differs between
seeds. Exact figures repeat on every machine with the same libraries. Noisy ones can be compared on one machine only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.records.example_counts import second_over_first, span_counts, span_f1, token_counts, word_counts
from bench.records.record import BadRecord, Record, has_old_metrics
from bench.records.work import MODEL, counts_of

if TYPE_CHECKING:  # at run time these imports would load numpy
    from bench.records.example_counts import Counts, Metric

QUALITY, EXACT, NOISY = "quality", "exact", "noisy"
LESS, MORE, NEITHER = "less", "more", "neither"
UNITS = {  # dimension -> the unit of its figures
    "fraction": "",
    "nats": "nats",
    "time": "s",
    "bytes": "bytes",
    "energy": "J",
    "flop": "FLOP",
    "flop per second": "FLOP/s",
    "tokens per second": "tokens/s",
    "parameters": "parameters",
    "steps": "steps",
}
STEP_SHAPE = (2, 32)  # rows, tokens of a row: the shape that records of every age have counted


class Spread(NamedTuple):
    """The median of a run's repeated measurements, their interquartile range, and their number."""

    median: float
    iqr: float
    measurements: int


@dataclass(frozen=True)
class Figure:
    """A figure of a record, in its dimension's unit.

    path is its place in the record, parts joined by dots; empty for a figure that `calculate` computes from others.
    better says which direction is an improvement; NEITHER if a change is neither better nor worse.
    comparable(record) is False if the record states the figure with another meaning than other records.
    one_run: a single run decides although the figure is noisy. spread_path is the place of its interquartile range and
    its number of measurements. counts and metric are for resampling over examples.
    """

    name: str
    says: str
    path: str
    dimension: str
    kind: str
    better: str
    calculate: Callable[[Record], float | None] | None = None
    comparable: Callable[[Record], bool] = lambda record: True
    one_run: bool = False
    spread_path: tuple[str, str] = ("", "")
    counts: Counts | None = None
    metric: Metric | None = None

    def value_in(self, record: Record) -> float | None:
        """The record's value, comparable or not; None if it has no such figure."""
        return self.calculate(record) if self.calculate else at(record, self.path)

    def required_value(self, record: Record) -> float:
        """The record's value, comparable or not. Raises BadRecord if it has no such figure."""
        if (value := self.value_in(record)) is None:
            raise BadRecord(f"{record.case} has no {self.name} ({self.says}); run the case again")
        return value

    def value(self, record: Record) -> float | None:
        """The figure; None if the record lacks it, or if it cannot be compared with other records.

        For quality the caller checks `record.quality_judged` first.
        """
        return self.value_in(record) if self.comparable(record) else None

    def spread(self, record: Record) -> Spread | None:
        """The spread within the run; None if the run measured the figure fewer than four times."""
        median = self.value(record)
        iqr, count = (at(record, path) for path in self.spread_path)
        return None if median is None or iqr is None else Spread(median, iqr, count)

    @property
    def unit(self) -> str:
        return UNITS[self.dimension]

    @property
    def repeats(self) -> bool:
        """Whether one run is enough to judge the figure."""
        return self.kind == EXACT or self.one_run

    @property
    def timed(self) -> bool:
        """Whether only records from one machine can be compared."""
        return self.kind == NOISY

    @property
    def quality(self) -> bool:
        """Whether the figure is meaningless with random weights."""
        return self.kind == QUALITY


def at(record: Record, path: str) -> Any:
    """The value at this place in the record, for example "noisy.memory.train.allocated_bytes"; None if missing."""
    name, *parts = path.split(".")
    value = getattr(record, name, None)
    for part in parts:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def ran_alone(record: Record) -> bool:
    """Whether no other case ran at the same time, which would have slowed this one down."""
    return not record.noisy.get("ran_beside")


def has_todays_metrics(record: Record) -> bool:
    return not has_old_metrics(record)


def at_epoch(key: str, epoch: int) -> Callable[[Record], float | None]:
    """The quality after an epoch, counted from 1, in a record that was evaluated after each epoch."""
    return lambda record: next((entry.get(key) for entry in record.epochs if entry["epoch"] == epoch), None)


def training_loss(epoch: int) -> Callable[[Record], float | None]:
    """The mean loss over an epoch's steps; epochs count from 1, and 0 is the last one."""

    def mean(record: Record) -> float | None:
        epochs = max(1, record.recipe.get("epochs", 1))
        each = len(record.losses) // epochs
        end = each * (epoch or epochs)
        losses = record.losses[end - each : end if epoch else None]
        return sum(losses) / len(losses) if losses and epoch <= epochs else None

    return mean


def loss_change(record: Record) -> float | None:
    if "loss" not in record.quality or "loss" not in record.quality_before:
        return None
    return record.quality["loss"] - record.quality_before["loss"]


def loss_rise(record: Record) -> float | None:
    return record.epochs[-1]["loss"] - record.epochs[0]["loss"] if len(record.epochs) > 1 else None


def trainable_share(record: Record) -> float | None:
    trainable, total = (record.exact.get(f"{which}_parameters") for which in ("trainable", "total"))
    return trainable / total if trainable is not None and total else None


def step_flops(record: Record) -> int | None:
    """Model FLOPs of a step of STEP_SHAPE; None if an older record counted recomputation too."""
    counts = counts_of(record.exact, record.recipe)
    return next((one.get(MODEL) for one in counts if (one["rows"], one["length"]) == STEP_SHAPE), None)


def quality(name: str, dimension: str = "fraction", better: str = MORE, **more: Any) -> Figure:
    """A metric of a task on its held-out examples, after training."""
    return Figure(name, f"{name} after training", f"quality.{name}", dimension, QUALITY, better, **more)


def calculation(name: str, says: str, calculate: Callable[[Record], float | None], dimension: str, kind: str,
               better: str) -> Figure:  # fmt: skip
    return Figure(name, says, "", dimension, kind, better, calculate)


def exact(name: str, path: str, says: str, dimension: str, better: str) -> Figure:
    return Figure(name, says, path, dimension, EXACT, better)


def noisy(name: str, path: str, says: str, dimension: str = "time", better: str = LESS, **more: Any) -> Figure:
    """A figure that depends on the machine; it cannot be compared if other cases ran at the same time."""
    return Figure(name, says, f"noisy.{path}", dimension, NOISY, better, **{"comparable": ran_alone, **more})


def seconds_per_token(kind: str) -> Figure:
    place = f"inference.{kind}"
    return noisy(f"{kind}_seconds_per_token", f"{place}.seconds_per_token", f"seconds a token of the {kind} model",
                 spread_path=(f"noisy.{place}.iqr", f"noisy.{place}.rounds"))  # fmt: skip


def peak_on_card(name: str, path: str, says: str, kind: str) -> Figure:
    return Figure(name, says, f"noisy.memory.train.{path}", "bytes", kind, LESS)


def of_epoch(epoch: int) -> tuple[Figure, ...]:
    """The figures that source 001's tables state for each epoch."""
    after = f"after epoch {epoch}"
    return (
        calculation(f"seqeval_f1_of_epoch_{epoch}", f"seqeval's F1 on bare tags {after}", at_epoch("seqeval_f1", epoch),
                   "fraction", QUALITY, MORE),
        calculation(f"seqeval_precision_of_epoch_{epoch}", f"seqeval's precision on bare tags {after}",
                   at_epoch("seqeval_precision", epoch), "fraction", QUALITY, MORE),
        calculation(f"seqeval_recall_of_epoch_{epoch}", f"seqeval's recall on bare tags {after}",
                   at_epoch("seqeval_recall", epoch), "fraction", QUALITY, MORE),
        calculation(f"accuracy_of_epoch_{epoch}", f"accuracy {after}", at_epoch("accuracy", epoch), "fraction", QUALITY,
                   MORE),
        calculation(f"validation_loss_of_epoch_{epoch}", f"held-out loss {after}", at_epoch("loss", epoch), "nats",
                   QUALITY, LESS),
        calculation(f"training_loss_of_epoch_{epoch}", f"mean training loss of epoch {epoch}", training_loss(epoch),
                   "nats", QUALITY, LESS),
    )  # fmt: skip


FIGURES = {
    figure.name: figure
    for figure in (
        quality("f1", comparable=has_todays_metrics, counts=word_counts, metric=second_over_first),
        quality("accuracy", counts=word_counts, metric=second_over_first),
        quality("macro_f1"),
        quality("seqeval_f1", counts=span_counts, metric=span_f1),
        quality("seqeval_precision"),
        quality("seqeval_recall"),
        quality("loss", "nats", LESS, counts=token_counts("loss"), metric=second_over_first),
        quality("token_accuracy", counts=token_counts("correct"), metric=second_over_first),
        calculation("loss_change", "held-out loss after training less that before", loss_change, "nats", QUALITY, LESS),
        calculation("validation_loss_rise", "held-out loss after the last epoch less that after the first", loss_rise,
                   "nats", QUALITY, LESS),
        *(figure for epoch in (1, 2, 3) for figure in of_epoch(epoch)),
        calculation("training_loss", "mean training loss of the last epoch", training_loss(0), "nats", QUALITY, LESS),
        exact("trainable_parameters", "exact.trainable_parameters", "parameters that train", "parameters", NEITHER),
        exact("total_parameters", "exact.total_parameters", "parameters of the tuned model", "parameters", NEITHER),
        calculation("trainable_share", "share of the parameters that train", trainable_share, "fraction", EXACT,
                   NEITHER),
        exact("optimizer_steps", "exact.optimizer_steps", "optimizer steps", "steps", NEITHER),
        exact("training_model_flops", "exact.training_model_flops", "model FLOPs of all steps", "flop", NEITHER),
        exact("training_hardware_flops", "exact.training_hardware_flops", "FLOPs of all steps, recomputation included",
              "flop", LESS),
        calculation("step_flops", "model FLOPs of a step of 2 x 32 tokens", step_flops, "flop", EXACT, NEITHER),
        exact("resting_bytes", "exact.resting_allocated_bytes", "bytes of the model at rest", "bytes", LESS),
        exact("allocated_bytes", "exact.step_allocated_bytes", "bytes of all tensors at a step's peak", "bytes", LESS),
        exact("adapter_bytes", "exact.adapter_bytes", "bytes of the adapter", "bytes", LESS),
        peak_on_card("allocated_peak_bytes", "allocated_bytes", "bytes of tensors at the peak on a card", EXACT),
        peak_on_card("reserved_peak_bytes", "reserved_bytes", "bytes that torch reserved on a card", NOISY),
        peak_on_card("driver_peak_bytes", "driver_bytes", "bytes of the process by the card's driver", NOISY),
        noisy("peak_bytes", "peak_bytes", "peak bytes of the case", "bytes", one_run=True,
              comparable=lambda record: record.peak_bytes is not None),
        noisy("seconds_per_step", "seconds_per_step", "median seconds of an optimizer step",
              spread_path=("noisy.seconds_per_step_iqr", "noisy.steps_timed")),
        noisy("tokens_per_second", "tokens_per_second", "tokens a second in training", "tokens per second", MORE),
        noisy("padded_tokens_per_second", "padded_tokens_per_second", "tokens a second in training, padding included",
              "tokens per second", MORE),
        noisy("training_seconds", "seconds.train", "seconds of training", one_run=True),
        noisy("case_seconds", "case_seconds", "seconds of the whole case"),
        noisy("joules", "joules", "energy of training", "energy"),
        noisy("model_flops_per_second", "model_flops_per_second", "model FLOP/s in training", "flop per second", MORE),
        noisy("hardware_flops_per_second", "hardware_flops_per_second", "FLOP/s in training, recomputation included",
              "flop per second", MORE),
        noisy("model_flops_utilisation", "model_flops_utilisation", "MFU, a share of the peak", "fraction", MORE),
        noisy("hardware_flops_utilisation", "hardware_flops_utilisation", "HFU, a share of the peak", "fraction", MORE),
        *(seconds_per_token(kind) for kind in ("base", "unmerged", "merged")),
    )
}  # fmt: skip


def figures_of(record: Record) -> dict[str, Figure]:
    """The figures that have a value in the record, by name, including quality metrics that this table does not list.

    For an unlisted metric it is unknown which direction is better.
    """
    others = {name: quality(name, better=NEITHER) for name in record.quality if name not in FIGURES}
    return {name: one for name, one in {**FIGURES, **others}.items() if one.value(record) is not None}
