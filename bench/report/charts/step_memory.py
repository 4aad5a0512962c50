"""Memory of a training step, measured, beside its prediction by term.

Records hold peaks and not what they consist of, so only the prediction is stacked. On a processor the measured bar is
the bytes of all tensors, which repeat exactly: the process's resident memory also holds libraries and what the
allocator keeps, so it is a thin outline. On a card the outline is the memory reserved, which decides whether a step
fits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

from bench.core.recipe import Recipe
from bench.core.registry import UnknownName
from bench.judge.predictions.card_traces import read_traces
from bench.methods import METHODS
from bench.models import MODELS
from bench.predict import terms
from bench.predict.formula.closed_form import NoClosedForm, closed_form
from bench.predict.question import Question
from bench.records.figures import FIGURES, at
from bench.records.record import Record
from bench.records.stored import Stored
from bench.report.cases import EMPTY
from bench.report.charts.chart import Chart, Trace, axis, round_value, rows_axis, rows_height, safe
from bench.report.charts.labels import short_names, without_seed
from bench.report.charts.marks import OUTLINE, bar_of

HEADINGS = (
    "case", "allocated, GB", "resident or reserved, GB", "predicted, GB", "predicted reserved, GB",
    "largest predicted terms",
)  # fmt: skip
THICKNESS = 0.34  # of a bar; a case's row is 1
MEASURED, PREDICTED = -0.36, 0.02  # where the bars of a row begin
ROW = 52
WIDE_LEGEND, NARROW_LEGEND = 90, 230  # pixels of a legend with every term, and how much more it takes on a telephone
NAMED = 3  # terms in the table
ON_CPU = (
    "Upper bar: bytes of all tensors at a step's peak, measured. Thin outline: resident memory of the process, which "
    "also holds libraries and what the allocator keeps, and is not predicted. "
)
ON_CARD = (
    "Upper bar: allocated peak of training, measured. Thin outline: memory that torch reserved, which decides whether "
    "a step fits; on the lower bar, predicted by a trace where one is stored. "
)
LOWER = (
    "Lower bar: the closed form's prediction for a step of this shape on a CUDA card, by term. A method without a "
    "closed form has none. Of several seeds, the largest is drawn."
)


@dataclass(frozen=True)
class Step:
    """A case's step. measured, outline and reserved are bytes; reserved is predicted; predicted: bytes by term."""

    group: str
    measured: float
    outline: float | None
    predicted: Mapping[str, int]
    reserved: float | None


def step_memory_charts(stored: Sequence[Stored]) -> list[Chart]:
    """A chart of the cases on a processor and one of those on a card, each if there are any."""
    traced = read_traces()["traced"]
    charts = []
    for name, outline, says, of in KINDS:
        steps: dict[str, Step] = {}
        for one in stored:
            step = of(one.record, traced.get(one.name, {}))
            if step and (step.group not in steps or steps[step.group].measured < step.measured):
                steps[step.group] = step
        if steps:
            charts.append(chart_of(name, outline, says + LOWER, list(steps.values())))
    return charts


def on_processor(record: Record, traced: Mapping[str, int]) -> Step | None:
    """The step of a case on a processor; None for another case, or without the figure."""
    measured = FIGURES["allocated_bytes"].value_in(record)
    if measured is None or record.parsed_case().device != "cpu":
        return None
    resident = at(record, "noisy.memory.train.resident_bytes")
    return Step(without_seed(record.case), measured, resident, predicted_terms(record, [shape_of(record)]), None)


def on_card(record: Record, traced: Mapping[str, int]) -> Step | None:
    """The step of a case on a card; None for another case, or without the figure."""
    measured = FIGURES["allocated_peak_bytes"].value_in(record)
    if measured is None:
        return None
    heaviest = record.exact.get("heaviest_batches") or []
    shapes = [(one["rows"], one["length"]) for one in heaviest] or [shape_of(record)]
    reserved = FIGURES["reserved_peak_bytes"].value_in(record)
    found = predicted_terms(record, shapes)
    return Step(without_seed(record.case), measured, reserved, found, traced.get("reserved_bytes"))


KINDS = (
    ("processor", "resident, measured", ON_CPU, on_processor),
    ("card", "reserved, measured", ON_CARD, on_card),
)


def shape_of(record: Record) -> tuple[int, int]:
    """Rows and length of the batch whose bytes were counted; else those of a full batch."""
    rows, length = record.exact.get("step_shape") or (record.recipe["batch_size"], record.recipe["max_length"])
    return rows, length


