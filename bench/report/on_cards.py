"""The table of predicted against measured memory on cards, for results/PREDICTIONS.md."""

import json

from bench.core.paths import COMMITTED
from bench.judge.predictions.card_traces import committed_card_records, read_traces
from bench.judge.predictions.on_cards import AGREES, RESERVED_AGREES, Compared, compare_with_card, peaks_of
from bench.records.figures import FIGURES
from bench.records.record import Record
from bench.report.tables import markdown_lines

COMMAND = "python -m bench predict --measured --measure --mirror DIR"
HEADS = ("case", "card", "allocated", "predicted", "error", "reserved", "predicted", "error", "driver", "s/step")


def reserved_agrees(record: Record, traced: dict[str, int]) -> bool:
    if not (measured := peaks_of(record)["reserved_bytes"]):
        return False
    return abs(Compared(measured, traced["reserved_bytes"]).error) <= RESERVED_AGREES


def cells(record: Record, traced: dict[str, int]) -> list[str]:
    """A row of the table; GB of 10^9 bytes."""
    peaks = peaks_of(record)
    figures: list[str] = []
    for name in ("allocated_bytes", "reserved_bytes"):
        measured = peaks[name]
        error = f"{Compared(measured, traced[name]).error:+.1%}" if measured else "–"
        figures += [in_gigabytes(measured), in_gigabytes(traced[name]), error]
    return [
        record.case,
        record.environment["accelerator"],
        *figures,
        in_gigabytes(peaks["driver_bytes"]),
        f"{FIGURES['seconds_per_step'].required_value(record):.3f}",
    ]


def in_gigabytes(amount: float | None) -> str:
    return f"{amount / 1e9:.2f}" if amount else "–"


def markdown() -> list[str]:
    """The table's lines for results/PREDICTIONS.md."""
    used = ", ".join(f"{name} {version}" for name, version in read_traces()["versions"].items())
    traces = read_traces()["traced"]
    found = [(record, traces[name]) for name, record in committed_card_records() if name in traces]
    agree = sum(compare_with_card(record, traced["allocated_bytes"]).agrees for record, traced in found)
    reserved = sum(reserved_agrees(record, traced) for record, traced in found)
    return [
        "## Beside what a card held",
        "",
        f"Written by `{COMMAND}`. Predicted are each",
        f"record's own batches in their order, traced with {used or 'no library yet'}, in the blocks",
        "of torch's caching allocator and with the workspaces of matrix products; measured are torch's peaks of the",
        "training phase, allocated and reserved, and what the driver counted, in GB of 10^9 bytes.",
        f"{agree} of {len(found)} are within {AGREES:.0%} of what was allocated, {reserved} within "
        f"{RESERVED_AGREES:.0%} of what was reserved.",
        "",
        *markdown_lines([HEADS, *(cells(*one) for one in found)], 2),
        "",
        *notes(),
    ]


def notes() -> list[str]:
    """What a reader must know about the records' runs, in the runs' own words."""
    runs = dict.fromkeys(COMMITTED / name.split("/")[0] / "run.json" for name, _ in committed_card_records())
    told = {file: json.loads(file.read_text(encoding="utf-8")).get("note") for file in runs if file.is_file()}
    return [f"- `{file.parent.name}`: {note}" for file, note in told.items() if note]
