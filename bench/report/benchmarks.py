"""Figures that pytest-benchmark's table lacks: memory, FLOPs, tokens and quality of each case, in a saved run and now.

A benchmark's `extra_info` carries these figures, from the record of the same case in the same session.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.core.outside_text import for_terminal
from bench.core.units import gigabytes
from bench.records.figures import FIGURES
from bench.records.record import Record
from bench.report.cases import EMPTY
from bench.report.tables import text_lines
from bench.tasks import TASKS

HEADINGS = ("", "then", "now", "change")
BASIS = ("recipe", "data", "weights")  # keys of extra_info that must be equal to compare quality


@dataclass(frozen=True)
class Shown:
    """A figure of extra_info in the table: its heading, and how its value is formatted."""

    heading: str
    text: Callable[[float], str]


SHOWN = {
    "seconds_per_step": Shown("s/step", lambda value: f"{value:.4g}"),
    "tokens_per_second": Shown("tokens/s", lambda value: f"{value:,.0f}"),
    "tokens_per_step": Shown("tokens/step", lambda value: f"{value:,.0f}"),
    "peak_bytes": Shown("peak memory", gigabytes),
    "allocated_bytes": Shown("allocated", gigabytes),
    "mean_step_flops": Shown("TFLOPs/step", lambda value: f"{value / 1e12:.4f}"),
}


def figures_of(record: Record) -> dict[str, Any]:
    """The record's figures for extra_info; None for a figure that it lacks.

    mean_step_flops: model FLOPs of a step, the mean over training. quality: the task's metric after training; None with
    random weights.
    """
    metric = TASKS[record.parsed_case().task].metric
    flops, steps = (FIGURES[name].value_in(record) for name in ("training_model_flops", "optimizer_steps"))
    return {
        "recipe": record.recipe_digest,
        "data": record.data.get("identity"),
        "weights": record.weights.get("identity"),
        "peak_bytes": FIGURES["peak_bytes"].value_in(record),
        "allocated_bytes": FIGURES["allocated_bytes"].value_in(record),
        "mean_step_flops": flops / steps if flops and steps else None,
        "metric": metric,
        "quality": record.quality.get(metric) if record.quality_judged else None,
    }


def comparison_lines(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table of each benchmark's figures in a saved run and now, with the case above its figures.

    then, now: extra_info by the benchmark's full name, with seconds_per_step.
    """
    names = [name for name in now if name in then]
    groups = [figure_rows(then[name], now[name]) for name in names]
    heading, *lines = text_lines([list(HEADINGS), *(row for rows in groups for row in rows)], 1)
    found = [heading]
    for name, rows in zip(names, groups, strict=True):
        found += [for_terminal(str(now[name].get("case", name))), *lines[: len(rows)]]
        lines = lines[len(rows) :]
    return found if names else []


def figure_rows(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[list[str]]:
    """One row per figure, quality last."""
    rows = [
        [f"  {shown.heading}", *both(then.get(name), now.get(name), shown.text), change(then.get(name), now.get(name))]
        for name, shown in SHOWN.items()
    ]
    different = [part for part in BASIS if then.get(part) != now.get(part)]
    qualities = then.get("quality"), now.get("quality")
    says = f"other {different[0]}" if different else change(*qualities)
    rows.append([f"  {now.get('metric', 'quality')}", *both(*qualities, lambda value: f"{value:.4f}"), says])
    return rows


def both(then: float | None, now: float | None, text: Callable[[float], str]) -> list[str]:
    return [EMPTY if value is None else text(value) for value in (then, now)]


def change(then: float | None, now: float | None) -> str:
    """The relative change; a dash if either is unknown."""
    if not then or now is None:
        return EMPTY
    return "same" if then == now else f"{now / then - 1:+.1%}"
