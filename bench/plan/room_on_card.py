"""A check before a case starts: whether its card can hold it, by the closed form, without any heavy import."""

from collections.abc import Sequence
from functools import cache

from bench.core.case import Case
from bench.core.recipe import Recipe
from bench.core.units import gigabytes_or_megabytes
from bench.machine.cards import needed_on_card
from bench.machine.devices import Card, missing
from bench.methods import METHODS
from bench.models import ENCODER, MODELS
from bench.predict import terms
from bench.predict.formula.closed_form import NoClosedForm, closed_form
from bench.predict.question import TAGS, Question
from bench.predict.terms import total

LIBRARIES_BYTES = 4_000_000_000  # torch with CUDA and the rest; on the processor 2.0 to 2.7 GB (results/runs/pos-full)


@cache
def needed_bytes(model: str, method: str, recipe: Recipe) -> int | None:
    """The least bytes that tensors of this training hold; None for a method without a closed form.

    If batches are padded to max_length, the peak of a full batch. If they are as long as their examples, what does not
    depend on the examples: weights, trainable parameters, their gradients and optimizer states.
    """
    entry = MODELS[model]
    try:
        found = closed_form(Question(entry, METHODS[method], recipe, TAGS if entry.kind == ENCODER else 0))
    except NoClosedForm:
        return None
    return found.peak_bytes if recipe.padding == "max_length" else total(found.phases[terms.OPTIMIZER])


def too_small(case: Case, recipe: Recipe, cards: Sequence[Card]) -> str:
    """Why no case like this can run on any of these cards; empty if one can hold it, or nobody knows."""
    needed = needed_bytes(case.model, case.method, recipe)
    if needed is None:
        return "" if cards else missing(case.device)
    free = needed_on_card(needed)
    wanted = (
        f"needs a CUDA device with {gigabytes_or_megabytes(free)} free (predicted {gigabytes_or_megabytes(needed)})"
    )
    if not cards:
        return f"{wanted}; this machine has none"
    best = max(cards, key=lambda card: card.free_bytes)
    have = f"{best.name} has {gigabytes_or_megabytes(best.free_bytes)} free"
    return "" if best.free_bytes >= free else f"{wanted}; {have}"


def card_bytes(case: Case, recipe: Recipe) -> int:
    """The bytes that a card must have free to be given the case; 0 if nobody knows."""
    needed = needed_bytes(case.model, case.method, recipe)
    return needed_on_card(needed) if needed else 0


def host_bytes(case: Case, recipe: Recipe) -> int:
    """The host memory that a case is predicted to need at most; 0 if nobody knows.

    On a card, the weights pass through it. On the processor the whole training lies there, with what the allocator
    keeps and with evaluation.
    """
    needed = needed_bytes(case.model, case.method, recipe)
    return LIBRARIES_BYTES + (needed if case.device != "cpu" else 2 * needed) if needed else 0
