"""Peak memory of each phase of a case: load, attach, train, evaluate, generate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.records.record import PROCESS, Record
from bench.report.cases import EMPTY
from bench.report.charts.chart import Chart, Trace, axis, round_value, rows_axis, rows_height, safe
from bench.report.charts.labels import short_names, without_seed
from bench.report.charts.marks import COLOURS, PHASES


@dataclass(frozen=True)
class Kind:
    """A kind of memory that is known for each phase; more: a second one, drawn as open marks."""

    name: str
    key: str
    more: str
    says: str


KINDS = (
    Kind("processor", "resident_bytes", "",
         "Resident memory of the process, libraries included. Of several seeds, the largest is drawn."),
    Kind("card", "allocated_bytes", "reserved_bytes",
         "Filled: allocated. Open: reserved by torch. Of several seeds, the largest is drawn."),
)  # fmt: skip
APART = 0.12  # of a row: marks of two phases with the same peak stay visible
Peaks = Mapping[str, Mapping[str, float]]  # phase -> kind of memory -> bytes


def phase_memory_charts(records: Sequence[Record]) -> list[Chart]:
    """A chart for the cases on a processor and one for those on a card, each if there are any."""
    return [chart for kind in KINDS if (chart := chart_of(kind, records))]


def chart_of(kind: Kind, records: Sequence[Record]) -> Chart | None:
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for record in records:
        phases = record.noisy.get("memory", {})
        if PROCESS in phases:
            continue
        having = {phase: sizes for phase, sizes in phases.items() if phase in PHASES and sizes.get(kind.key)}
        for phase, sizes in having.items():
            largest = groups.setdefault(without_seed(record.case), {}).setdefault(phase, {})
            for key in filter(None, (kind.key, kind.more)):
                largest[key] = max(largest.get(key, 0.0), sizes.get(key) or 0.0)
    if not groups:
        return None
    labels = short_names(groups)
    traces = [
        trace
        for key, filled in ((kind.key, True), (kind.more, False)) if key
        for phase in PHASES if (trace := trace_of(phase, key, filled, groups))
    ]  # fmt: skip
    return Chart(
        name=f"phase-memory-{kind.name}",
        title=f"Peak memory by phase on a {kind.name}",
        says=kind.says,
        traces=traces,
        layout={
            "xaxis": axis("GB", rangemode="tozero"),
            "yaxis": rows_axis([labels[group] for group in groups]),
            "height": rows_height(len(groups)),
        },
        table=[["case", *headings(kind)], *([group, *cells(kind, phases)] for group, phases in groups.items())],
        names=1,
    )


def trace_of(phase: str, key: str, filled: bool, groups: Mapping[str, Peaks]) -> Trace | None:
    """The marks of a phase, one for each case that has it."""
    found = [(row, phases[phase][key]) for row, phases in enumerate(groups.values()) if phases.get(phase, {}).get(key)]
    names = list(groups)
    place = list(PHASES).index(phase)
    return {
        "type": "scatter", "mode": "markers", "name": phase if filled else f"{phase}, reserved",
        "x": [round_value(size / 1e9) for _, size in found], "y": [row + (place - 2) * APART for row, _ in found],
        "marker": {"symbol": PHASES[phase] + ("" if filled else "-open"), "size": 11, "color": COLOURS[place]},
        "hovertext": [safe(f"{names[row]}, {phase}: {size / 1e9:.3f} GB") for row, size in found], "hoverinfo": "text",
    } if found else None  # fmt: skip


def headings(kind: Kind) -> list[str]:
    of = [(kind.key, phase) for phase in PHASES] + [(kind.more, phase) for phase in PHASES if kind.more]
    return [f"{phase}, {key.removesuffix('_bytes')}, GB" for key, phase in of]


def cells(kind: Kind, phases: Peaks) -> list[str]:
    sizes = [phases.get(phase, {}).get(key) for key in filter(None, (kind.key, kind.more)) for phase in PHASES]
    return [f"{size / 1e9:.3f}" if size else EMPTY for size in sizes]
