"""Quality against peak memory of the methods that tuned one model on one task, with intervals over seeds and ties.

A method is beaten only where another one is better in one of the two and worse in neither, each beyond its interval.
One seed has no interval: its noise is unknown, and the chart says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.units import gigabytes
from bench.judge.score.compare import refusal
from bench.judge.score.pareto import dominates
from bench.judge.statistics import LEAST_SEEDS, Interval, interval
from bench.records.basis import basis_of
from bench.records.figures import FIGURES
from bench.records.record import Record
from bench.report.charts.chart import Chart, Trace, round_value, safe
from bench.report.charts.chart import axis as drawn_axis
from bench.report.charts.marks import OUTLINE, colour_of, symbol_of
from bench.report.picture import BOTTOM, LEFT, RADIUS, RIGHT, TOP, Axis, Box, axis, place_labels
from bench.tasks import TASKS

LEAST_METHODS = 2  # one point compares nothing
HEADINGS = ("method", "seeds", "peak memory", "metric", "quality", "standing", "ties with")
NOT_BEATEN = (
    "A filled mark is not beaten: no other method is better in one of the two and worse in neither. "
    "The dotted line joins the best means."
)
ONE_SEED = "one seed each, so there are no intervals, and a difference may be noise"


@dataclass(frozen=True)
class Point:
    """A method's memory in bytes and its quality; intervals of no width if it has one seed."""

    method: str
    seeds: int
    memory: Interval
    quality: Interval

    def against(self, greater_is_better: bool) -> tuple[Mapping[str, Interval], Mapping[str, bool]]:
        return {"memory": self.memory, "quality": self.quality}, {"memory": False, "quality": greater_is_better}


def quality_charts(records: Iterable[Record]) -> list[Chart]:
    """A chart for each task, model, device and data that at least two methods were judged on."""
    groups: dict[tuple[str, ...], dict[str, list[Record]]] = {}
    for record in records:
        case = record.parsed_case()
        if refusal(record) or not (record.quality_judged and record.peak_bytes):
            continue
        if TASKS[case.task].metric in record.quality:
            basis = basis_of(record)
            key = (case.task, case.model, case.device, record.recipe["data"], basis.data, basis.weights)
            groups.setdefault(key, {}).setdefault(f"{case.method} {basis.recipe}", []).append(record)
    return [chart_of(key, list(of.values())) for key, of in groups.items() if len(of) >= LEAST_METHODS]


def point_of(records: Sequence[Record]) -> Point:
    case = records[0].parsed_case()
    memory = [FIGURES["peak_bytes"].required_value(record) for record in records]
    quality = [record.quality[TASKS[case.task].metric] for record in records]
    return Point(case.method, len(records), over_seeds(memory), over_seeds(quality))


def over_seeds(values: Sequence[float]) -> Interval:
    if len(values) >= LEAST_SEEDS:
        return interval(values)
    return Interval(values[0], values[0], values[0])


def chart_of(key: tuple[str, ...], methods: Sequence[Sequence[Record]]) -> Chart:
    task, model, device, data, *_ = key
    entry = TASKS[task]
    points = sorted(map(point_of, methods), key=lambda one: (one.memory.mean, one.method))
    beaten = {one.method: beaten_by(one, points, entry.greater_is_better) for one in points}
    across = axis([one.memory.mean / 1e9 for one in points], LEFT, RIGHT)
    up = axis([one.quality.mean for one in points], BOTTOM, TOP)
    held = "resident memory" if device == "cpu" else "reserved memory"
    better = "higher is better" if entry.greater_is_better else "lower is better"
    seeds = {one.seeds for one in points}
    intervals = ONE_SEED if seeds == {1} else "bars are 95 % intervals over seeds; a method with one seed has none"
    return Chart(
        name=f"quality-{task}-{model}-{device}-{data}",
        title=f"{entry.metric} against memory: {task} × {model} × {device}, {data} data",
        says=f"Each mark is a method, the mean of its seeds ({intervals}). {NOT_BEATEN}",
        traces=[front_of(points, entry.greater_is_better), *(mark_of(one, beaten[one.method]) for one in points)],
        layout={
            "xaxis": drawn_axis(f"peak {held}, GB"),
            "yaxis": drawn_axis(f"{entry.metric}, {better}"),
            "height": 480,
            "annotations": labels_of(points, across, up),
        },
        narrow={"annotations": []},  # there is no room; the legend names the marks
        table=[list(HEADINGS), *(row_of(one, beaten[one.method], points, entry.metric) for one in points)],
        names=1,
    )  # fmt: skip


