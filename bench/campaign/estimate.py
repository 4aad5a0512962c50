"""An entry's seconds and bytes on a card, before anything runs: by formulas, without torch.

Seconds are rough. A step's products run at SHARE_OF_PEAK of the card's peak, and no pass over a layer is faster than
LAYER_SECONDS, which launching its kernels takes. The constants are from the records of results/runs/h200, whose cases
are estimated within a factor of two and a half (a test compares them); other cards have not been compared.
"""

from dataclasses import dataclass

from bench.campaign.entries import PROCESSOR, Entry
from bench.core.case import Case
from bench.core.recipe import Recipe
from bench.machine.cards import CARDS, CardKind, is_card
from bench.methods import ALL, METHODS
from bench.models import DECODER, ENCODER, MODELS, ModelEntry
from bench.models.shapes import head_parameters, layer_count, linear_layers, query_size, total_parameters
from bench.predict.formula.closed_form import NoClosedForm, closed_form
from bench.predict.question import TAGS, Question
from bench.records.work import PEAK_FLOPS

SHARE_OF_PEAK = 0.35
LAYER_SECONDS = 0.004  # forward and backward
SESSION_SECONDS = 20  # pytest starts, and a worker imports the libraries
CASE_SECONDS = 20  # load, attach, evaluate twice, check, count, read back
SECONDS_PER_BILLION = 2  # weights to draw or to load
PROCESSOR_SECONDS = 12  # a tiny model's case in a rehearsal


class UnknownSpeed(ValueError):
    """The card's peak is not known, so no seconds can be predicted."""


@dataclass(frozen=True)
class Cost:
    """peak_bytes: of the largest case with full rows; None without a closed form."""

    seconds: float
    peak_bytes: int | None


def peak_flops(card: CardKind) -> float:
    """The card's peak in half precision. Raises UnknownSpeed with the cards that have one."""
    if (peak := known_peak(card)) is not None:
        return peak
    fast = ", ".join(one.name for one in CARDS if known_peak(one) is not None)
    raise UnknownSpeed(
        f"the FLOP/s of {card.name} are not known, so its seconds cannot be predicted; name one of {fast}"
    )


def known_peak(card: CardKind) -> float | None:
    model = card.says.partition(",")[0]
    return next((peak for name, peak in PEAK_FLOPS.items() if is_card(name, model) or is_card(model, name)), None)


def cost_of(entry: Entry, flops_per_second: float) -> Cost:
    """The entry's cost at this peak."""
    if entry.tests:
        return Cost(SESSION_SECONDS + entry.seconds, None)
    seconds, peaks = float(SESSION_SECONDS), []
    for case in entry.cases:
        recipe = entry.recipe(case)
        seconds += case_seconds(case, recipe, entry.steps, flops_per_second)
        peaks.append(peak_of(case, recipe))
    return Cost(seconds, None if None in peaks else max(peak for peak in peaks if peak is not None))


def peak_of(case: Case, recipe: Recipe) -> int | None:
    """The peak of a step of full rows; None without a closed form."""
    entry = MODELS[case.model]
    try:
        return closed_form(
            Question(entry, METHODS[case.method], recipe, TAGS if entry.kind == ENCODER else 0)
        ).peak_bytes
    except NoClosedForm:
        return None


def case_seconds(case: Case, recipe: Recipe, steps: int, flops_per_second: float) -> float:
    """Seconds of a case; steps: those of a recipe that runs for epochs."""
    if case.device == PROCESSOR:
        return PROCESSOR_SECONDS
    billions = total_parameters(MODELS[case.model]) / 1e9
    around = CASE_SECONDS + SECONDS_PER_BILLION * billions
    return around + (recipe.max_steps or steps) * step_seconds(case, recipe, flops_per_second)


def step_seconds(case: Case, recipe: Recipe, flops_per_second: float) -> float:
    """Seconds of an optimizer step with full rows."""
    entry, trains_all = MODELS[case.model], METHODS[case.method].trains == ALL
    passes = 2 + trains_all + recipe.gradient_checkpointing  # a frozen base has no gradients of weights
    tokens = recipe.batch_size * recipe.max_length
    flops = passes * forward_flops(entry, tokens, recipe.max_length)
    least = LAYER_SECONDS * layer_count(entry)
    return recipe.gradient_accumulation_steps * max(flops / (SHARE_OF_PEAK * flops_per_second), least)


def forward_flops(entry: ModelEntry, tokens: int, length: int) -> float:
    """FLOPs of a forward pass over so many tokens in rows of this length; a classifier's head counts nothing."""
    weights = sum(one.inputs * one.outputs for one in linear_layers(entry))
    head = head_parameters(entry, 0) if entry.kind == DECODER else 0
    return 2.0 * tokens * (weights + head) + 4.0 * tokens * length * query_size(entry) * layer_count(entry)
