"""Marks for the numbers of an answer: ⟨A⟩ and ⟨B⟩ stand for the two choices, ⟨X⟩ for any other number.

A number may be written in many ways: with a point, a comma or an apostrophe, with separated thousands, in another
script's digits, in words. All its possible values are compared with the choices, which thus decide what a comma means.
"""

import html
import re
from collections.abc import Sequence
from decimal import Decimal

from bench.models.prompts import HEADING
from bench.probes import Item
from bench.probes.dates import with_dates
from bench.probes.folding import fold
from bench.probes.numerals import with_digits, with_signs
from bench.probes.pairs import BY_TEXT
from bench.probes.words import Words

NAMES = ("A", "B")
MARK = re.compile(r"⟨([ABX])⟩")
DECIMAL_SIGNS = ".,٫'·‧•"
SEPARATORS = DECIMAL_SIGNS + "٬/"
SPACES = " \u00a0\u202f\u2009"  # between thousands
NUMBER = rf"(?<!\d)(?<!\d[.,])[-−]?\d+(?:[{SEPARATORS}]\d+|[{SPACES}]\d{{3}}(?!\d))*"
GROUPED = re.compile(rf"\d{{1,3}}(?:[{SPACES},.'٬]\d{{2,3}})*[{SPACES},.'٬]\d{{3}}")  # 1,234 and, in India, 12,34,567
YEAR = 1000  # the smallest number that is a year after a day and a month

RUN_ON = re.compile(rf"\n\s*#|{HEADING}|<\|")  # a model that writes the next question itself
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
MARKUP = re.compile(r"\\(?:boxed|text|mathbf|textbf|mathrm|left|right)|\*+|_{2,}|`+|[{}\[\]|$#\"“”«»„「」『』⟨⟩⟪⟫\\]")
NUMBERED = re.compile(
    r"^\s*\d{1,2}[.)]\s+(?=\D)|\b(?:option|choice|step) \d\s*[:.)]", re.MULTILINE
)  # a list's own numbers
SIGNS = (
    (re.compile(r"[→⇒⟹]|[-=]+>|\\(?:implies|Rightarrow|rightarrow|to)(?![A-Za-z])"), " , "),
    (re.compile(r"[≥⩾≧≫]|>=|\\(?:gt|geq?|geqslant|geqq)(?![A-Za-z])"), " > "),
    (re.compile(r"[≤⩽≦≪]|<=|\\(?:lt|leq?|leqslant|leqq)(?![A-Za-z])"), " < "),
    (re.compile(r"\{([,.])\}"), r"\1"),  # a comma without a space behind it, in LaTeX
    (re.compile(r"\\[,;:! ]"), " "),
)


def plain(answer: str) -> str:
    """The answer up to a question that the model adds itself: without markup, signs and letters in one spelling."""
    text = RUN_ON.split(f"\n{answer.strip()}\n", maxsplit=1)[0] if not answer.lstrip().startswith("#") else answer
    text = TAG.sub(" ", html.unescape(text))
    for pattern, sign in SIGNS:
        text = pattern.sub(sign, text)
    return fold(MARKUP.sub(" ", text)).replace("vs.", "vs").strip()


def mark_numbers(text: str, item: Item, words: Words) -> str:
    """The plain text with a mark for every number, and for what names one by its place."""
    if item.group == "date":
        text = with_dates(with_digits(text, item.language), item.language, item.choices)
    else:
        text = NUMBERED.sub(" ", with_digits(text, item.language))
    if any(choice.startswith("-") for choice in item.choices):
        text = with_signs(text, item.language)
    text = with_last_number(text, item)
    number = NUMBER + (r"(?:\.(?=\s+\w))?" if item.group == "date" else "")  # German writes "der 9.11. kommt"
    text = re.sub(number, lambda match: mark_of(match[0].rstrip("."), item), text)
    for place, name in zip((words.first, words.second), NAMES, strict=True):
        text = place.sub(f" ⟨{name}⟩ ", text)
    return text


def with_last_number(text: str, item: Item) -> str:
    """The text with the rest of a number that is cut: "9.11 is larger than 9" speaks of 9.9, if that is a choice."""
    last = re.search(rf"({NUMBER})$", text)
    if not last:
        return text
    line = text[: last.start()].rpartition("\n")[2]
    others = [one for one in item.choices if one not in line]
    begun = [one for one in others if one != last[1] and one.startswith(last[1])]
    cut = len(others) == 1 and begun and name_of(last[1], item) == "X"
    return text[: last.start()] + begun[0] if cut else text


def mark_of(number: str, item: Item) -> str:
    """The number's mark; those of its parts where it is several numbers without a space between them."""
    name = name_of(number, item)
    parts = re.split(rf"[{SPACES},/]", number)
    if name == "X" and len(parts) > 1 and any(name_of(part, item) != "X" for part in parts):
        return " , ".join(f"⟨{name_of(part, item)}⟩" for part in parts)
    return f"⟨{name}⟩"


def name_of(number: str, item: Item) -> str:
    by_text = item.group in BY_TEXT
    for name, choice in zip(NAMES, item.choices, strict=True):
        if parts_of(number) == parts_of(choice) if by_text else values_of(number) & values_of(choice):
            return name
    return "X"


def parts_of(number: str) -> Sequence[int]:
    """The parts of a version or a date, without a year or zeros at the end."""
    parts = [int(part) for part in re.findall(r"\d+", number)]
    if len(parts) == 3 and (parts[2] == 0 or parts[2] >= YEAR):
        parts.pop()
    return parts


def values_of(number: str) -> set[Decimal]:
    """Every value that the number can be read as: 1.234 is a little more than one, or more than a thousand."""
    sign, digits = ("-", number[1:]) if number[0] in "-−" else ("", number)
    found = set()
    if digits.isdecimal() or GROUPED.fullmatch(digits):
        found.add(sign + re.sub(r"\D", "", digits))
    whole, separator, fraction = digits[: (at := last_separator(digits))], digits[at : at + 1], digits[at + 1 :]
    if (
        separator in DECIMAL_SIGNS
        and whole
        and (whole.isdecimal() or (separator not in whole and GROUPED.fullmatch(whole)))
    ):
        found.add(f"{sign}{re.sub(r'[^0-9]', '', whole)}.{fraction}")
    return {Decimal(one) for one in found}


def last_separator(digits: str) -> int:
    return max(digits.rfind(sign) for sign in SEPARATORS + SPACES)
