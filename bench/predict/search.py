"""The largest batch or length that fits a budget."""

from collections.abc import Callable

from bench.predict.closed_form import closed_form
from bench.predict.question import Question, positions

FIELDS = {"length": "max_length", "batch": "batch_size"}
STEPS = {"length": 8, "batch": 1}  # batches are padded to a multiple of 8
MOST_BATCH = 1 << 16


class DoesNotFit(ValueError):
    """Not even the smallest fits."""


def largest(peak: Callable[[int], int], budget: int, most: int) -> int:
    """The largest number from 1 to most whose peak is within the budget; 0 if that of 1 is not.

    peak grows with its number, almost straight, so the next try lies where a line through the last two would
    meet the budget; each also halves what is left, at least every second time.
    """
    low, high = 0, most + 1  # low fits, high does not
    seen: dict[int, int] = {}
    tries = 0
    while high - low > 1:
        guess = (low + high) // 2
        if tries % 2 == 0 and low in seen and high in seen:
            guess = low + int((budget - seen[low]) / (seen[high] - seen[low]) * (high - low))
        elif not seen:
            guess = min(most, max(1, most // 64))
        guess = min(max(guess, low + 1), high - 1)
        seen[guess] = peak(guess)
        low, high = (guess, high) if seen[guess] <= budget else (low, guess)
        tries += 1
    return low


def largest_that_fits(
    question: Question, what: str, budget: int, peak: Callable[[Question], int] | None = None
) -> Question:
    """The question with the largest length or batch whose peak is within the budget, by closed form or by peak.

    Raises DoesNotFit, NoClosedForm where no peak is given and the method has no closed form.
    """
    judge = peak or (lambda asked: closed_form(asked).peak_bytes)
    most = positions(question.entry) // STEPS[what] if what == "length" else MOST_BATCH

    def peak_of(steps: int) -> int:
        return judge(question.at(**{FIELDS[what]: steps * STEPS[what]}))

    found = largest(peak_of, budget, most)
    if not found:
        smallest = STEPS[what]
        raise DoesNotFit(
            f"{question.entry.name} × {question.method.name} does not fit: a {what} of {smallest} needs "
            f"{peak_of(1) / 1e9:.2f} GB, the budget is {budget / 1e9:.2f} GB"
        )
    return question.at(**{FIELDS[what]: found * STEPS[what]})
