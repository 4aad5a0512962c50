"""Sequences to continue: Fibonacci as source 003 asks it, arithmetic, geometric, squares.

An answer is right if each of its numbers is the next term, with at least three of them. If the token limit cuts the
last number, its digits so far must be right; if the model ended the answer itself, the number must be complete.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

from bench.models.prompts import HEADING, alpaca
from bench.probes import EVASIVE, GARBLED, HELD_OUT, PROBES, RIGHT, TEXT, TRAIN, WRONG, Family, Item
from bench.probes.terms import readings

SEED = 1123
SHOWN = 6  # terms that the prompt gives
TERMS = 60  # the most terms with which an answer may continue
LEAST = 3
NEW_TOKENS = 64  # source 003's max_new_tokens: the shown terms again and LEAST more, were each character a token
EACH = 5
INSTRUCTION = "Continue the {name} sequence."
FEW_WORDS = 3  # of a sentence
GIVES_NEXT = re.compile(r"\b(?:next|answer|continues?|then|follow(?:s|ing|ed)?)\b(?!,)")
STUCK = 6  # the same number so often
SOURCE_003 = [1, 1, 2, 3, 5, 8]  # the sequence that source 003 asks its model to continue
TRAINED = ("fibonacci", "fibonacci", "fibonacci", "arithmetic")  # of training's sequences, in turn
LARGEST_START = 15  # of training's: small numbers' sums are what a small model can learn to take
LARGEST_STEP = 12
TRAINED_TERMS = 9  # LEAST more than the prompt shows: what comes after would be sums of large numbers


def fibonacci(order: random.Random) -> list[int]:
    terms = [order.randint(1, 6), order.randint(1, 6)]
    while len(terms) < TERMS:
        terms.append(terms[-1] + terms[-2])
    return terms


def arithmetic(order: random.Random) -> list[int]:
    start, step = order.randint(1, 20), order.randint(2, 12)
    return [start + step * at for at in range(TERMS)]


def geometric(order: random.Random) -> list[int]:
    start, ratio = order.randint(1, 5), order.choice([2, 3, 10])
    return [start * ratio**at for at in range(TERMS)]


def squares(order: random.Random) -> list[int]:
    start = order.randint(1, 6)
    return [at * at for at in range(start, start + TERMS)]


KINDS = {"fibonacci": fibonacci, "arithmetic": arithmetic, "geometric": geometric, "squares": squares}
NAMES = {"fibonacci": "fibonacci", "arithmetic": "arithmetic", "geometric": "geometric", "squares": "square number"}


def continues(answer: str, item: Item, cut: bool = False) -> str:
    """The outcome of an answer that should continue the terms in the prompt. cut: by the token limit."""
    said = answer.split(HEADING)[0]
    shown = shown_terms(item)
    found = list(readings(said, lambda terms: is_part(terms, shown, item.group)))
    if not any(found):
        return GARBLED if said.strip() and not any(map(str.isalpha, said)) else EVASIVE
    if any(len(terms) >= STUCK and len(set(terms)) == 1 for terms in found):
        return GARBLED
    if all(says_again(terms, shown) or only_mentions(terms, shown, said) for terms in found if terms):
        return EVASIVE
    cut_in_number = cut and answer[-1:].isdigit()
    return RIGHT if any(goes_on(terms, shown, item.group, cut_in_number) for terms in found) else WRONG


def goes_on(terms: Sequence[int], shown: list[int], group: str, cut_in_number: bool) -> bool:
    """Whether all terms are the next ones, with at least LEAST of them; shown terms may be repeated first."""
    expected = rest_of(shown, group)
    right = [
        [one == other for one, other in zip(part[:TERMS], expected, strict=False)] for part in parts_of(terms, shown)
    ]
    last = parts_of(terms, shown)[-1][:TERMS]
    if right[-1] and not right[-1][-1] and cut_in_number and str(expected[len(last) - 1]).startswith(str(last[-1])):
        right[-1].pop()
    return max(map(len, right)) >= LEAST and all(map(all, right))


def parts_of(terms: Sequence[int], shown: list[int]) -> list[list[int]]:
    """The terms behind each time that the shown ones, or the last of them at the beginning, are said again."""
    parts: list[list[int]] = [[]]
    at = 0
    while at < len(terms):
        if list(terms[at : at + len(shown)]) == shown:
            parts.append([])
            at += len(shown)
        else:
            parts[-1].append(terms[at])
            at += 1
    for size in range(len(shown) - 1, 0, -1):
        if parts[0][:size] == shown[-size:]:
            parts[0] = parts[0][size:]
            break
    return [part for part in parts if part] or [[]]


def says_again(terms: Sequence[int], shown: list[int]) -> bool:
    """Whether the terms are shown ones alone, LEAST of them at least and in their order."""
    size = len(terms)
    return size >= LEAST and any(list(terms) == shown[at : at + size] for at in range(len(shown) - size + 1))


def only_mentions(terms: Sequence[int], shown: list[int], said: str) -> bool:
    """Whether a sentence speaks of shown terms and of none that comes next: "To continue, add 5 and 8"."""
    sentence = len(re.findall(r"[^\W\d]{2,}", said)) >= FEW_WORDS and not GIVES_NEXT.search(said.lower())
    return sentence and len(terms) < LEAST and set(terms) <= set(shown)


def is_part(terms: Sequence[int], shown: list[int], group: str) -> bool:
    """Whether the terms follow one another in the sequence."""
    every = [*shown, *rest_of(shown, group)]
    return any(every[at : at + len(terms)] == list(terms) for at in range(len(every)))


def shown_terms(item: Item) -> list[int]:
    """The terms in its prompt."""
    return [int(number) for number in re.findall(r"\d+", item.prompt.rsplit("### Input:", 1)[-1])]


def rest_of(shown: Sequence[int], group: str) -> list[int]:
    """What follows the shown terms."""
    terms = list(shown)
    for _ in range(TERMS):
        if group == "fibonacci":
            terms.append(terms[-1] + terms[-2])
        elif group == "arithmetic":
            terms.append(terms[-1] + shown[1] - shown[0])
        elif group == "geometric":
            terms.append(terms[-1] * shown[1] // shown[0])
        else:
            terms.append((round(terms[-1] ** 0.5) + 1) ** 2)
    return terms[len(shown) :]


def near_miss(right: int, order: random.Random) -> int:
    """A wrong next term of as many digits, so that neither text begins the other."""
    low = 10 ** (len(str(right)) - 1)
    wrong = [right + by for by in (-3, -2, -1, 1, 2, 3) if low <= right + by < 10 * low]
    return order.choice(wrong)


def item_of(name: str, group: str, part: str, terms: list[int], order: random.Random) -> Item:
    """The item for a sequence; its choices are the next term and a near miss, in either order."""
    right = str(terms[SHOWN])
    choices = [right, str(near_miss(terms[SHOWN], order))]
    order.shuffle(choices)
    return Item(
        id=name,
        family="sequences",
        language="en",
        group=group,
        part=part,
        form=TEXT,
        prompt=alpaca(INSTRUCTION.format(name=NAMES[group]), ", ".join(map(str, terms[:SHOWN]))),
        choices=tuple(choices),
        answer=right,
    )


def distinct(terms_of: Callable[[random.Random], list[int]], order: random.Random) -> list[list[int]]:
    """EACH sequences, no two the same."""
    found: dict[str, list[int]] = {}
    while len(found) < EACH:
        terms = terms_of(order)
        found.setdefault(str(terms), terms)
    return list(found.values())


@PROBES.add(
    "sequences",
    Family,
    parse=continues,
    parse_cut=partial(continues, cut=True),
    languages=("en",),
    new_tokens=NEW_TOKENS,
)
def sequences() -> Iterator[Item]:
    """Going on with a sequence of whole numbers."""
    order = random.Random(SEED)
    for group, terms_of in KINDS.items():
        for number, terms in enumerate(distinct(terms_of, order)):
            yield item_of(f"en-{group}-{number}", group, HELD_OUT, terms, order)


@cache
def asked_answers() -> frozenset[tuple[int, ...]]:
    """The LEAST terms that follow every asked sequence, source 003's among them."""
    asked = [(item.group, shown_terms(item)) for item in sequences()] + [("fibonacci", SOURCE_003)]
    return frozenset(tuple(rest_of(shown, group)[:LEAST]) for group, shown in asked)


