"""A picture of a run: the quality of each method against its peak memory, with thresholds, as SVG text.

No plotting library is used, so the core needs none. The file is readable on a light or dark page, in black and white,
and by a screen reader: `title` and `desc` describe it.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.core.registry import unknown
from bench.judge.thresholds import Thresholds
from bench.records.basis import group_of
from bench.records.figures import FIGURES
from bench.records.record import Record
from bench.tasks import TASKS

WIDTH, HEIGHT = 800, 460
LEFT, RIGHT, TOP, BOTTOM = 78, 776, 78, 396  # edges of the plot
LETTER, LINE = 8.4, 17  # width and height reserved for a letter of a label, at 15 pixels
RADIUS = 6
DASH = 11  # half of a threshold's dash
TICKS = 6
STYLE = """\
text { font: 15px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.heading { font-size: 18px; font-weight: 600 }
.quiet { fill: #59636e }
.page { fill: #ffffff }
.grid { stroke: #d1d9e0 }
.point { fill: #0550ae }
.threshold { stroke: #1f2328; stroke-width: 2 }
.stem { stroke: #59636e; stroke-dasharray: 2 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .quiet { fill: #9198a1 }
  .page { fill: #0d1117 }
  .grid { stroke: #3d444d }
  .point { fill: #79c0ff }
  .threshold { stroke: #f0f6fc }
  .stem { stroke: #9198a1 }
}"""


class NothingToDraw(ValueError):
    """The run has no case whose quality was judged, or none that was requested."""


@dataclass(frozen=True)
class Point:
    """One method: means over its seeds. threshold: the worse end of its band; None if none was measured."""

    method: str
    peak_gigabytes: float
    quality: float
    threshold: float | None


@dataclass(frozen=True)
class Picture:
    """Points of one task, model, device and size of data."""

    task: str
    model: str
    device: str
    machine: str
    metric: str
    greater_is_better: bool
    seeds: int
    points: tuple[Point, ...]

    @property
    def heading(self) -> str:
        return f"{self.metric} of {self.task} against peak memory: {self.model} by method"

    @property
    def about(self) -> str:
        seeds = "one seed" if self.seeds == 1 else f"means of {self.seeds} seeds"
        return f"{self.machine}, {seeds}. Dot: tuned model on held-out examples. Dash: threshold of the test."

    @property
    def better(self) -> str:
        return "higher is better" if self.greater_is_better else "lower is better"


def picture_of(records: Iterable[Record], thresholds: Thresholds, task: str = "", model: str = "") -> Picture:
    """The group of the run with the most methods, or that of the task and model. Raises NothingToDraw, UnknownName."""
    judged = [one for one in records if one.ok and one.quality_judged and has_metric(one)]
    if not judged:
        raise NothingToDraw("no case was judged on real weights, so there is no quality to draw")
    for field, name in (("task", task), ("model", model)):
        known = sorted({getattr(one.parsed_case(), field) for one in judged})
        if name and name not in known:
            raise unknown(field, name, known)
    groups: dict[tuple[str, ...], dict[str, list[Record]]] = {}
    for record in judged:
        case = record.parsed_case()
        if task in ("", case.task) and model in ("", case.model):
            key = (case.task, case.model, case.device, record.recipe["data"])
            groups.setdefault(key, {}).setdefault(group_of(record), []).append(record)
    if not groups:
        raise NothingToDraw(f"the run has no case of {task} with {model}")
    (name, of_model, device, _), methods = max(groups.items(), key=lambda item: len(item[1]))
    first = next(iter(methods.values()))[0]
    return Picture(
        task=name,
        model=of_model,
        device=device,
        machine=machine_of(first),
        metric=TASKS[name].metric,
        greater_is_better=TASKS[name].greater_is_better,
        seeds=max(map(len, methods.values())),
        points=tuple(point_of(group, thresholds) for group in methods.values()),
    )


def has_metric(record: Record) -> bool:
    task = record.parsed_case().task
    return task in TASKS and TASKS[task].metric in record.quality


def machine_of(record: Record) -> str:
    about = record.environment
    return str(about.get("accelerator") or f"{about['processor']}, {about['cores']} cores")


def point_of(group: Sequence[Record], thresholds: Thresholds) -> Point:
    case = group[0].parsed_case()
    task, band = TASKS[case.task], thresholds.quality_of(group[0])
    worst = (band.lowest if task.greater_is_better else band.highest) if band else None
    return Point(
        method=case.method,
        peak_gigabytes=statistics.mean(FIGURES["peak_bytes"].required_value(record) for record in group) / 1e9,
        quality=statistics.mean(record.quality[task.metric] for record in group),
        threshold=worst,
    )


@dataclass(frozen=True)
class Axis:
    """Values from low to high, drawn between two pixels."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    decimals: int

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def axis(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis with round ticks that has room for all values."""
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - room, high + room
    power = 10 ** math.floor(math.log10((high - low) / TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * TICKS >= high - low)
    ticks = tuple(step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1))
    return Axis(low, high, start, end, ticks, max(0, -math.floor(math.log10(step) + 1e-9)))


Box = tuple[float, float, float, float]  # left, top, right, bottom


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def label_boxes(x: float, y: float, text: str) -> Iterator[Box]:
    """Where a point's label may stand, the preferred place first: right, left, above, below, then further away."""
    width, gap = LETTER * len(text), RADIUS + 4
    for away in (0, LINE, 2 * LINE):
        for left, top in (
            (x + gap, y - LINE / 2 - away),
            (x - gap - width, y - LINE / 2 - away),
            (x - width / 2, y - gap - LINE - away),
            (x - width / 2, y + gap + away),
            (x + gap, y - LINE / 2 + away),
            (x - gap - width, y - LINE / 2 + away),
        ):
            yield left, top, left + width, top + LINE


def place_labels(points: Sequence[tuple[float, float, str]], taken: Sequence[Box]) -> list[Box]:
    """A box for each label that overlaps no other label and nothing in taken, if there is room."""
    placed: list[Box] = []
    for x, y, text in points:
        inside = [
            box
            for box in label_boxes(x, y, text)
            if box[0] > LEFT and box[2] < RIGHT and box[1] > TOP and box[3] < BOTTOM
        ]
        free = (box for box in inside if not any(overlap(box, other) for other in (*placed, *taken)))
        placed.append(next(free, next(label_boxes(x, y, text))))
    return placed


def as_svg(picture: Picture) -> str:
    """The picture's text, the same for the same records."""
    points = sorted(picture.points, key=lambda point: (point.peak_gigabytes, point.method))
    across = axis([point.peak_gigabytes for point in points], LEFT, RIGHT)
    heights = [value for point in points for value in (point.quality, point.threshold) if value is not None]
    up = axis(heights, BOTTOM, TOP)
    spots = [(across.at(point.peak_gigabytes), up.at(point.quality), point.method) for point in points]
    stems = [None if point.threshold is None else up.at(point.threshold) for point in points]
    dots = [(x - RADIUS - 1, y - RADIUS - 1, x + RADIUS + 1, y + RADIUS + 1) for x, y, _ in spots]
    dashes = [
        (x - DASH, end - 3, x + DASH, end + 3) for (x, _, _), end in zip(spots, stems, strict=True) if end is not None
    ]
    lines = [*head_lines(picture, points), *grid_lines(across, up, picture)]
    for (x, y, _), end in zip(spots, stems, strict=True):
        if end is not None:
            lines.append(f'<path class="stem" d="M{x:.1f} {y:.1f}V{end:.1f}"/>')
            lines.append(f'<path class="threshold" d="M{x - DASH:.1f} {end:.1f}h{2 * DASH}"/>')
    lines += [f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}"/>' for x, y, _ in spots]
    boxes = place_labels(spots, [*dots, *dashes])
    lines += [label(box, x, text) for box, (x, _, text) in zip(boxes, spots, strict=True)]
    return "\n".join([*lines, "</svg>", ""])


def label(box: Box, x: float, text: str) -> str:
    """The label of a point at x, aligned to the side of its box nearest to the point."""
    left, _, right, bottom = box
    if left > x:
        return text_line(left, bottom - 4, text)
    if right < x:
        return text_line(right, bottom - 4, text, anchor="end")
    return text_line(x, bottom - 4, text, anchor="middle")


def head_lines(picture: Picture, points: Sequence[Point]) -> list[str]:
    said = "; ".join(sentence(point, picture) for point in points)
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(picture.heading)}</title>',
        f'<desc id="desc">{escape(picture.about)} {escape(said)}.</desc>',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        text_line(20, 30, picture.heading, "heading"),
        text_line(20, 54, picture.about, "quiet"),
    ]


def sentence(point: Point, picture: Picture) -> str:
    """A point in words, for screen readers."""
    threshold = "no threshold" if point.threshold is None else f"threshold {point.threshold:.4f}"
    return f"{point.method}: {picture.metric} {point.quality:.4f}, {threshold}, {point.peak_gigabytes:.2f} GB"


def grid_lines(across: Axis, up: Axis, picture: Picture) -> list[str]:
    lines = []
    for tick in up.ticks:
        lines.append(f'<path class="grid" d="M{LEFT} {up.at(tick):.1f}H{RIGHT}"/>')
        lines.append(text_line(LEFT - 10, up.at(tick) + 5, f"{tick:.{up.decimals}f}", "quiet", "end"))
    for tick in across.ticks:
        lines.append(f'<path class="grid" d="M{across.at(tick):.1f} {TOP}V{BOTTOM}"/>')
        lines.append(text_line(across.at(tick), BOTTOM + 22, f"{tick:.{across.decimals}f}", "quiet", "middle"))
    kind = "resident memory of the case's process" if picture.device == "cpu" else "memory reserved on the card"
    lines.append(text_line((LEFT + RIGHT) / 2, HEIGHT - 14, f"peak {kind}, GB", anchor="middle"))
    middle = (TOP + BOTTOM) / 2
    lines.append(
        f'<text transform="translate(24 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(picture.metric)}, {picture.better}</text>"
    )
    return lines


def text_line(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
