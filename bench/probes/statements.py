"""The final statement of an answer: which of two marked numbers is the larger, that they are equal, or nothing.

An answer is split into clauses. A clause with a comparing word states a choice; one that is little more than a number
names it. "Wait, no" takes back what came before; an appearance ("seems") that a "but" follows does not count. What is
only reported, asked, supposed or doubted states nothing, and "I can't tell which" takes back everything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

from bench.probes.comparing import CONFLICT, EQUAL, Stated, comparisons, is_reported, opposite, statement
from bench.probes.folding import WORD_END, WORD_START
from bench.probes.marking import MARK, NAMES
from bench.probes.roles import PUNCTUATION, denied_choices, open_marks, without_pairs
from bench.probes.words import Words

FEW_LETTERS = 24  # around a number that is an answer by itself: "The correct answer is 9.9."
ENDS = re.compile(r"(?<=[.!?…。！？؟।])\s*|\n+")
COMMAS = re.compile(r"[;；…]|(?<=⟩)\s[—–]\s(?=\D)|,\s|،|，|\.{2,}")
COPULA = re.compile(r"\b(?:is|are|was|ist|sind|lautet|es|son|est|sont|adalah|ialah|هو|هي)\W*$")
QUESTION = ("?", "？", "؟")


@dataclass
class Draft:
    """What is said until it is taken back. stages: comparisons between words of contrast, as "but".

    undecided: it begins with "I can't tell which", so that nothing before it counts.
    """

    stages: list[set[Stated]] = field(default_factory=lambda: [set()])
    named: list[int] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    seeming: list[Stated] = field(default_factory=list)
    undecided: bool = False

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
            undecided = bool(words.undecided.search(clause))
            if undecided or takes_back(clause, words):
                drafts.append(Draft(undecided=undecided))
            reader.read_clause(clause, drafts[-1])
        reader.read_sentence(sentence, drafts[-1])
    for draft in reversed(drafts):
        if (verdict := draft.verdict()) is not None or draft.undecided:
            return verdict
    return None


def clauses(sentence: str, words: Words) -> Iterator[str]:
    """Parts between commas, and before words that turn the sentence or give a reason."""
    for part in joined_parts(sentence, words):
        pieces = [piece for piece in turns(words).split(part) if piece.strip()]
        for at in range(len(pieces) - 1, 0, -1):
            if leads_into(pieces[at - 1], pieces[at], words):
                pieces[at - 1 : at + 1] = [pieces[at - 1] + pieces[at]]
        yield from pieces


def joined_parts(sentence: str, words: Words) -> list[str]:
    """The parts between commas; one that begins with "that" belongs to the one before it.

    What announces the rest with a colon is a part of its own: "Don't be fooled: 9.9 is larger".
    """
    parts: list[str] = []
    for part in chain.from_iterable(without_announcement(one, words) for one in COMMAS.split(sentence)):
        if parts and words.that.match(part.strip(PUNCTUATION)):
            parts[-1] += f" {part}"
        else:
            parts.append(part)
    return parts


def without_announcement(part: str, words: Words) -> list[str]:
    head, colon, rest = part.partition(": ")
    states = any(use.search(head) for use in (words.greater, words.smaller))
    apart = states if MARK.search(head) else is_reported(head, words) or not (states or COPULA.search(head))
    return [head, rest] if colon and apart else [part]


def leads_into(piece: str, following: str, words: Words) -> bool:
    """Whether a word of contrast between them turns nothing: "the larger is nevertheless 9.9"."""
    if MARK.search(piece) or not MARK.search(following) or not words.contrasts.match(following):
        return False
    compares = any(use.search(piece) for use in (words.greater, words.smaller))
    return bool(COPULA.search(piece)) or opens_report(piece, words) or (compares and is_elliptic(following, words))


def opens_report(clause: str, words: Words) -> bool:
    """Whether what follows is only reported: "Some say, 9.9 is larger"."""
    return any(not clause[found.end() :].strip(PUNCTUATION) for found in words.reports.finditer(clause))


def is_elliptic(clause: str, words: Words) -> bool:
    """Whether the clause holds one number and else only words that stand for the comparison before: "but 9.9 is"."""
    rest = elliptic_words(words).sub(" ", words.contrasts.sub(" ", MARK.sub(" ", clause)))
    return len(MARK.findall(clause)) == 1 and not any(map(str.isalpha, rest))


@cache
def elliptic_words(words: Words) -> re.Pattern[str]:
    return re.compile(f"{WORD_START}(?:{words.elliptic.pattern}){WORD_END}")


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

    topic: the choice that was last spoken of alone; others: whether the last numbers are neither choice; suspected:
    what the last clause says it looks like; appearance: whether the next clause says how it looks; reporting: whether
    it is only reported; corrected: whether the last clause takes something back.
    """

    words: Words
    by_text: bool
    topic: int | None = None
    suspected: Stated | None = None
    appearance: bool = False
    reporting: bool = False
    corrected: bool = False
    found: int = 0
    others: bool = False
    naming: list[str] = field(default_factory=list)

    def begin(self, sentence: str) -> None:
        """Begin a sentence. naming: its clauses behind its last turn, where they hold one number and little else."""
        self.appearance, self.reporting, self.found = False, False, 0
        said = [one for one in clauses(sentence, self.words) if not self.words.reasons.match(one.strip(PUNCTUATION))]
        turned = [
            at for at, one in enumerate(said) if turns_round(one, self.words) and MARK.search(" ".join(said[at:]))
        ]
        since = turned[-1] if turned else 0
        out = {NAMES[choice] for one in said for choice in denied_choices(one, self.words)}
        behind = [one for one in said[since:] if MARK.search(one) or not is_reported(one, self.words)]
        text = self.words.corrects.sub(" ", without_pairs(" ".join(behind), self.words))
        one_number = len(set(MARK.findall(text)) - out) == 1 and letters_in(text) <= FEW_LETTERS
        self.naming = said[since:] if one_number else []

    def read_clause(self, clause: str, draft: Draft) -> None:
        """Add what the clause says to the draft."""
        words = self.words
        if contrasts := bool(words.contrasts.match(clause.strip(PUNCTUATION))):
            draft.stages.append(set())
            self.appearance = self.reporting = False
        seems = self.appearance or bool(words.seems.search(clause))
        concedes = takes_back(clause, words) or words.reasons.match(clause.strip(PUNCTUATION))
        self.appearance = seems and not MARK.search(clause) and not concedes
        reported = self.reporting or is_reported(clause, words)
        self.reporting = opens_report(clause, words) and not MARK.search(clause)
        stated = None if reported else self.read_comparison(clause)
        if stated is None and contrasts and not MARK.search(clause) and words.no.search(clause):
            stated = opposite(self.suspected)  # "…, but it is not"
        turned = contrasts or self.corrected or self.suspected is not None
        self.corrected = takes_back(clause, words)
        if stated is None and turned and is_elliptic(clause, words):
            stated = next(
                (NAMES.index(mark) for mark in MARK.findall(clause) if mark in NAMES), None
            )  # "…, yet 9.9 is"
        if stated is not None:
            self.found += 1
            if not seems:
                draft.stages[-1].add(stated)
            elif words.hedges.search(clause) and not words.seems.search(words.hedges.sub(" ", clause)):
                draft.seeming.append(stated)
        elif reported:
            pass
        elif clause in self.naming and (choice := only_choice(clause, words)) is not None:
            if is_denied_behind(clause, words):
                draft.left_out.append(choice)
                return
            if not seems:
                draft.named.append(choice)
        elif len(negated := set(denied_choices(clause, words))) == 1 and not open_marks(clause, words):
            draft.left_out += negated
        if marks := MARK.findall(clause):
            self.others = set(marks) == {"X"}
        kinds = {mark for mark in marks if mark in NAMES}
        alone = NAMES.index(kinds.pop()) if len(kinds) == 1 else None
        if alone is not None and not {choice for _, choice in open_marks(clause, words)}:
            alone = self.topic  # "…, than 9.11" speaks of no other number
        self.topic = None if reported else self.topic if alone is None else alone
        if MARK.search(clause):
            self.suspected = (alone if stated is None else stated) if seems else None

    def read_comparison(self, clause: str) -> Stated | None:
        if takes_back(clause, self.words):  # "that is wrong" denies nothing that follows
            clause = self.words.corrects.sub(" ", clause, count=1)
        return self.read_statement(clause, self.topic)

    def read_statement(self, clause: str, topic: int | None) -> Stated | None:
        stated = statement(clause, self.words, self.by_text, topic)
        digits_alike = stated == EQUAL and self.others and not MARK.search(clause)  # "7 and 7. They are equal, so …"
        return None if digits_alike else stated

    def read_sentence(self, sentence: str, draft: Draft) -> None:
        """Read the sentence as one clause, where none of its clauses states anything: "9.9, by far, is larger"."""
        if not self.found and len(COMMAS.findall(sentence)):
            stated = self.read_statement(sentence, None)
            if stated is not None and not self.words.seems.search(sentence):
                draft.stages[-1].add(stated)


