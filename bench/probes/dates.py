"""Dates in words, in nine languages, written in digits as the question writes them: "9. November" becomes 9.11."""

import re
from functools import cache

from bench.probes.numerals import Numerals, numerals_of

MONTH_FIRST = ("en", "zh")  # month.day, as fixtures/probes/decimals.toml asks; the others day.month


def with_dates(text: str, language: str, choices: tuple[str, ...]) -> str:
    """The text with every date in digits; a month or a day by itself becomes the choice that alone has it."""
    numerals = numerals_of(language)

    def spell_date(match: re.Match[str]) -> str:
        month = month_of(match["month"], numerals)
        day = day_of(match["day"], numerals)
        return f" {month}.{day} " if language in MONTH_FIRST else f" {day}.{month} "

    for pattern in date_patterns(language):
        text = pattern.sub(spell_date, text)
    return with_parts(text, language, choices)


@cache
def date_patterns(language: str) -> tuple[re.Pattern[str], ...]:
    numerals = numerals_of(language)
    month = f"(?P<month>{'|'.join(one.pattern for one in numerals.months)})"
    suffix = f"(?:{numerals.words['suffix']})?" if numerals.words["suffix"] else ""
    spelt = [*(one.pattern for one in numerals.ordinals.values()), numerals.number]
    day = rf"(?P<day>{'|'.join(f'(?:{one})' for one in spelt)})"
    of = rf"(?:\s*(?:{numerals.words['of']})\s+|\s*)" if numerals.words["of"] else r"\s*"
    year = r"(?:,?\s+(?:de\s+|del\s+)?(?:19|20)\d\d\b)?"
    if language == "zh":
        return (re.compile(rf"{month}{day}[日号]?"),)
    last = rf"(?:{numerals.ends}\.?)"
    day_first = rf"{numerals.begins}{day}{suffix}{of}{month}{last}{year}"
    month_first = rf"{numerals.begins}{month}\.?\s+(?:the\s+)?{day}{suffix}{numerals.ends}{year}"
    return tuple(re.compile(one) for one in ((month_first, day_first) if language == "en" else (day_first,)))


def month_of(text: str, numerals: Numerals) -> int:
    return next(number for number, one in enumerate(numerals.months, 1) if one.fullmatch(text))


def day_of(text: str, numerals: Numerals) -> int:
    for day, pattern in numerals.ordinals.items():
        if pattern.fullmatch(text):
            return day
    return numerals.value(text)


def with_parts(text: str, language: str, choices: tuple[str, ...]) -> str:
    """The text with a choice for each month, or each day, that only this choice has and that stands alone."""
    numerals = numerals_of(language)
    parts = [re.split(r"\D", choice) for choice in choices]
    month_at = 0 if language in MONTH_FIRST else 1
    months, days = ([part[at] for part in parts] for at in (month_at, 1 - month_at))
    for choice, month, day in zip(choices, months, days, strict=True):
        if len(set(months)) > 1:
            name = numerals.months[int(month) - 1].pattern
            text = re.sub(rf"{numerals.begins}(?:{name}){numerals.ends}", f" {choice} ", text)
        elif language == "en":
            text = re.sub(
                rf"\b(?:{day}(?:st|nd|rd|th)|the {numerals.ordinals[int(day)].pattern})\b", f" {choice} ", text
            )
        elif language == "zh":
            text = re.sub(rf"(?<![\d.]){day}[日号]", f" {choice} ", text)
    return text
