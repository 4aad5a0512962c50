"""Spellings of the choices that facts compare with answers: figures for words, plurals, and words with a slip.

Other spellings are data: fixtures/probes/spellings.toml. A slip is one letter that is missing or too many.
"""

import re
from functools import cache

from bench.core.files import BadFile, read_toml
from bench.probes import Item
from bench.probes.reading import FOLDER
from bench.probes.wording import plain, words_of

WORDS = re.compile(r"[^\W\d_]+")
SHORTEST_MISSPELT = 6  # letters: fewer differ in one from other words
AS_WRITTEN = ("opposite", "count")  # groups whose choices are too near to other words


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


def corrected(said: str, names: set[str], item: Item) -> str:
    """The text with a choice for each word that lacks one of its letters, or has one too many: "girafe"."""
    asked = set(words_of(item.prompt))

    def choice(match: re.Match[str]) -> str:
        word = plain(match[0])
        if word in asked or word in names or word in spellings().get(item.language, {}):
            return match[0]
        return next((name for name in sorted(names) if is_misspelt(word, name)), match[0])

    return said if item.group in AS_WRITTEN else WORDS.sub(choice, said)


def is_misspelt(word: str, name: str) -> bool:
    shorter, longer = sorted((word, name), key=len)
    if len(name) < SHORTEST_MISSPELT or len(longer) - len(shorter) != 1:
        return False
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))
