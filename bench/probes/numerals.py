"""Numbers in words, in nine languages, written in digits: "nine point eleven" becomes 9.11.

No library reads all nine (text2num lacks Arabic, Hindi, Indonesian and Chinese), and numbers up to 99 are enough, so
the words are data: fixtures/probes/numbers.toml.
"""

import re
from dataclasses import dataclass
from functools import cache

from bench.core.files import read_toml
from bench.probes.folding import WORD_END, WORD_START, folded_pattern
from bench.probes.reading import FOLDER

FILE = FOLDER / "numbers.toml"
MOST = 99
UNSPACED = ("zh",)  # words follow one another without a space
AND_BEFORE = rf"(?:{WORD_START}|(?<=\bو))"  # Arabic writes "and" as part of the next word


@dataclass(frozen=True)
class Numerals:
    """A language's numbers. number: an expression for any of them, in words or digits; patterns: those by value."""

    number: str
    patterns: dict[int, re.Pattern[str]]
    ordinals: dict[int, re.Pattern[str]]
    months: tuple[re.Pattern[str], ...]
    words: dict[str, str]  # point, minus, tenths, … of the file
    gap: str  # between words
    begins: str
    ends: str

    def value(self, text: str) -> int:
        """The value of a match of `number`."""
        if text.isdecimal():
            return int(text)
        return next(value for value, pattern in self.patterns.items() if pattern.fullmatch(text))


@cache
def numerals_of(language: str) -> Numerals:
    table = read_toml(FILE)[language]
    by_value = {value: folded_pattern(pattern) for value, pattern in sorted(spelt(table).items(), reverse=True)}
    unspaced = language in UNSPACED
    return Numerals(
        number="(?:" + "|".join([*(f"(?:{pattern})" for pattern in by_value.values()), r"\d++"]) + ")",
        patterns={value: re.compile(pattern) for value, pattern in by_value.items()},
        ordinals={day: re.compile(folded_pattern(one)) for day, one in enumerate(table["ordinals"], 1)},
        months=tuple(re.compile(folded_pattern(month)) for month in table["months"]),
        words={name: folded_pattern(text) for name, text in table.items() if isinstance(text, str)},
        gap="" if unspaced else r"[\s-]+",
        begins=r"(?<!\d)" if unspaced else AND_BEFORE,
        ends="" if unspaced else WORD_END,
    )


def spelt(table: dict) -> dict[int, str]:
    """Value -> pattern, from 0 to MOST: units, tens, and units joined to the largest ten below."""
    found = dict(enumerate(table["units"]))
    tens = {int(value): pattern for value, pattern in table["tens"].items()}
    for value in range(MOST + 1):
        if value in found:
            continue
        ten = max((one for one in tens if one <= value), default=0)
        if ten and value > ten:
            unit = f"(?:{found[value - ten]})"
            found[value] = table["joined"].format(ten=f"(?:{tens[ten]})", unit=unit)
        elif ten:
            found[value] = tens[ten]
    return found


def with_digits(text: str, language: str) -> str:
    """The text with every number of a whole and a fraction in digits, with a point between them."""
    numerals = numerals_of(language)
    for pattern in fraction_patterns(language):
        text = pattern.sub(lambda match: in_digits(match, numerals), text)
    return text


@cache
def fraction_patterns(language: str) -> tuple[re.Pattern[str], ...]:
    """First "nine and nine tenths", whose parts are no digits; then "nine point nine" and "nine point one one"."""
    numerals = numerals_of(language)
    words, number, ends = numerals.words, numerals.number, numerals.ends
    found = []
    if words["tenths"]:
        between = rf"(?:\s+(?:{words['wholes']}))?\s+(?:(?:{words['joint']})\s*)?"
        parts = rf"(?:(?P<tenths>{words['tenths']})|(?P<hundredths>{words['hundredths']}))"
        found.append(rf"{numerals.begins}(?P<whole>{number}){between}(?P<part>{number})\s+{parts}{ends}")
    rest = rf"{number}{ends}(?:{numerals.gap}{number}{ends})*"
    point = rf"\s*{numerals.begins}(?:{words['point']})\s*"
    found.append(rf"{numerals.begins}(?P<whole>{number}){ends}{point}(?P<rest>{rest})")
    return tuple(re.compile(pattern) for pattern in found)


def in_digits(match: re.Match[str], numerals: Numerals) -> str:
    whole, groups = numerals.value(match["whole"]), match.groupdict()
    if groups.get("part"):
        digits = str(numerals.value(match["part"]))
        return f"{whole}.{digits if groups['tenths'] else digits.zfill(2)}"
    parts = re.findall(numerals.number, match["rest"])
    return f"{whole}.{''.join(part if part.isdecimal() else str(numerals.value(part)) for part in parts)}"


def with_signs(text: str, language: str) -> str:
    """The text with a minus sign for every word or dash that stands before a number."""
    word = numerals_of(language).words["minus"]
    start = numerals_of(language).begins
    text = re.sub(rf"{start}(?:{word})\s*(?=\d)", "-", text)
    return re.sub(r"(?<![\w.,])[‐‑‒–—―−﹣－-]\s?(?=\d)", "-", text)
