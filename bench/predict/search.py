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
BY_LINE = 4  # so many needs are known when tries by a line end


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
    """A number from 1 to most whose need is within the budget and the next one's is not; 0 if that of 1 is not.

    It is the largest where need grows with its number. After first a few tries lie where a line through the two
    nearest to the budget would meet it; then the rest is halved.
    """
    low, high = 0, most + 1  # low fits, high does not
    needs = {0: 0}  # for a start: what a line through the first try begins at
    guess = first
    while high - low > 1:
        guess = min(max(guess, low + 1), high - 1)
        needs[guess] = need(guess)
        low, high = (guess, high) if needs[guess] <= budget else (low, guess)
        near, other = sorted(needs, key=lambda number: abs(needs[number] - budget))[:2]
        rise = needs[other] - needs[near]
        if len(needs) > BY_LINE or rise * (other - near) <= 0:
            guess = (low + high) // 2
        else:
            guess = near + (budget - needs[near]) * (other - near) // rise
    return low


def largest_that_fits(
    question: Question, what: str, card: CardKind, trace: Callable[[Question], Peaks] | None = None
) -> Largest:
    """The question with the largest length or batch found that fits the card; the next does not.

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
