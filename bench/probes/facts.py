"""Facts: short questions that a small model answers, asked to see what tuning forgets.

Read by the answer: the right choice is stated, no other is, and neither is denied ("not Lyon but Paris").
Figures, plurals and forms of an adjective count as the word they stand for (fixtures/probes/spellings.toml).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from bench.core.files import BadFile, read_toml
from bench.probes import EVASIVE, GARBLED, PROBES, RIGHT, WRONG, Family, Item
from bench.probes.reading import FOLDER, read_items, thinned
from bench.probes.statements import clauses, takes_back
from bench.probes.wording import ALL_BUT, affirmed, first_line, plain, repeats, says_nothing, words_of
from bench.probes.words import words_in

NOT_KNOWN = re.compile(
    r"\b(?:(?:don['’]?t|do not|cannot|can['’]t|didn['’]?t) (?:really |actually |quite )?"
    r"(?:know|say|tell|answer|recall|remember)"
    r"|not (?:\w+ )?(?:sure|certain)|unsure|uncertain|no idea|depends"
    r"|(?:have|need) to (?:look|check)|look (?:that|it|this) up"
    r"|(?:tidak|kurang|belum) (?:\w+ )?(?:tahu|yakin|pasti|ingat)|tergantung"
    r"|no (?:lo |la |me )?(?:sé|acuerdo|recuerdo)|no (?:estoy|puedo) (?:segur\w+|decir)|depende|ni idea"
    r"|weiss (?:ich )?(?:\w+ )?nicht|keine ahnung|nicht (?:ganz )?sicher|kann ich (?:\w+ )?nicht|kommt (?:\w+ )?an"
    r"|(?:sais|suis|peux) (?:vraiment )?(?:pas|plus)|pas (?:sûre?|certaine?)|aucune idée|dépend)\b"
)
SENTENCES = re.compile(r"(?<=[.!?])\s+|[;:]\s")
ALTERNATIVES = {
    "or",
    "atau",
    "o",
    "u",
    "oder",
    "ou",
    "perhaps",
    "maybe",
    "mungkin",
    "quizás",
    "vielleicht",
    "peut-être",
}
JOINTS = {"and", "dan", "y", "e", "und", "et"}
LONG_WORD = 4  # letters: shorter words are in every sentence

ASKED = 2  # every second question of a language: all families, before and after, are to take 90 s on two cores


@cache
def spellings() -> dict[str, dict[str, str]]:
    """language -> spelling -> the word it stands for, in lower case. Raises BadFile for a spelling of two words."""
    path = FOLDER / "spellings.toml"
    found: dict[str, dict[str, str]] = {}
    for language, table in read_toml(path).items():
        found[language] = {}
        for word, others in table.items():
            for other in others:
                if found[language].setdefault(plain(other), plain(word)) != plain(word):
                    raise BadFile(f"{path} [{language}]: {other!r} stands for two words; leave it to one")
    return found


def parse(answer: str, item: Item) -> str:
    """RIGHT if the right choice alone is stated; EVASIVE if several are, or the question is left open."""
    said = first_line(answer)
    if says_nothing(said) or repeats(said):
        return GARBLED
    words = {plain(choice).strip(): plain(choice).strip() for choice in item.choices}
    words |= {other: word for other, word in spellings().get(item.language, {}).items() if word in words}
    stated = {words[name] for name in final_names(said, item, set(words))}
    right = plain(item.answer).strip()
    if right in stated:
        return RIGHT if len(stated) == 1 else EVASIVE
    if stated:
        return WRONG
    return EVASIVE if leaves_open(said, set(words)) else WRONG


def final_names(said: str, item: Item, names: set[str]) -> set[str]:
    """The names that are stated and not taken back: "Lyon. Sorry, Paris" comes to Paris alone."""
    drafts: list[list[Clause]] = [[]]
    words = words_in(item.language)
    for sentence, text in enumerate(SENTENCES.split(ALL_BUT.sub("not", plain(said)))):
        for clause in clauses(text, words):
            if takes_back(clause, words):
                drafts.append([])
            stated = affirmed(clause.rsplit("=", 1)[-1], names, item.language)
            if stated:
                drafts[-1].append(Clause(clause, sentence, stated, bool(words.seems.search(clause))))
    return next((stated for draft in reversed(drafts) if (stated := names_of(draft, item))), set())


@dataclass(frozen=True)
class Clause:
    """A clause that states some of the names. seems: it only says what one might think."""

    text: str
    sentence: int
    stated: set[str]
    seems: bool

    def on_topic(self, asked: set[str]) -> int:
        """How many of the question's long words it repeats."""
        return len(asked & {word for word in words_of(self.text) if len(word) >= LONG_WORD})


def names_of(draft: Sequence[Clause], item: Item) -> set[str]:
    """What a draft's clauses come to: those that repeat most of the question count, and of these the first.

    Names in a list count alike, as do two sentences or alternatives that state different ones.
    """
    draft = [clause for clause in draft if not clause.seems] or list(draft)
    if not draft:
        return set()
    asked = {word for word in words_of(item.prompt) if len(word) >= LONG_WORD}
    most = max(clause.on_topic(asked) for clause in draft)
    first, *others = (clause for clause in draft if clause.on_topic(asked) == most)
    alike = [one for one in others if one.sentence != first.sentence or stands_beside(one.text)]
    return first.stated.union(*(one.stated for one in alike))


def stands_beside(text: str) -> bool:
    """Whether a clause is one more of a list, or an alternative."""
    words = words_of(text)
    return len(words) <= 1 or words[0] in ALTERNATIVES or (words[0] in JOINTS and len(words) == 2)


def leaves_open(said: str, names: set[str]) -> bool:
    """Whether it says that it does not know, or asks back, and names no choice even to deny it."""
    if names & set(words_of(said)):
        return False
    return bool(NOT_KNOWN.search(plain(said))) or said.rstrip().endswith("?")


def bank() -> list[Item]:
    """All questions that are written."""
    return read_items(FOLDER / "facts.jsonl")


@PROBES.add("facts", Family, parse=parse, languages=("en", "id", "es", "de", "fr"), new_tokens=16)
def facts() -> list[Item]:
    """Short questions a small model answers: what tuning forgets."""
    return thinned(bank(), ASKED)
