"""Reading an answer to "which is larger": the number that is stated as the larger one, not any number in it.

"9.11 is larger than 9.9" holds both numbers and is wrong about 9.9. An answer is cut into clauses; a clause
with a comparing word states one of the two numbers, and statements that contradict each other are no answer.

    right, wrong   it states the one or the other, or is nothing but the number
    evasive        nothing, a question, or words that decide nothing
    garbled        other numbers, both at once, one again and again, signs without a sense
"""

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from bench.models.prompts import HEADING
from bench.probes import EVASIVE, GARBLED, RIGHT, WRONG, Item
from bench.probes.pairs import BY_TEXT
from bench.probes.words import WORDS, Words

LANGUAGES = tuple(WORDS)
REPEATS = 4  # the same number so often, and nothing else, is a model that has got stuck
FEW_LETTERS = 24  # around a number that is an answer by itself: "The answer is 9.9."

NUMBER = r"(?<!\d)(?<!\d[.,])[-−]?\d+(?:[.,٫/]\d+)*"
MARKS = {"A": 0, "B": 1}
MARK = re.compile(r"⟨([ABX])⟩")
ENDS = re.compile(r"(?<=[.!?。！？؟।])\s*|\n+")
CLAUSES = re.compile(r"[;；]|,\s|،|，")
QUESTION = ("?", "？", "؟")
RUN_ON = re.compile(rf"\n\s*#|{HEADING}|<\|")  # a model that writes the next question itself
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
MARKUP = re.compile(r"\\(?:boxed|text|mathbf|textbf)|\*+|_{2,}|`+|[{}\[\]|$#\"“”«»「」『』⟨⟩⟪⟫\\]")


def larger_number(answer: str, item: Item) -> str:
    """The outcome of an answer to an item that asks for the larger of two numbers."""
    text = marked(plain(answer), item)
    stated = found_statements(text, WORDS[item.language])
    if not stated:
        return undecided(text)
    if len(set(stated)) > 1 or stuck(text):
        return GARBLED
    return RIGHT if item.choices[stated[0]] == item.answer else WRONG


def plain(answer: str) -> str:
    """The answer up to a question of its own making: markup gone, digits and signs of any script made plain."""
    text = RUN_ON.split(f"\n{answer.strip()}\n", maxsplit=1)[0] if not answer.lstrip().startswith("#") else answer
    text = MARKUP.sub(" ", TAG.sub(" ", text))
    digits = (str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text.replace("．", "."))
    return unicodedata.normalize("NFC", "".join(digits)).casefold().strip()


def value_of(number: str, by_text: bool) -> object:
    """What makes two spellings the same number: a decimal's value, or a version's and a date's parts."""
    number = re.sub(r"[,٫/]", ".", number.strip().replace("−", "-"))
    if by_text:
        return number
    try:
        return Decimal(number)
    except InvalidOperation:  # 1.2.3
        return number


def marked(text: str, item: Item) -> str:
    """The text with ⟨A⟩ and ⟨B⟩ for the choices, ⟨X⟩ for any other number."""
    by_text = item.group in BY_TEXT
    names = {value_of(choice, by_text): name for choice, name in zip(item.choices, MARKS, strict=True)}
    words = WORDS[item.language]
    number = NUMBER + (r"(?:\.(?=\s+\w))?" if item.group == "date" else "")  # German writes "der 9.11. kommt"
    text = re.sub(number, lambda match: f"⟨{names.get(value_of(match[0].rstrip('.'), by_text), 'X')}⟩", text)
    text = re.sub(words.first, "⟨A⟩", text)
    return re.sub(words.second, "⟨B⟩", text)


def found_statements(text: str, words: Words) -> list[int]:
    """Indices of the choices that clauses state as the larger, in order; a bare number where none compares."""
    sentences = [one for one in ENDS.split(text) if one and not one.rstrip().endswith(QUESTION)]
    stated = [choice for sentence in sentences for choice in clause_statements(sentence, words)]
    if stated:
        return stated
    for sentence in sentences:
        if (choice := bare_number(sentence, words)) is not None:
            return [choice]
    return []


