"""The largest batch or length that fits a budget."""

from collections.abc import Callable

from bench.cards import CardKind
from bench.predict.closed_form import NoClosedForm, closed_form
from bench.predict.fit import needed
from bench.predict.question import Question, positions
from bench.predict.terms import Peaks

FIELDS = {"length": "max_length", "batch": "batch_size"}
STEPS = {"length": 8, "batch": 1}  # batches are padded to a multiple of 8
MOST_BATCH = 1 << 16
HALVED = 5  # every so manieth try halves what is left, however the line through the others lies


class DoesNotFit(ValueError):
    """Not even the smallest fits."""


def largest(need: Callable[[int], int], budget: int, most: int, first: int) -> int:
    """The largest number from 1 to most whose need is within the budget; 0 if that of 1 is not.

    need grows with its number, almost straight, so after first the next try lies where a line through the two
    nearest to the budget would meet it.
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
        if len(needs) % HALVED == 0 or not rise:
            guess = (low + high) // 2
        else:
            guess = near + int((budget - needs[near]) * (other - near) / rise)
    return low


def largest_that_fits(
    question: Question, what: str, card: CardKind, trace: Callable[[Question], Peaks] | None = None
) -> tuple[Question, Peaks]:
    """The question with the largest length or batch found that fits the card, and its peaks; the next does not fit.

    By closed form, or by this trace: it begins near what the closed form finds. By traces a much larger one may fit
    again, for blocks fall differently at every size. Raises DoesNotFit, NoClosedForm where no trace is given.
    """
    field, step = FIELDS[what], STEPS[what]
    most = positions(question.entry) // step if what == "length" else MOST_BATCH
    found: dict[int, Peaks] = {}

    def need(steps: int) -> int:
        found[steps] = (trace or closed_form)(question.at(**{field: steps * step}))
        return needed(found[steps], card)

    near = near_the_largest(question, what, card) if trace else None
    best = largest(need, card.usable_bytes, most, first=near // step if near else max(1, most // 64))
    if not best:
        raise DoesNotFit(
            f"{question.entry.name} × {question.method.name} does not fit {card.name}: a {what} of {step} needs "
            f"{needed(found[1], card) / 1e9:.2f} GB of the {card.usable_bytes / 1e9:.2f} GB that are usable"
        )
    return question.at(**{field: best * step}), found[best]


def near_the_largest(question: Question, what: str, card: CardKind) -> int | None:
    """The length or batch that fits by closed form; None where there is none."""
    try:
        found, _ = largest_that_fits(question, what, card)
    except (NoClosedForm, DoesNotFit):
        return None
    return int(getattr(found.recipe, FIELDS[what]))
