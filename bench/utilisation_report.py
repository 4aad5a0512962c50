"""The table of FLOP/s and utilisation, of records of any age.

A record states its rates. One from before model and hardware FLOPs were told apart states a rate that was scaled from
2 x 32 tokens, recomputation included. Its step is counted again here, with today's libraries, on a model without
storage, at the shape of its heaviest batch; its seconds are its own. Where rows are padded to the batch's longest, the
other batches are shorter, and the figures are upper bounds.
"""

from collections.abc import Sequence
from typing import Any

from bench.measure.work import utilisation_figures, works_of
from bench.methods import METHODS
from bench.models import MODELS
from bench.recipe import Recipe
from bench.record import Record
from bench.tables import Table

NAMES = 3
HEADS = ("case", "device", "batch", "model TFLOP/s", "MFU", "hardware TFLOP/s", "HFU", "stated before")


def utilisation_table(records: Sequence[Record]) -> Table:
    """A line for each record that trained, model and hardware FLOP/s in units of 10^12."""
    return [HEADS, *(line_of(record) for record in records if record.ok)]


def line_of(record: Record) -> list[str]:
    states = "model_flops_per_second" in record.noisy
    bound = not states and record.recipe["padding"] == "longest"
    found = record.noisy if states else counted_again(record)
    rows, length = heaviest_shape(record)
    sign = "≤ " if bound else ""
    cells = [record.case, record.environment.get("accelerator") or "cpu", f"{rows} × {length}"]
    for name in ("model_flops", "hardware_flops"):
        cells += [f"{sign}{found[f'{name}_per_second'] / 1e12:.3f}", sign + percent(found[f"{name}_utilisation"])]
    return [*cells, percent(record.noisy.get("utilisation"))]


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def heaviest_shape(record: Record) -> tuple[int, int]:
    """Rows and padded length of the batch of most positions; of a record that does not say so, of its first batch."""
    batches = record.exact.get("heaviest_batches")
    if not batches:
        rows, length = record.exact["step_shape"]
        return rows, length
    heaviest = max(batches, key=lambda one: one["rows"] * one["length"])
    return heaviest["rows"], heaviest["length"]


def counted_again(record: Record) -> dict[str, Any]:
    """The record's rates and utilisation, from a count of its step at its heaviest batch's shape. Loads torch."""
    from bench.chunks import CHUNKS
    from bench.measure.flops import step_counts
    from bench.predict.trace import built_fake
    from bench.predict.ways import quietly

    case, recipe = record.parsed_case(), Recipe(**record.recipe)
    entry, method = MODELS[case.model], METHODS[case.method]
    labels = record.exact.get("labels", len(record.tables.get("confusion", {}).get("labels", ())))
    with quietly():
        with built_fake(entry, method, recipe, labels, "cpu") as trainee:
            model = trainee.model
        again = recipe.loss == "chunked" and record.environment.get("loss_by", CHUNKS) == CHUNKS
        counts, added = step_counts(model, entry, method, recipe, labels, again)
    rows, length = heaviest_shape(record)
    seconds = rows * length / record.noisy["padded_tokens_per_second"]
    card = record.environment.get("accelerator") or "" if case.device != "cpu" else ""
    model_work, hardware_work = works_of(counts, added)
    totals = model_work.of(rows, length), hardware_work.of(rows, length)
    return utilisation_figures(*totals, seconds, card, recipe.precision)
