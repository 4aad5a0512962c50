"""Reports: a run's records as a table, for the terminal and as Markdown."""

from collections.abc import Iterable, Sequence

from bench.record import Record
from bench.tasks import TASKS
from bench.thresholds import Thresholds

HEADINGS = (
    "case", "status", "metric", "before", "after", "threshold", "peak memory", "s/step", "tokens/s", "trainable",
)  # fmt: skip
EMPTY = "–"


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB"


def row(record: Record, thresholds: Thresholds) -> list[str]:
    """One line of the table; what the record has not is a dash."""
    name = record.parsed_case().task
    if name not in TASKS:  # a run of a person's own entries, read without them
        return [record.case, record.status, *[EMPTY] * 8]
    task = TASKS[name]
    if not record.ok:
        return [record.case, record.status, task.metric, *[EMPTY] * 7]
    arrow = "≥" if task.greater_is_better else "≤"
    threshold = thresholds.quality_of(record)
    share = record.exact["trainable_parameters"] / record.exact["total_parameters"]
    synthetic = not record.quality_judged
    return [
        record.case,
        record.status,
        task.metric,
        EMPTY if synthetic else f"{record.quality_before[task.metric]:.4f}",
        EMPTY if synthetic else f"{record.quality[task.metric]:.4f}",
        f"{arrow} {threshold:.4f}" if threshold is not None else EMPTY,
        gigabytes(record.noisy["peak_bytes"]),
        f"{record.noisy['seconds_per_step']:.3f}",
        f"{record.noisy['tokens_per_second']:,.0f}",
        f"{share:.2%}",
    ]


def rows(records: Iterable[Record], thresholds: Thresholds) -> list[list[str]]:
    return [row(record, thresholds) for record in records]


def as_text(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns aligned: names to the left, numbers to the right."""
    everything = [list(HEADINGS), *map(list, table)]
    widths = [max(len(line[column]) for line in everything) for column in range(len(HEADINGS))]
    return [
        "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in everything
    ]


def as_markdown(table: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * 3 + "---:|" * (len(HEADINGS) - 3)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table]
    return "\n".join(lines) + "\n"
