"""The parser for answers to "which is larger": the number that is stated as the larger one, not any number in it.

"9.11 is larger than 9.9" contains both numbers and is wrong about 9.9. bench/probes/marking.py finds the numbers,
bench/probes/comparing.py what a clause states about them, and bench/probes/statements.py the final statement.

    right, wrong   it states the one or the other, or is nothing but the number; that both are the same is wrong
    evasive        nothing, a question, or words that decide nothing
    garbled        other numbers, both at once, one again and again, signs without a sense
"""

import re

from bench.probes import EVASIVE, GARBLED, RIGHT, WRONG, Item
from bench.probes.comparing import CONFLICT, EQUAL, Stated
from bench.probes.marking import MARK, mark_numbers, plain
from bench.probes.pairs import BY_TEXT
from bench.probes.statements import answers_other, final_statement
from bench.probes.words import words_in

FALLBACK = "en"  # small models fall back to English
REPEATS = 4  # a model that only repeats one number this often is stuck


def larger_number(answer: str, item: Item) -> str:
    """The outcome of an answer to an item that asks for the larger of two numbers."""
    said = without_question(plain(answer), item)
    text = mark_numbers(said, item, words_in(item.language))
    stated = read_statement(text, item.language, item)
    if stated is None and item.language != FALLBACK:
        stated = read_statement(mark_numbers(said, item, words_in(FALLBACK)), FALLBACK, item)
    if stated is None:
        return (
            outcome_without_number(text)
            if not answers_other(text, words_in(item.language), item.group in BY_TEXT)
            else GARBLED
        )
    if stated == CONFLICT or stuck(text):
        return GARBLED
    return RIGHT if stated != EQUAL and item.choices[int(stated)] == item.answer else WRONG


def without_question(said: str, item: Item) -> str:
    """The text without lines that only repeat the question."""
    asked = letters_of(plain(item.prompt))
    lines = said.splitlines()
    kept = [line for line in lines if not (letters_of(line) in asked and len(re.findall(r"\d+", line)) > 3)]
    return "\n".join(kept)


def letters_of(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def read_statement(text: str, language: str, item: Item) -> Stated | None:
    return final_statement(text, words_in(language), item.group in BY_TEXT)


def stuck(text: str) -> bool:
    """Whether the answer is one number again and again."""
    return len(MARK.findall(text)) >= REPEATS and not any(sign.isalpha() for sign in MARK.sub("", text))


def outcome_without_number(text: str) -> str:
    """Evasive or garbled, for a text that states neither number."""
    marks = set(MARK.findall(text))
    words = [word for word in MARK.sub(" ", text).split() if any(map(str.isalpha, word))]
    repeated = len(words) >= REPEATS * 2 and len(set(words)) <= len(words) // REPEATS
    if repeated or stuck(text) or marks == {"X"} or (text and not words and not marks):
        return GARBLED
    return EVASIVE
