"""A table of what fits which card: models × methods × cards, each with the largest length and the largest batch.

A closed form takes about a millisecond and is nearly linear in the number of tokens, so a search starts where the line
through two sizes meets the card's limit, and tries few sizes. A method without a closed form is traced once, at the
size in question. Its largest sizes are left to `python -m bench predict --largest`, as each takes several traces.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from bench.core.recipe import MULTIPLE
from bench.machine.cards import CardKind
from bench.predict.card.fit import fit, least_bytes
from bench.predict.card.search import FIELDS, MOST_BATCH, STEPS, largest
from bench.predict.formula.closed_form import NoClosedForm, closed_form
from bench.predict.question import Question
from bench.predict.terms import Peaks

Trace = Callable[[Question], Peaks]


@dataclass(frozen=True)
class Fitting:
    """How one question fits one card.

    needed_bytes: the memory that the card must have, CUDA's own included; None if it was neither computed nor traced.
    largest_length: with the question's batch; largest_batch: with the question's length; 0 if not even the smallest
    fits, None if none was searched. least_bytes: what one row of the shortest length needs, None likewise.
    """

    question: Question
    card: CardKind
    needed_bytes: int | None
    fits: bool | None
    largest_length: int | None = None
    largest_batch: int | None = None
    least_bytes: int | None = None
    why: str = ""  # why there is no figure


def fittings(questions: Sequence[Question], cards: Sequence[CardKind], trace: Trace | None) -> Iterator[Fitting]:
    """How each question fits each card, in this order; trace: used without a closed form (None: do not trace)."""
    for question in questions:
        try:
            peaks = closed_form(question, double=question.trainer.double)
        except NoClosedForm as error:
            yield from fit_by_trace(question, cards, trace, str(error))
            continue
        yield from fit_by_closed_form(question, peaks, cards)


def fit_by_trace(question: Question, cards: Sequence[CardKind], trace: Trace | None, why: str) -> Iterator[Fitting]:
    """The fittings by one trace at the question's own size, or the reason why there is none."""
    peaks = trace(question) if trace else None
    for card in cards:
        if peaks is None:
            yield Fitting(question, card, None, None, why=why)
        else:
            yield Fitting(question, card, on_card(peaks, card), fit(peaks, card).fits)


def fit_by_closed_form(question: Question, peaks: Peaks, cards: Sequence[CardKind]) -> Iterator[Fitting]:
    """The fittings by the closed form."""

    @cache
    def peaks_at(batch: int, length: int) -> Peaks:
        return closed_form(question.at(batch_size=batch, max_length=length), double=question.trainer.double)

    least = peaks_at(1, MULTIPLE)
    for card in cards:
        length, batch = (largest_size(question, what, card, peaks_at) for what in ("length", "batch"))
        yield Fitting(
            question, card, on_card(peaks, card), fit(peaks, card).fits, length, batch, on_card(least, card)
        )  # fmt: skip


def largest_size(question: Question, what: str, card: CardKind, peaks_at: Callable[[int, int], Peaks]) -> int:
    """The largest length or batch by the closed form, all else as in the question; 0 if not even the smallest fits."""
    recipe, step = question.recipe, STEPS[what]
    longest = question.method.longest_row(question.entry, recipe)
    most = longest // step if what == "length" else MOST_BATCH

    def of(steps: int) -> Peaks:
        sizes = {"length": recipe.max_length, "batch": recipe.batch_size, what: steps * step}
        return peaks_at(sizes["batch"], sizes["length"])

    asked = getattr(recipe, FIELDS[what]) // step
    near, far = (least_bytes(of(steps), card) for steps in (1, max(2, asked)))
    slope = (far - near) / (max(2, asked) - 1)
    first = 1 + int((card.usable_bytes - near) / slope) if slope > 0 else most
    return step * largest(lambda steps: fit(of(steps), card).fits, most, first, 1)


def on_card(peaks: Peaks, card: CardKind) -> int:
    """The memory that the card must have, CUDA's own included."""
    return least_bytes(peaks, card) + card.context_bytes