def trainable(group: str) -> list[list[int]]:
    """Every sequence of the group from small numbers whose first TRAINED_TERMS hold no answer to what is asked."""
    firsts = range(1, LARGEST_START + 1)
    if group == "fibonacci":
        begun = [[first, second] for first in firsts for second in firsts]
    else:
        begun = [[first, first + step] for first in firsts for step in range(2, LARGEST_STEP + 1)]
    found = [[*terms, *rest_of(terms, group)] for terms in begun]
    return [
        terms for terms in found
        if asked_answers().isdisjoint(tuple(terms[at : at + LEAST]) for at in range(TRAINED_TERMS - LEAST + 1))
    ]  # fmt: skip


def training_items(seed: int, count: int) -> list[Item]:
    """For recipes: sequences whose next term is a sum, of the last two terms or of the last and a step; none twice.

    They share their wording with the asked items, but not their terms.

    Raises ValueError if more are wanted than exist.
    """
    order = random.Random(f"train-{seed}")
    left = {group: trainable(group) for group in dict.fromkeys(TRAINED)}
    for sequences_left in left.values():
        order.shuffle(sequences_left)
    groups = [TRAINED[number % len(TRAINED)] for number in range(count)]
    for group, found in left.items():
        if groups.count(group) > len(found):
            few = f"{groups.count(group)} of {group}, and only {len(found)} hold no answer to what is asked"
            raise ValueError(f"count={count} needs {few}; lower it or raise LARGEST_START")
    return [
        item_of(f"en-{group}-train-{number}", group, TRAIN, left[group].pop(), order)
        for number, group in enumerate(groups)
    ]