def predicted_terms(record: Record, shapes: Sequence[tuple[int, int]]) -> Mapping[str, int]:
    """The closed form's bytes by term for the heaviest of the shapes; {} if the case has no closed form here."""
    case = record.parsed_case()
    needed = {one.name for one in fields(Recipe)}
    known = {name: value for name, value in record.recipe.items() if name in needed}
    try:
        question = Question(MODELS[case.model], METHODS[case.method], Recipe(**known), record.exact.get("labels", 0))
        found = [closed_form(question.at(batch_size=rows, max_length=length)) for rows, length in shapes]
    except (UnknownName, NoClosedForm):  # entries of a user's own, read without them, or no formula
        return {}
    return max(found, key=lambda peaks: peaks.peak_bytes).terms


def chart_of(name: str, outline: str, says: str, steps: Sequence[Step]) -> Chart:
    labels = short_names(step.group for step in steps)
    height = rows_height(len(steps), ROW) + WIDE_LEGEND
    traces = [measured_trace(steps), outline_trace(steps, outline, lambda step: step.outline, MEASURED)]
    if any(step.reserved for step in steps):
        traces.append(outline_trace(steps, "predicted: reserved", lambda step: step.reserved, PREDICTED))
    traces += [trace for term in terms.ORDER if (trace := term_trace(steps, term))]
    return Chart(
        name=f"step-memory-{name}",
        title=f"Memory of a training step on a {name}, beside its prediction",
        says=says,
        traces=traces,
        layout={
            "barmode": "overlay",
            "xaxis": axis("GB", rangemode="tozero"),
            "yaxis": rows_axis([labels[step.group] for step in steps]),
            "height": height,
        },
        narrow={"height": height + NARROW_LEGEND},
        table=[list(HEADINGS), *(row_of(step) for step in steps)],
        names=1,
    )


def bar(steps: Sequence[tuple[int, str, float]], name: str, offset: float) -> Trace:
    """A horizontal bar in each row. steps: row, what the bar says under a pointer, bytes."""
    return {
        "type": "bar", "orientation": "h", "name": safe(name), "offset": offset, "width": THICKNESS,
        "y": [row for row, _, _ in steps], "x": [round_value(size / 1e9) for _, _, size in steps],
        "hovertext": [safe(f"{says}: {size / 1e9:.3f} GB") for _, says, size in steps], "hoverinfo": "text",
    }  # fmt: skip


def measured_trace(steps: Sequence[Step]) -> Trace:
    found = [(row, f"{step.group}, allocated, measured", step.measured) for row, step in enumerate(steps)]
    return {**bar(found, "allocated, measured", MEASURED), "marker": {"color": "#7f7f7f"}}


def outline_trace(steps: Sequence[Step], name: str, size_of: Callable[[Step], float | None], offset: float) -> Trace:
    found = [(row, f"{step.group}, {name}", size) for row, step in enumerate(steps) if (size := size_of(step))]
    return {**bar(found, name, offset), "marker": {"color": "rgba(0,0,0,0)", "line": {"color": OUTLINE, "width": 1.5}}}


def term_trace(steps: Sequence[Step], term: str) -> Trace | None:
    """The term's part of every prediction, after the terms before it; None if no case has it."""
    having = [(row, step) for row, step in enumerate(steps) if step.predicted.get(term)]
    if not having:
        return None
    found = [(row, f"{step.group}, {term}", float(step.predicted[term])) for row, step in having]
    before = terms.ORDER[: terms.ORDER.index(term)]
    bases = [round_value(sum(step.predicted.get(one, 0) for one in before) / 1e9) for _, step in having]
    return {**bar(found, f"predicted: {term}", PREDICTED), "base": bases, "marker": bar_of(term)}


def row_of(step: Step) -> list[str]:
    largest = sorted(step.predicted, key=lambda term: -step.predicted[term])[:NAMED]
    return [
        step.group,
        in_gigabytes(step.measured),
        in_gigabytes(step.outline),
        in_gigabytes(sum(step.predicted.values()) or None),
        in_gigabytes(step.reserved),
        ", ".join(f"{term} {in_gigabytes(step.predicted[term])}" for term in largest) or "no closed form",
    ]


def in_gigabytes(size: float | None) -> str:
    return EMPTY if size is None else f"{size / 1e9:.3f}"
