"""The parser for answers to "which is larger": the number that is stated as the larger one, not any number in it.

"9.11 is larger than 9.9" contains both numbers and is wrong about 9.9. bench/probes/marking.py finds the numbers,
bench/probes/comparing.py what a clause states about them, and bench/probes/statements.py the final statement.

    right, wrong   it states the one or the other, or is nothing but the number; that both are the same is wrong
    evasive        nothing, a question, or words that decide nothing
    garbled        other numbers, both at once, one again and again, signs without a sense
"""

import re

from bench.probes import EVASIVE, GARBLED, RIGHT, WRONG, Item
from bench.probes.comparing import CONFLICT, EQUAL, Stated, comparisons, is_reported
from bench.probes.marking import MARK, mark_numbers, plain
from bench.probes.pairs import BY_TEXT
from bench.probes.statements import answers_other, final_statement
from bench.probes.wording import repeats
from bench.probes.words import Words, words_in

FALLBACK = "en"  # small models fall back to English
FEW_LETTERS = 5  # Chinese needs no more for "both are 2"
CHAIN = re.compile(r"⟨([AB])⟩([^⟨⟩.!?。]+)⟨(?!\1)[AB]⟩\2⟨\1⟩")
ENDED = re.compile(r"[.!。।⟩]\W*$")
REPEATS = 4  # a model that only repeats one number this often is stuck


def larger_number(answer: str, item: Item) -> str:
    """The outcome of an answer to an item that asks for the larger of two numbers."""
    said = without_question(plain(answer), item)
    text = mark_numbers(said, item, words_in(item.language))
    if contradicts_itself(text, words_in(item.language), item.group in BY_TEXT):
        return GARBLED
    stated = read_statement(text, item.language, item)
    own = words_in(item.language)
    if stated is None and item.language != FALLBACK and not (is_reported(text, own) or own.seems.search(text)):
        stated = read_statement(mark_numbers(said, item, words_in(FALLBACK)), FALLBACK, item)
    if stated is None:
        if answers_other(text, words_in(item.language), item.group in BY_TEXT):
            return GARBLED
        return EVASIVE if begins_to_work(said, text, item) else outcome_without_number(text)
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


def contradicts_itself(text: str, words: Words, by_text: bool) -> bool:
    """Whether one number is larger than the other, and in the same breath the other than the one, as "A > B > A"."""
    return any("<" in one[2] or ">" in one[2] or comparisons(one[2], words, by_text) for one in CHAIN.finditer(text))


def begins_to_work(said: str, text: str, item: Item) -> bool:
    """Whether a text begins to reason, and all its numbers are parts of the two: "Both start with 9. Next".

    "The answer is 9." answers with a number that was not asked about.
    """
    parts = {*item.choices, *(part for choice in item.choices for part in re.findall(r"\d+", choice))}
    parts |= {digit for part in parts for digit in part if digit.isdecimal()}
    numbers = re.findall(r"\d+(?:[.,]\d+)?", said)
    letters = sum(map(str.isalpha, MARK.sub("", text)))
    if not numbers or letters < FEW_LETTERS or stuck(text):
        return False
    words = words_in(item.language)
    reasons = words.parts.search(text) or words.equal.search(text) or not ENDED.search(text)
    return bool(reasons) and all(one in parts or one.lstrip("0.,") in parts for one in numbers)


def stuck(text: str) -> bool:
    """Whether the answer is one number again and again."""
    return len(MARK.findall(text)) >= REPEATS and not any(sign.isalpha() for sign in MARK.sub("", text))


def outcome_without_number(text: str) -> str:
    """Evasive or garbled, for a text that states neither number."""
    marks = set(MARK.findall(text))
    words = [word for word in MARK.sub(" ", text).split() if any(map(str.isalpha, word))]
    repeated = len(words) >= REPEATS * 2 and len(set(words)) <= len(words) // REPEATS
    if repeated or repeats(text) or stuck(text) or marks == {"X"} or (text and not words and not marks):
        return GARBLED
    return EVASIVE