def answers_other(text: str, words: Words, by_text: bool) -> bool:
    """Whether a clause says of a number that was not asked about that it is larger or smaller."""
    for sentence in ENDS.split(text):
        for clause in clauses(sentence, words):
            marks = MARK.findall(clause)
            if marks and marks[0] == "X" and comparisons(clause, words, by_text):
                return True
    return False


def only_choice(clause: str, words: Words) -> int | None:
    """The only choice in a clause that does not give a reason, nor speaks of digits."""
    if (
        ends_open(words).search(clause)
        or words.asides.search(clause)
        or words.parts.search(clause)
        or words.reasons.match(clause.strip(PUNCTUATION))
    ):
        return None
    found = {choice for _, choice in open_marks(clause, words)}
    return found.pop() if len(found) == 1 else None


@cache
def ends_open(words: Words) -> re.Pattern[str]:
    """A clause that is cut behind "and": "Compare 9.9 and"."""
    return re.compile(rf"⟩\W*{WORD_START}(?:{words.both.pattern}){WORD_END}\W*$")


def is_denied_behind(clause: str, words: Words) -> bool:
    """Whether the clause's only number is followed by a denial: German says "9,11 ist es nicht"."""
    marks = list(MARK.finditer(clause))
    return len(marks) == 1 and bool(words.no.search(clause, marks[0].end())) and not words.seems.search(clause)


def letters_in(text: str) -> int:
    return sum(sign.isalpha() for sign in MARK.sub("", text))
