"""What an answer's clauses state about two marked numbers: which is larger, that both are the same, or nothing.

An answer is cut into clauses. One with a comparing word states a choice; one that is little else than a number names
it. What was said before "wait, no" is taken back; what looks so, and is followed by "but", does not count.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from bench.probes.folding import VOWEL_SIGNS, WORD_END, WORD_START
from bench.probes.marking import MARK, NAMES
from bench.probes.words import Words

EQUAL, CONFLICT = "equal", "conflict"
Stated = int | str  # the index of a choice, EQUAL, or CONFLICT
FEW_LETTERS = 24  # around a number that is an answer by itself: "The correct answer is 9.9."
ENDS = re.compile(r"(?<=[.!?…。！？؟।])\s*|\n+")
COMMAS = re.compile(r"[;；…]|,\s|،|，|\.{2,}")
QUESTION = ("?", "？", "؟")
PUNCTUATION = " \t.,;:!-–—…।،。，！：()'"
CHINESE = "\u4e00-\u9fff"
SIGN = re.compile(r"⟨([AB])⟩[^⟨⟩\w<>=]*([<>=])[^⟨⟩\w<>=]*(?=⟨([AB])⟩)")
SIGN_LEFT = {">": 0, "<": 1}


class Comparison(NamedTuple):
    """Where a clause compares. up: whether its subject is the larger one."""

    start: int
    end: int
    up: bool


@dataclass
class Draft:
    """What is said until it is taken back. stages: comparisons between words of contrast, as "but"."""

    stages: list[set[Stated]] = field(default_factory=lambda: [set()])
    named: list[int] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    seeming: list[Stated] = field(default_factory=list)

    def verdict(self) -> Stated | None:
        """The last stage that compares; else the number that is named, seems so, or is not the one left out."""
        for stage in reversed(self.stages):
            if choices := stage - {EQUAL}:
                return choices.pop() if len(choices) == 1 else CONFLICT
            if stage:
                return EQUAL
        for found in (self.named, self.seeming):
            if found:
                return found[-1] if len(set(found)) == 1 else None
        return 1 - self.left_out[0] if len(set(self.left_out)) == 1 else None


def final_statement(text: str, words: Words, by_text: bool) -> Stated | None:
    """What the answer comes to, or None where it states nothing. by_text: versions or dates are compared."""
    drafts, reader = [Draft()], Reader(words, by_text)
    for sentence in ENDS.split(text):
        if not sentence or sentence.rstrip().endswith(QUESTION):
            continue
        reader.begin(sentence)
        for clause in clauses(sentence, words):
            if takes_back(clause, words):
                drafts.append(Draft())
            reader.read(clause, drafts[-1])
        reader.read_whole(sentence, drafts[-1])
    found = (draft.verdict() for draft in reversed(drafts))
    return next((verdict for verdict in found if verdict is not None), None)


def clauses(sentence: str, words: Words) -> Iterator[str]:
    """Parts between commas, and before words that turn the sentence or give a reason."""
    for part in COMMAS.split(sentence):
        yield from (clause for clause in turns(words).split(part) if clause.strip())


@cache
def turns(words: Words) -> re.Pattern[str]:
    return re.compile(f"(?={words.contrasts.pattern}|{words.corrects.pattern}|{words.reasons.pattern})")


def takes_back(clause: str, words: Words) -> bool:
    said = clause.strip(PUNCTUATION)
    head = re.split(r"[:—–-]", said, maxsplit=1)[0].strip(PUNCTUATION)
    return bool(words.corrects.match(said) or words.no_alone.fullmatch(said) or words.no_alone.fullmatch(head))


def turns_round(clause: str, words: Words) -> bool:
    return takes_back(clause, words) or bool(words.contrasts.match(clause.strip(PUNCTUATION)))


@dataclass
class Reader:
    """Reads one clause after another.

    topic: the choice that was last spoken of alone; suspected: what the last clause says it looks like; appearance:
    whether the next clause says how it looks.
    """

    words: Words
    by_text: bool
    topic: int | None = None
    suspected: Stated | None = None
    appearance: bool = False
    found: int = 0
    naming: list[str] = field(default_factory=list)

    def begin(self, sentence: str) -> None:
        """Begin a sentence. naming: its clauses behind its last turn, where they hold one number and little else."""
        self.appearance, self.found = False, 0
        said = [one for one in clauses(sentence, self.words) if not self.words.reasons.match(one.strip(PUNCTUATION))]
        turned = [
            at for at, one in enumerate(said) if turns_round(one, self.words) and MARK.search(" ".join(said[at:]))
        ]
        since = turned[-1] if turned else 0
        out = {NAMES[choice] for one in said for choice in left_out(one, self.words)}
        text = " ".join(said[since:])
        one_number = len(set(MARK.findall(text)) - out) == 1 and letters_in(text) <= FEW_LETTERS
        self.naming = said[since:] if one_number else []

    def read(self, clause: str, draft: Draft) -> None:
        """Add what the clause says to the draft."""
        words = self.words
        if contrasts := bool(words.contrasts.match(clause.strip(PUNCTUATION))):
            draft.stages.append(set())
            self.appearance = False
        seems = self.appearance or bool(words.seems.search(clause))
        self.appearance = seems and not MARK.search(clause)
        stated = self.compared(clause)
        if stated is None and contrasts and not MARK.search(clause) and words.no.search(clause):
            stated = opposite(self.suspected)  # "…, but it is not"
        if stated is not None:
            draft.seeming.append(stated) if seems else draft.stages[-1].add(stated)
            self.found += 1
        elif clause in self.naming and (choice := named(clause, words)) is not None:
            (draft.seeming if seems else draft.named).append(choice)
        elif len(negated := set(left_out(clause, words))) == 1 and not open_marks(clause, words):
            draft.left_out += negated
        kinds = {mark for mark in MARK.findall(clause) if mark in NAMES}
        alone = NAMES.index(kinds.pop()) if len(kinds) == 1 else None
        self.topic = self.topic if alone is None else alone
        if MARK.search(clause):
            self.suspected = (alone if stated is None else stated) if seems else None

    def compared(self, clause: str) -> Stated | None:
        if takes_back(clause, self.words):  # "that is wrong" denies nothing that follows
            clause = self.words.corrects.sub(" ", clause, count=1)
        return statement(clause, self.words, self.by_text, self.topic)

    def read_whole(self, sentence: str, draft: Draft) -> None:
        """Read the sentence as one clause, where none of its clauses states anything: "9.9, by far, is larger"."""
        if not self.found and len(COMMAS.findall(sentence)):
            stated = statement(sentence, self.words, self.by_text, None)
            if stated is not None and not self.words.seems.search(sentence):
                draft.stages[-1].add(stated)


def opposite(stated: Stated | None) -> Stated | None:
    return 1 - stated if isinstance(stated, int) else stated


def statement(clause: str, words: Words, by_text: bool, topic: int | None) -> Stated | None:
    """What the clause states, if it compares and says of which number."""
    if by_sign := [sign_statement(match) for match in SIGN.finditer(clause)]:
        return opposite(by_sign[0]) if words.no.search(clause) else by_sign[0]
    clause = words.asides.sub(lambda match: " " * len(match[0]), clause)
    if says_equal(clause, words):
        return EQUAL
    found = comparisons(clause, words, by_text)
    if len(found) > 1 and (halves := of_halves(clause, words, by_text)) is not None:
        return halves
    if len({one.up for one in found}) != 1:  # nothing compares, or in both directions
        return None
    subject, negated = subject_of(clause, words, found, topic)
    if subject is None:
        return None
    turned = (not found[0].up) != (negated or denied(clause, words, found))
    return 1 - subject if turned else subject


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
    marks = open_marks(clause, words)
    kinds = {choice for _, choice in marks}
    if len(kinds) == 1:
        return kinds.pop(), False
    if kinds:
        ahead = [choice for at, choice in marks if at < found[0].start]
        if len(set(ahead)) > 1 and len(set(MARK.findall(clause[found[0].end :]))) == 0:
            return (ahead[0], False) if words.exceeds.search(clause) else (None, False)
        return (ahead[0] if len(set(ahead)) == 1 else None), False
    if "X" in MARK.findall(clause):
        return None, False
    if len(negated := set(left_out(clause, words))) == 1:
        return negated.pop(), True
    objects = {NAMES.index(mark) for mark in MARK.findall(clause)}
    if len(objects) == 1:  # "It is larger than 9.11"
        return 1 - objects.pop(), False
    return (topic, False) if not objects else (None, False)


def answers_other(text: str, words: Words, by_text: bool) -> bool:
    """Whether a clause says of a number that was not asked about that it is larger or smaller."""
    for sentence in ENDS.split(text):
        for clause in clauses(sentence, words):
            marks = MARK.findall(clause)
            if marks and marks[0] == "X" and comparisons(clause, words, by_text):
                return True
    return False


def without_pairs(clause: str, words: Words) -> str:
    """The clause without "9.11 and 9.9", where it names a number besides."""
    joined = rf"⟨[AB]⟩[^⟨⟩\w]*(?:{words.both.pattern}|,)[^⟨⟩\w]*⟨[AB]⟩"
    if len(MARK.findall(clause)) <= 2:
        return clause
    return re.sub(joined, lambda match: " " * len(match[0]), clause)


def open_marks(clause: str, words: Words) -> list[tuple[int, int]]:
    """Where the choices stand that are neither compared with nor left out."""
    marks = []
    for match in MARK.finditer(clause):
        before, behind = clause[: match.start()], clause[match.end() :].lstrip()
        compared = object_before(words).search(before) or words.than_after.match(behind)
        if match[1] in NAMES and not compared and not is_left_out(match, clause, words):
            marks.append((match.start(), NAMES.index(match[1])))
    return marks


@cache
def object_before(words: Words) -> re.Pattern[str]:
    """What ends a text whose next number is compared with."""
    uses = (words.than, words.exceeds, words.trails, words.after, words.before)
    return re.compile(f"(?:{'|'.join(use.pattern for use in uses)}){up_to_number(words)}")


@cache
def leaves_out(words: Words) -> re.Pattern[str]:
    """What ends a text whose next number is denied."""
    return re.compile(f"(?:{words.no.pattern}){up_to_number(words)}")


def up_to_number(words: Words) -> str:
    """What may stand between a word and the number that it is about; Chinese writes it without spaces."""
    letter = rf"[^\W\d_{CHINESE}]"
    return (
        rf"(?:[^\w⟨⟩:]*(?<!{letter})(?<![{VOWEL_SIGNS}])(?:{words.filler.pattern})(?!{letter}|[{VOWEL_SIGNS}]))*"
        r"[^\w⟨⟩:]*$"
    )


def left_out(clause: str, words: Words) -> list[int]:
    """The choices that are denied by themselves, as in "not 9.11"."""
    marks = (match for match in MARK.finditer(clause) if match[1] in NAMES)
    return [NAMES.index(match[1]) for match in marks if is_left_out(match, clause, words)]


def is_left_out(match: re.Match[str], clause: str, words: Words) -> bool:
    """Whether a denying word stands before the number, or behind it and nothing else, as in Hindi."""
    behind = clause[match.end() :].lstrip()
    after = words.no.match(behind)
    alone = after and not behind[after.end() :].strip(PUNCTUATION)
    return bool(alone or leaves_out(words).search(clause[: match.start()]))


def denied(clause: str, words: Words, found: list[Comparison]) -> bool:
    """Whether the comparing itself is denied; "9.9, not 9.11" only leaves a number out."""
    for match in words.no.finditer(clause):
        within = any(one.start <= match.start() and match.end() <= one.end for one in found)
        next_mark = MARK.search(clause, match.end())
        leaves = next_mark and leaves_out(words).search(clause[match.start() : next_mark.start()])
        if not within and not leaves:
            return True
    return False


def named(clause: str, words: Words) -> int | None:
    """The only choice in a clause that does not give a reason, nor speaks of digits."""
    if words.asides.search(clause) or words.parts.search(clause) or words.reasons.match(clause.strip(PUNCTUATION)):
        return None
    found = {choice for _, choice in open_marks(clause, words)}
    return found.pop() if len(found) == 1 else None


def letters_in(text: str) -> int:
    return sum(sign.isalpha() for sign in MARK.sub("", text))
