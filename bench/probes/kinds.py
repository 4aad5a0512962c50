"""The kinds of answers that facts ask for, such as a number or a colour, and whether a text contains one.

A text that contains one answers the question, rightly or not. Without one it may only speak around it. The words are
data: the choices of all questions of a group, fixtures/probes/numbers.toml and fixtures/probes/kinds.toml.
"""

import re
from collections import Counter
from functools import cache

from bench.core.files import BadFile, read_toml
from bench.probes import Item
from bench.probes.folding import any_of, fold
from bench.probes.numerals import numerals_of
from bench.probes.reading import FOLDER, read_items
from bench.probes.wording import akin, words_of

NUMBER, NAME = "number", "name"
KINDS = {
    "count": (NUMBER,),
    "colour": ("colour",),
    "animal": ("animal",),
    "day": ("day",),
    "month": ("month",),
    "season": ("season", "month"),
    "capital": (NAME,),
    "world": (NAME, "direction"),
}  # group -> kinds; an opposite may be any word
LISTED = (NUMBER, "colour", "animal", "direction", "season", "named")  # in the file
SAID_AGAIN = {NUMBER, "day", "month", "season"}
ONE_IS_ARTICLE = {"es", "de", "fr"}
ONE_OF = re.compile(r"\b(?:one|eine?r?|une?) (?:of|von|des)\b")
TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[.!?:]")
SHORTEST_NAME = 2  # letters; "I" is none
IN_PLACE = re.compile(  # "in southern Europe" is no name of a city
    r"\b(?:in|on|near|of|across|around|di|en|del?|des|du|d['’]|sur|dans)"
    r"(?: (?:the|la|el|las|los|les?|l['’]))?(?: [^\W\d_]\w*){0,2}\s*$"
)
ADJECTIVE_ENDINGS = ("an", "ish", "ese", "ch", "ic", "ern")  # in English; others write them in lower case
NO_CAPITALS = {"de"}  # every noun has one there
FILE = FOLDER / "kinds.toml"


def contains_answer(said: str, item: Item) -> bool:
    """Whether the text contains an answer of the kind that the question asks for, and the question does not.

    What is counted or ordered may be answered by a word of the question, said once more: "March comes after March".
    """
    kinds = KINDS.get(item.group, ())
    if NAME in kinds and (kind_words("named", item.language).search(fold(said)) or contains_name(said, item)):
        return True
    for kind in kinds:
        asked, found = count_kind(item.prompt, kind, item), count_kind(said, kind, item)
        if kind != NAME and (found - asked if kind in SAID_AGAIN else found.keys() - asked.keys()):
            return True
    return False


def count_kind(text: str, kind: str, item: Item) -> Counter[str]:
    words = words_of(ONE_OF.sub(" ", fold(text)))
    return Counter(word for word in words if is_of_kind(word, kind, item.language))


def is_of_kind(word: str, kind: str, language: str) -> bool:
    if kind == NUMBER and is_number(word, language):
        return True
    listed = kind_words(kind, language)
    return bool(listed.fullmatch(word) or listed.fullmatch(word.removesuffix("s")))


def is_number(word: str, language: str) -> bool:
    """Whether the word is a number up to 99, in digits or in words; an article that also means one is not."""
    for spoken in {language, "en"}:
        patterns = numerals_of(spoken).patterns
        values = (value for value in patterns if value != 1 or spoken not in ONE_IS_ARTICLE)
        if word.isdecimal() or any(patterns[value].fullmatch(word) for value in values):
            return True
    return False


def contains_name(said: str, item: Item) -> bool:
    """Whether a capitalised word inside a sentence names something new, and not only a place where something is."""
    if item.language in NO_CAPITALS:
        return False
    tokens = list(TOKEN.finditer(said))
    asked = words_of(item.prompt)
    for before, token, after in zip(tokens, tokens[1:], [*tokens[2:], None], strict=False):
        word = token[0]
        inside = word[0].isupper() and len(word) >= SHORTEST_NAME and before[0] not in ".!?:"
        known = any(akin(word.casefold(), other) for other in asked)
        if inside and not known and not is_adjective(token, after, said) and not IN_PLACE.search(said[: token.start()]):
            return True
    return False


def is_adjective(token: re.Match[str], after: re.Match[str] | None, said: str) -> bool:
    """Whether a noun follows the capitalised word, as in "a European country"."""
    if after is None or not after[0].islower() or not said[token.end() : after.start()].isspace():
        return False
    return token[0].endswith(ADJECTIVE_ENDINGS)


@cache
def kind_words(kind: str, language: str) -> re.Pattern[str]:
    """One expression for the words of the kind, in the language and in English. Raises BadFile if it is missing."""
    tables, patterns = read_toml(FILE), []
    for spoken in sorted({language, "en"}):
        if kind in LISTED and kind not in tables.get(spoken, {}):
            raise BadFile(f"{FILE} [{spoken}]: missing {kind}")
        patterns += tables[spoken].get(kind, [])
        patterns += [re.escape(choice) for choice in choices_of(kind, spoken)]
    return any_of(patterns)


@cache
def choices_of(kind: str, language: str) -> tuple[str, ...]:
    """The choices of all questions of the group of that name, in lower case without a plural s."""
    items = (item for item in read_items(FOLDER / "facts.jsonl") if (item.group, item.language) == (kind, language))
    return tuple({fold(choice).strip().removesuffix("s") for item in items for choice in item.choices})
