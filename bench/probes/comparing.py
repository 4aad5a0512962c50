"""The statement of one clause about two marked numbers: which is larger, that they are equal, or nothing."""

import re
from functools import cache
from typing import NamedTuple

from bench.probes.folding import WORD_END, WORD_START
from bench.probes.marking import MARK, NAMES
from bench.probes.roles import denied_choices, is_compared, leaves_out, open_marks, without_pairs
from bench.probes.words import Words

EQUAL, CONFLICT = "equal", "conflict"
Stated = int | str  # the index of a choice, EQUAL, or CONFLICT
SIGN = re.compile(r"⟨([AB])⟩[^⟨⟩\w<>=]*([<>=])[^⟨⟩\w<>=]*(?=⟨([AB])⟩)")
SIGN_LEFT = {">": 0, "<": 1}


class Comparison(NamedTuple):
    """A comparing word's place in a clause. up: whether its subject is the larger number."""

    start: int
    end: int
    up: bool


def statement(clause: str, words: Words, by_text: bool, topic: int | None) -> Stated | None:
    """What the clause states, if it compares and says of which number."""
    if is_reported(clause, words):
        return None
    if by_sign := [sign_statement(match) for match in SIGN.finditer(clause)]:
        return opposite(by_sign[0]) if words.no.search(clause) else by_sign[0]
    clause = words.asides.sub(lambda match: " " * len(match[0]), clause)
    if says_equal(clause, words):
        return EQUAL
    found = comparisons(clause, words, by_text)
    if len(found) > 1 and (halves := of_halves(clause, words, by_text)) is not None:
        return halves
    if len({one.up for one in found}) != 1:  # no comparison, or comparisons in both directions
        return None
    subject, negated = subject_of(clause, words, found, topic)
    if subject is None:
        return None
    turned = (not found[0].up) != (negated or is_denied(clause, words, found))
    return 1 - subject if turned else subject


def is_reported(clause: str, words: Words) -> bool:
    """Whether the clause only says what others think, what is asked, or what the speaker does not know."""
    return bool(words.reports.search(clause) or words.undecided.search(clause))


def opposite(stated: Stated | None) -> Stated | None:
    return 1 - stated if isinstance(stated, int) else stated


@cache
def joints(words: Words) -> re.Pattern[str]:
    return re.compile(rf"{WORD_START}(?:{words.both.pattern}){WORD_END}")


def sign_statement(match: re.Match[str]) -> Stated:
    left, right = NAMES.index(match[1]), NAMES.index(match[3])
    if match[2] == "=" or left == right:
        return EQUAL if left != right else left
    return (left, right)[SIGN_LEFT[match[2]]]


def says_equal(clause: str, words: Words) -> bool:
    """Whether both numbers are said to be the same, and not their digits; "9.9 is equal to 9.90" says nothing."""
    match = words.equal.search(clause)
    if (
        not match
        or words.parts.search(clause)
        or words.no.search(clause[: match.start()] + " " + clause[match.end() :])
    ):
        return False
    return set(MARK.findall(clause)) in ({"A", "B"}, set())


def comparisons(clause: str, words: Words, by_text: bool) -> list[Comparison]:
    """Every comparing word, in order; none that is part of a longer one."""
    uses = [(words.greater, True), (words.exceeds, True), (words.smaller, False), (words.trails, False)]
    if by_text:
        uses += [(words.after, True), (words.before, False)]
    found = [Comparison(*match.span(), up) for pattern, up in uses for match in pattern.finditer(clause)]
    return sorted(one for one in found if not any(covers(other, one) for other in found))


def covers(longer: Comparison, one: Comparison) -> bool:
    inside = longer.start <= one.start and one.end <= longer.end
    return inside and longer.end - longer.start > one.end - one.start


def of_halves(clause: str, words: Words, by_text: bool) -> Stated | None:
    """What the parts between "and" state, where each compares."""
    parts = [part for part in joints(words).split(clause) if comparisons(part, words, by_text)]
    if len(parts) == 1:
        return None
    found = [statement(part, words, by_text, None) for part in parts]
    return None if None in found else found[0] if len(set(found)) == 1 else CONFLICT


def subject_of(clause: str, words: Words, found: list[Comparison], topic: int | None) -> tuple[int | None, bool]:
    """The choice that is said to be something, and whether that is denied by what stands before its number."""
    clause = without_pairs(clause, words)
    marks, numbers = open_marks(clause, words), MARK.findall(clause)
    if compares_with_other(clause, words):  # "9.9 is larger than 5"
        return None, False
    kinds = {choice for _, choice in marks}
    if len(kinds) == 1:
        return kinds.pop(), False
    if kinds:
        return first_spoken_of(clause, marks, words, found[0]), False
    if "X" in numbers:
        return None, False
    if len(negated := set(denied_choices(clause, words))) == 1:
        return negated.pop(), True
    objects = {NAMES.index(mark) for mark in numbers}
    if len(objects) == 1:  # "It is larger than 9.11"
        return 1 - objects.pop(), False
    return (None if objects else topic), False


def compares_with_other(clause: str, words: Words) -> bool:
    """Whether the only number that is compared with is neither choice."""
    objects = [one[1] for one in MARK.finditer(clause) if is_compared(one, clause, words)]
    return bool(objects) and set(objects) == {"X"}


def first_spoken_of(clause: str, marks: list[tuple[int, int]], words: Words, compared: Comparison) -> int | None:
    """Of both choices the one that stands before the comparing word; the first, where a verb stands behind both."""
    ahead = [choice for at, choice in marks if at < compared.start]
    if len(set(ahead)) == 1:
        return ahead[0]
    verb_last = ahead and words.exceeds.search(clause) and not MARK.search(clause, compared.end)
    return ahead[0] if verb_last else None


def is_denied(clause: str, words: Words, found: list[Comparison]) -> bool:
    """Whether the comparing itself is denied; "9.9, not 9.11" only leaves a number out."""
    for match in words.no.finditer(clause):
        within = any(one.start <= match.start() and match.end() <= one.end for one in found)
        next_mark = MARK.search(clause, match.end())
        leaves = next_mark and leaves_out(words).search(clause[match.start() : next_mark.start()])
        if not within and not leaves:
            return True
    return False
