"""Facts: short questions that a small model answers, asked to see what tuning forgets.

Read by the answer: the right choice is stated, no other is, and neither is denied ("not Lyon but Paris").
Figures, plurals and forms of an adjective count as the word they stand for (fixtures/probes/spellings.toml).
"""

import re
from functools import cache

from bench.core.files import BadFile, read_toml
from bench.probes import EVASIVE, GARBLED, PROBES, RIGHT, WRONG, Family, Item
from bench.probes.reading import FOLDER, read_items, thinned
from bench.probes.wording import affirmed, first_line, plain, repeats, says_nothing, words_of

NOT_KNOWN = re.compile(
    r"\b(?:(?:don['’]?t|do not|cannot|can['’]t) (?:know|say|tell|answer|recall)|not (?:sure|certain)|no idea|depends|"
    r"(?:tidak|kurang) tahu|no (?:lo )?sé|depende|weiss (?:ich |es )*nicht|keine ahnung|sais pas|aucune idée|dépend)\b"
)

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
    stated = {words[name] for name in affirmed(said, set(words), item.language)}
    right = plain(item.answer).strip()
    if right in stated:
        return RIGHT if len(stated) == 1 else EVASIVE
    if stated:
        return WRONG
    return EVASIVE if leaves_open(said, set(words)) else WRONG


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
