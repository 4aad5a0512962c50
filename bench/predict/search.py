"""The largest batch or length that fits a budget."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.cards import CardKind
from bench.predict.closed_form import NoClosedForm, closed_form
from bench.predict.fit import needed
from bench.predict.question import Question, longest_row
from bench.predict.terms import Peaks

FIELDS = {"length": "max_length", "batch": "batch_size"}
STEPS = {"length": 8, "batch": 1}  # batches are padded to a multiple of 8
MOST_BATCH = 1 << 16
ENDS = {"length": "the model has no positions for more", "batch": "no larger one was tried"}
NEAR = 16  # the second try is a 16th away from the first; a closed form and a trace differ by less


@dataclass(frozen=True)
class Largest:
    """What was found: the question of that size, its peaks, the size, and whether no larger one was to be tried."""

    question: Question
    peaks: Peaks
    size: int
    is_last: bool


class DoesNotFit(ValueError):
    """Not even the smallest fits."""


def largest(need: Callable[[int], int], budget: int, most: int, first: int) -> int:
    """The largest number from 1 to most whose need is within the budget, where need grows with it; 0 if there is none.

    Where need does not always grow: one whose need is within the budget and the next one's is not. Tried are first,
    then numbers ever farther from it until one is within and one is not, then halves: few where first is near.
    """
    low, high = 0, most + 1  # low fits, high does not
    guess, step = min(first, most), max(1, first // NEAR)
    while high - low > 1:
        low, high = (guess, high) if need(guess) <= budget else (low, guess)
        if high > most:
            guess = min(low + step, most)
        elif not low:
            guess = max(high - step, 1)
        else:
            guess = (low + high) // 2
        step *= 2
    return low


def largest_that_fits(
    question: Question, what: str, card: CardKind, trace: Callable[[Question], Peaks] | None = None
) -> Largest:
    """The question with the largest length or batch found that fits the card; the next, if there is one, does not.

    By closed form, or by this trace: it begins near what the closed form finds. By traces a larger one may fit
    again, for blocks fall differently at every size. Raises DoesNotFit, NoClosedForm where no trace is given.
    """
    field, step = FIELDS[what], STEPS[what]
    most = longest_row(question) // step if what == "length" else MOST_BATCH
    found: dict[int, Peaks] = {}

    def need(steps: int) -> int:
        found[steps] = (trace or closed_form)(question.at(**{field: steps * step}))
        return needed(found[steps], card)

    first = near_the_largest(question, what, card) if trace else getattr(question.recipe, field)
    best = largest(need, card.usable_bytes, most, first // step)
    if not best:
        raise DoesNotFit(
            f"{question.entry.name} × {question.method.name} does not fit {card.name}: a {what} of {step} needs "
            f"{needed(found[1], card) / 1e9:.2f} GB of the {card.usable_bytes / 1e9:.2f} GB that are usable"
        )
    return Largest(question.at(**{field: best * step}), found[best], best * step, best == most)


def near_the_largest(question: Question, what: str, card: CardKind) -> int:
    """The largest length or batch by closed form, the smallest where none fits by that, the question's own without."""
    try:
        return largest_that_fits(question, what, card).size
    except DoesNotFit:
        return STEPS[what]
    except NoClosedForm:
        return int(getattr(question.recipe, FIELDS[what]))
