"""The largest batch or length that fits a budget."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.core.recipe import MULTIPLE
from bench.machine.cards import CardKind
from bench.predict.card.fit import fit, least_bytes
from bench.predict.formula.closed_form import NoClosedForm, closed_form
from bench.predict.question import Question
from bench.predict.terms import Peaks

FIELDS = {"length": "max_length", "batch": "batch_size"}
STEPS = {"length": MULTIPLE, "batch": 1}
MOST_BATCH = 1 << 16
ENDS = {"length": "the model has no positions for more", "batch": "no larger one was tried"}
NEAR = 16  # the second try is a 16th away from the first; a closed form and a trace differ by less


@dataclass(frozen=True)
class Largest:
    """The result for a card or budget: the question at that size, its peaks, and whether no larger size was left."""

    what: str  # "length" or "batch"
    card: CardKind
    question: Question
    peaks: Peaks
    is_last: bool

    @property
    def size(self) -> int:
        return size_of(self.question, self.what)

    def as_json(self) -> dict[str, Any]:
        """The result in JSON types; budget_bytes is the part that torch's allocator may use."""
        return {"what": self.what, "budget": self.card.name, "budget_bytes": self.card.usable_bytes,
                "largest": self.size, "is_last": self.is_last}  # fmt: skip


class DoesNotFit(ValueError):
    """Not even the smallest size fits."""


def size_of(question: Question, what: str) -> int:
    """The question's length or batch."""
    return int(getattr(question.recipe, FIELDS[what]))


def largest(fits: Callable[[int], bool], most: int, first: int, step: int = 0) -> int:
    """The largest number from 1 to most that fits, if all smaller ones fit too; 0 if none fits.

    Otherwise a number that fits while the next does not. It tries first, then numbers ever farther from it until one
    fits and one does not, then bisects: few tries if first is near. step: the distance from first to the second try
    (0: a sixteenth of first).
    """
    low, high = 0, most + 1  # low fits, high does not
    guess, step = max(1, min(first, most)), step or max(1, first // NEAR)
    while high - low > 1:
        low, high = (guess, high) if fits(guess) else (low, guess)
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
    """The question with the largest length or batch found that fits the card; the next size, if any, does not fit.

    It uses the closed form, or `trace`, starting near the closed form's result. By traces, a still larger size may fit
    again, as blocks are placed differently at every size. Raises DoesNotFit, and NoClosedForm if no trace is given.
    """
    field, step = FIELDS[what], STEPS[what]
    longest = question.method.longest_row(question.entry, question.recipe)
    most = longest // step if what == "length" else MOST_BATCH
    found: dict[int, Peaks] = {}

    def fits(steps: int) -> bool:
        found[steps] = (trace or closed_form)(question.at(**{field: steps * step}))
        return fit(found[steps], card).fits

    first = near_the_largest(question, what, card) if trace else question
    best = largest(fits, most, size_of(first, what) // step)
    if not best:
        raise DoesNotFit(
            f"{question.entry.name} × {question.method.name} does not fit {card.name}: a {what} of {step} needs "
            f"{least_bytes(found[1], card) / 1e9:.2f} GB of the {card.usable_bytes / 1e9:.2f} GB that are usable"
        )
    return Largest(what, card, question.at(**{field: best * step}), found[best], best == most)


def near_the_largest(question: Question, what: str, card: CardKind) -> Question:
    """The question at the closed form's largest length or batch (the smallest if none fits), or else unchanged."""
    try:
        return largest_that_fits(question, what, card).question
    except DoesNotFit:
        return question.at(**{FIELDS[what]: STEPS[what]})
    except NoClosedForm:
        return question
