"""The table of FLOP/s and utilisation, for records of any age.

A record states its rates. A record from before model and hardware FLOPs were distinguished states a rate scaled from
2 x 32 tokens, recomputation included. This module counts its step again, with today's libraries, on a model without
storage, at the shape of its heaviest batch, and keeps the record's seconds. If rows are padded to the batch's longest,
the other batches are shorter, and the figures are upper bounds.
"""

from collections.abc import Sequence
from typing import Any

from bench.records.figures import FIGURES, at
from bench.records.record import Record
from bench.records.work import heaviest_shape
from bench.report.tables import Table

NAMES = 3
RATES = (
    "model_flops_per_second", "model_flops_utilisation", "hardware_flops_per_second", "hardware_flops_utilisation",
)  # fmt: skip
HEADS = ("case", "device", "batch", "model TFLOP/s", "MFU", "hardware TFLOP/s", "HFU", "stated before")


def utilisation_table(records: Sequence[Record]) -> Table:
    """A line for each record that trained, model and hardware FLOP/s in units of 10^12."""
    return [HEADS, *(line_of(record) for record in records if record.ok)]


def line_of(record: Record) -> list[str]:
    from bench.predict.trace.count_again import recount_rates

    stated: dict[str, Any] = {name: FIGURES[name].value_in(record) for name in RATES}
    states = stated["model_flops_per_second"] is not None
    bound = not states and record.recipe["padding"] == "longest"
    rates = stated if states else recount_rates(record)
    rows, length = heaviest_shape(record)
    sign = "≤ " if bound else ""
    cells = [record.case, record.environment.get("accelerator") or "cpu", f"{rows} × {length}"]
    for name in ("model_flops", "hardware_flops"):
        cells += [f"{sign}{rates[f'{name}_per_second'] / 1e12:.3f}", sign + percent(rates[f"{name}_utilisation"])]
    return [*cells, percent(at(record, "noisy.utilisation"))]


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
