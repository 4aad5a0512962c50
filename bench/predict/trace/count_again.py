"""A new FLOP count for a stored record, with the installed libraries, on a model without storage."""

from typing import Any

from bench.core.recipe import Recipe
from bench.methods import METHODS
from bench.models import MODELS
from bench.records.figures import FIGURES
from bench.records.record import Record
from bench.records.work import heaviest_shape, utilisation_figures, works_of


def recount_rates(record: Record) -> dict[str, Any]:
    """The record's rates and utilisation, from a new count of its step at the heaviest batch's shape. Loads torch."""
    from bench.predict.trace.quiet import quietly
    from bench.predict.trace.steps import fake_trainee
    from bench.worker.measure.flops import step_counts
    from bench.worker.train.chunked_losses import CHUNKS

    case, recipe = record.parsed_case(), Recipe(**record.recipe)
    entry, method = MODELS[case.model], METHODS[case.method]
    labels = record.exact.get("labels", len(record.tables.get("confusion", {}).get("labels", ())))
    with quietly():
        with fake_trainee(entry, method, recipe, labels, "cpu") as trainee:
            model = trainee.model
        again = recipe.loss == "chunked" and record.environment.get("loss_by", CHUNKS) == CHUNKS
        counts, added = step_counts(model, entry, method, recipe, labels, again)
    rows, length = heaviest_shape(record)
    seconds = rows * length / FIGURES["padded_tokens_per_second"].required_value(record)
    card = record.environment.get("accelerator") or "" if case.device != "cpu" else ""
    model_work, hardware_work = works_of(counts, added)
    totals = model_work.of(rows, length), hardware_work.of(rows, length)
    return utilisation_figures(*totals, seconds, card, recipe.precision)