def clause_statements(sentence: str, words: Words) -> Iterator[int]:
    """What the sentence's clauses state; the whole sentence is tried where none of them does."""
    sentence = re.sub(r"(⟨.⟩)\s*>\s*(⟨.⟩)", r"\1 ⟪gt⟫ \2", sentence)
    sentence = re.sub(r"(⟨.⟩)\s*<\s*(⟨.⟩)", r"\1 ⟪lt⟫ \2", sentence)
    stated = [choice for clause in CLAUSES.split(sentence) if (choice := statement(clause, words)) is not None]
    if not stated and (choice := statement(sentence, words)) is not None:
        stated = [choice]
    yield from stated


def statement(clause: str, words: Words) -> int | None:
    """The choice that the clause states as the larger, if it compares and says of which number."""
    greater = list(re.finditer(f"{words.greater}|⟪gt⟫", clause))
    smaller = list(re.finditer(f"{words.smaller}|⟪lt⟫", clause))
    if bool(greater) == bool(smaller):  # neither; or both, which no rule here untangles
        return None
    subject = subject_of(clause, words, (greater or smaller)[0].start())
    if subject is None:
        return None
    turned = bool(smaller) != denied(clause, words)
    return 1 - subject if turned else subject


def subject_of(clause: str, words: Words, compared_at: int) -> int | None:
    """The choice that is said to be something: not the one that it is compared with, nor one merely mentioned."""
    joined = rf"⟨[AB]⟩[^⟨⟩\w]*(?:{words.both}|,)[^⟨⟩\w]*⟨[AB]⟩"
    if len(MARK.findall(clause)) > 2:
        clause = re.sub(joined, lambda match: " " * len(match[0]), clause)
    open_marks = []
    for match in MARK.finditer(clause):
        before, behind = clause[: match.start()].rstrip(), clause[match.end() :].lstrip()
        than = words.than and re.search(f"(?:{words.than}|⟪[gl]t⟫)$", before)
        than_after = words.than_after and re.match(rf"(?:{words.than_after})(?!\w)", behind)
        if match[1] in MARKS and not than and not than_after and not re.search(f"(?:{words.no})$", before):
            open_marks.append((match.start(), MARKS[match[1]]))
    kinds = {choice for _, choice in open_marks}
    if len(kinds) == 1:
        return kinds.pop()
    ahead = [choice for at, choice in open_marks if at < compared_at]
    return ahead[0] if len(set(ahead)) == 1 else None


def denied(clause: str, words: Words) -> bool:
    """Whether the comparing itself is denied; "9.9, not 9.11" only leaves a number out."""
    return any(not clause[match.end() :].lstrip().startswith("⟨") for match in re.finditer(words.no, clause))


def bare_number(sentence: str, words: Words) -> int | None:
    """The only choice in a sentence that says little else."""
    kept = re.sub(rf"(?:{words.no})\s*⟨[AB]⟩", "", sentence)
    found = MARK.findall(kept)
    letters = sum(sign.isalpha() for sign in MARK.sub("", kept))
    if len(set(found)) != 1 or found[0] not in MARKS or letters > FEW_LETTERS or re.search(words.no, kept):
        return None
    return MARKS[found[0]]


def stuck(text: str) -> bool:
    """Whether the answer is one number again and again."""
    return len(MARK.findall(text)) >= REPEATS and not any(sign.isalpha() for sign in MARK.sub("", text))


def undecided(text: str) -> str:
    """Evasive or garbled, for a text that states neither number."""
    marks = set(MARK.findall(text))
    words = [word for word in MARK.sub(" ", text).split() if any(map(str.isalpha, word))]
    repeated = len(words) >= REPEATS * 2 and len(set(words)) <= len(words) // REPEATS
    if repeated or stuck(text) or marks == {"X"} or (text and not words and not marks):
        return GARBLED
    return EVASIVE
