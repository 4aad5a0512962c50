"""The table of a run's records; `expected` is the band that the quality after training must lie in."""

from collections.abc import Callable, Iterable, Mapping

from bench.core.units import gigabytes
from bench.judge.thresholds import Thresholds
from bench.records.figures import FIGURES
from bench.records.record import PROCESS, Record
from bench.tasks import TASKS

HEADINGS = (
    "case", "status", "metric", "before", "after", "expected", "peak memory", "s/step", "tokens/s", "trainable",
)  # fmt: skip
NAMES = 3  # of the headings; numbers follow
TESTS = "tests"  # the heading of a session's verdicts, after the status
NAMES_WITH_TESTS = NAMES + 1
EMPTY = "–"


SHOWN: dict[str, Callable[[float], str]] = {  # figure -> its text, in the order of the last headings
    "peak_bytes": gigabytes,
    "seconds_per_step": "{:.3f}".format,
    "tokens_per_second": "{:,.0f}".format,
    "trainable_share": "{:.2%}".format,
}


def figure_text(record: Record, name: str) -> str:
    """The figure as the record states it, even for a case that ran beside others; a dash if it has none."""
    value = FIGURES[name].value_in(record)
    return EMPTY if value is None else SHOWN[name](value)


def row(record: Record, thresholds: Thresholds) -> list[str]:
    """One row of the table; a dash stands for a figure that the record lacks."""
    name = record.parsed_case().task
    if name not in TASKS:  # a run with a user's own entries, read without them
        return [record.case, record.status, *[EMPTY] * 8]
    task = TASKS[name]
    if not record.ok:
        return [record.case, record.status, task.metric, *[EMPTY] * 7]
    expected = thresholds.quality_of(record)
    before, after = (quality.get(task.metric) for quality in (record.quality_before, record.quality))
    peak, *others = (figure_text(record, name) for name in SHOWN)
    return [
        record.case,
        record.status,
        task.metric,
        f"{before:.4f}" if record.quality_judged and before is not None else EMPTY,
        f"{after:.4f}" if record.quality_judged and after is not None else EMPTY,
        str(expected) if expected else EMPTY,
        f"{peak} ({PROCESS})" if record.peak_bytes is None else peak,
        *others,
    ]


def table_of(
    records: Iterable[Record], thresholds: Thresholds, verdicts: Mapping[str, str] | None = None
) -> list[list[str]]:
    """The headings and a row for each record. verdicts: a session's test verdicts by case id, shown in a column."""
    records = list(records)
    table = [list(HEADINGS), *(row(record, thresholds) for record in records)]
    if verdicts is None:
        return table
    cells = [TESTS, *(verdicts.get(record.case, EMPTY) for record in records)]
    return [[*line[:2], cell, *line[2:]] for line, cell in zip(table, cells, strict=True)]