def beaten_by(point: Point, points: Sequence[Point], greater_is_better: bool) -> list[str]:
    """The methods that are better in one of the two and worse in neither."""
    own, greater = point.against(greater_is_better)
    return [one.method for one in points if dominates(one.against(greater_is_better)[0], own, greater)]


def ties_of(point: Point, points: Sequence[Point]) -> list[str]:
    """The methods whose intervals overlap this one's in both; [] if no interval is known."""
    known = [one for one in points if one.seeds >= LEAST_SEEDS and one is not point]
    return [
        one.method
        for one in (known if point.seeds >= LEAST_SEEDS else [])
        if overlap(one.memory, point.memory) and overlap(one.quality, point.quality)
    ]


def overlap(one: Interval, other: Interval) -> bool:
    return not one.beats(other, True) and not other.beats(one, True)


def mark_of(point: Point, beaten: Sequence[str]) -> Trace:
    symbol = symbol_of(point.method) + ("-open" if beaten else "")
    bars = {"type": "data", "thickness": 1.5, "visible": point.seeds >= LEAST_SEEDS}
    return {
        "type": "scatter", "mode": "markers", "name": safe(point.method),
        "x": [round_value(point.memory.mean / 1e9)], "y": [round_value(point.quality.mean)],
        "error_x": {**bars, "array": [round_value(point.memory.half / 1e9)]},
        "error_y": {**bars, "array": [round_value(point.quality.half)]},
        "marker": {"symbol": symbol, "size": 12, "color": colour_of(point.method), "line": {"width": 2}},
        "hoverinfo": "x+y+name",
    }  # fmt: skip


def front_of(points: Sequence[Point], greater_is_better: bool) -> Trace:
    """The line through the means that no other mean beats, in steps."""
    best: list[Point] = []
    for point in points:  # by memory, the least first
        if not best or (point.quality.mean > best[-1].quality.mean) == greater_is_better:
            best.append(point)
    return {
        "type": "scatter", "mode": "lines", "name": "best means", "hoverinfo": "skip",
        "x": [round_value(one.memory.mean / 1e9) for one in best], "y": [round_value(one.quality.mean) for one in best],
        "line": {"shape": "hv", "dash": "dot", "color": OUTLINE, "width": 1.5},
    }  # fmt: skip


def labels_of(points: Sequence[Point], across: Axis, up: Axis) -> list[dict[str, Any]]:
    """A name beside each mark, placed where it covers no other name and no mark."""
    spots = [(across.at(one.memory.mean / 1e9), up.at(one.quality.mean), one.method) for one in points]
    boxes = place_labels(spots, [box for one in points for box in covered_boxes(one, across, up)])
    return [
        {
            "x": round_value(point.memory.mean / 1e9), "y": round_value(point.quality.mean), "text": safe(point.method),
            "showarrow": False, "xanchor": "center", "yanchor": "middle",
            "xshift": round((box[0] + box[2]) / 2 - x), "yshift": round(y - (box[1] + box[3]) / 2),
        }
        for point, box, (x, y, _) in zip(points, boxes, spots, strict=True)
    ]  # fmt: skip


def covered_boxes(point: Point, across: Axis, up: Axis) -> list[Box]:
    """The places of a point's mark and of its two bars."""
    x, y = across.at(point.memory.mean / 1e9), up.at(point.quality.mean)
    left, right = across.at(point.memory.low / 1e9), across.at(point.memory.high / 1e9)
    top, bottom = sorted((up.at(point.quality.low), up.at(point.quality.high)))
    reach = RADIUS + 2
    return [(x - reach, y - reach, x + reach, y + reach), (left, y - 2, right, y + 2), (x - 2, top, x + 2, bottom)]


def row_of(point: Point, beaten: Sequence[str], points: Sequence[Point], metric: str) -> list[str]:
    alone = point.seeds < LEAST_SEEDS
    memory, quality = gigabytes(point.memory.mean), f"{point.quality.mean:.4f}"
    return [
        point.method,
        str(point.seeds),
        memory if alone else f"{memory} ± {gigabytes(point.memory.half)}",
        metric,
        quality if alone else f"{quality} ± {point.quality.half:.4f}",
        f"beaten by {', '.join(beaten)}" if beaten else "not beaten",
        ", ".join(ties_of(point, points)) or ("unknown: one seed" if alone else "none"),
    ]
