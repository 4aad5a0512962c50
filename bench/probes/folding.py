"""Normalisation of text to one spelling: case, letters that are written in several ways, and digits of any script.

Both the answers and the patterns that read them are normalised here, so that one pattern finds every spelling.
"""

import re
import unicodedata

LETTERS = str.maketrans(
    {"ß": "ss", "ё": "е", "’": "'", "‘": "'", "´": "'", "′": "'", "＞": ">", "＜": "<", "．": ".", "，": "，"}
    | dict.fromkeys("أإآ", "ا")  # a hamza is often left out
    | {"ى": "ي", "ة": "ه", "ـ": None}
    | dict.fromkeys(map(chr, range(0x064B, 0x0653)))  # Arabic vowel signs
    | {"\u093c": None, "ँ": "ं"}  # the Hindi dot below, and the nasal sign
)
VOWEL_SIGNS = "\u0900-\u0903\u093e-\u094f"  # Hindi vowel signs: part of a word, and no \w
WORD_START, WORD_END = rf"(?<![\w{VOWEL_SIGNS}])", rf"(?![\w{VOWEL_SIGNS}])"


def fold(text: str) -> str:
    """The text in lower case with plain letters and digits."""
    text = unicodedata.normalize("NFC", text).casefold()
    return "".join(plain_digit(sign) for sign in text).translate(LETTERS)


def plain_digit(sign: str) -> str:
    return str(unicodedata.decimal(sign)) if sign.isdecimal() else sign


def folded_pattern(pattern: str) -> str:
    """The pattern with plain letters; its own signs, as backslashes and capitals after them, stay as they are."""
    text = unicodedata.normalize("NFC", pattern).translate(LETTERS)
    return text.replace(r"(?<!\w)", WORD_START).replace(r"(?!\w)", WORD_END)


def any_of(patterns: list[str]) -> re.Pattern[str]:
    """One expression that matches any of them; without any, one that never matches."""
    return re.compile("|".join(f"(?:{folded_pattern(pattern)})" for pattern in patterns) or "(?!)")
