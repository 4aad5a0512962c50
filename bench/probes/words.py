"""The words with which an answer says which of two numbers is larger, in each language.

They are data: fixtures/probes/comparing.toml says what each list is for.
"""

import re
from dataclasses import dataclass, field, fields
from functools import cache

from bench.core.files import BadFile, read_toml
from bench.probes.folding import any_of
from bench.probes.reading import FOLDER

FILE = FOLDER / "comparing.toml"
LANGUAGES = ("en", "es", "de", "fr", "ru", "ar", "hi", "id", "zh")  # of the file; a test compares them
NEVER = re.compile("(?!)")
DEGREE = "~"  # stands for a word of degree, as in "sits~ above"


@dataclass(frozen=True)
class Words:
    """An expression for each use, on folded text."""

    greater: re.Pattern[str]
    smaller: re.Pattern[str]
    exceeds: re.Pattern[str]
    trails: re.Pattern[str]
    after: re.Pattern[str]
    before: re.Pattern[str]
    than: re.Pattern[str]
    filler: re.Pattern[str]
    no: re.Pattern[str]
    equal: re.Pattern[str]
    parts: re.Pattern[str]
    both: re.Pattern[str]
    first: re.Pattern[str]
    second: re.Pattern[str]
    seems: re.Pattern[str]
    contrasts: re.Pattern[str]
    corrects: re.Pattern[str]
    no_alone: re.Pattern[str]
    reasons: re.Pattern[str]
    asides: re.Pattern[str]
    that: re.Pattern[str]
    hedges: re.Pattern[str]
    reports: re.Pattern[str]
    undecided: re.Pattern[str]
    elliptic: re.Pattern[str]
    degrees: re.Pattern[str]
    than_after: re.Pattern[str] = field(default=NEVER)


@cache
def words_in(language: str) -> Words:
    """The language's words. Raises BadFile for a list that is missing or unknown, or no regular expression."""
    lists = read_toml(FILE)[language]
    if wrong := ({entry.name for entry in fields(Words)} ^ lists.keys()) - {"than_after"}:
        raise BadFile(f"{FILE} [{language}]: {', '.join(sorted(wrong))} missing or unknown")
    try:
        return Words(**{name: any_of(with_degrees(name, lists)) for name in lists})
    except re.error as error:
        raise BadFile(f"{FILE} [{language}]: no regular expression ({error})") from None


def with_degrees(name: str, lists: dict[str, list[str]]) -> list[str]:
    """The patterns of a list. Words of degree may stand at each DEGREE, and wherever fillers may."""
    degree = "|".join(lists["degrees"]) or "(?!)"
    patterns = [pattern.replace(DEGREE, f"(?: (?:{degree}))?") for pattern in lists[name]]
    return [*patterns, *lists["degrees"]] if name == "filler" else patterns
