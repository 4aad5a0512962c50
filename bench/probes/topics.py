"""Statements that only speak of a question's topic and do not answer it: "France is a country".

A statement answers, rightly or not, if it contains a word of the kind that was asked for, or if it repeats what was
asked and says something new about it.
"""

import re
from collections.abc import Sequence

from bench.probes import Item
from bench.probes.kinds import contains_answer
from bench.probes.wording import akin, plain, words_of

QUESTION_WORD = re.compile(
    r"what|wh(?:ich|ere|en)|the|name|many|you|does|comes?|right|after|before|word|means|city|days?|get|turn|into|says?|qué|cuál|cuántos"
    r"|quel(?:le)?|combien|welche[rs]?|viele|hei(?:ß|ss)t|berapa|yang"
)
FUNCTION = re.compile(
    r"(?:the|an?|of|is|are|was|has|have|it|its|in|to|on|for|by|called|s|la|le|les|el|los|las|une?|l|de|del|des|du|es"
    r"|est|a|en|con|tiene|der|die|das|eine?|von|ist|hat|auf|dem|den|adalah|yang|di|itu|ada|punya|at|with|known|as|that|which|who|this|they|you|and|or|und|et|y|dan|que|qui)"
)
COPULA = re.compile(r"\b(?:is|are|was|es|son|est|sont|ist|sind|adalah|ialah|means|called|heisst)\b")
INDEFINITE = re.compile(r"\s+(?:(?:usually|also|often|just|only|simply) )?(?:an?|une?|una|eine?[nr]?|sebuah|one of)\b")
MANY = re.compile(r"are|son|sont|sind|adalah|ialah")  # a plural has no article, and Indonesian has none
LISTED_GROUPS = {"count", "colour", "day", "month", "season"}
ON_SUBJECT = 2  # words of the question: fewer are only about its topic
MOST_NAMED = 2  # new words that may name another thing
SHORT_WORD = 3
FEW_WORDS = 3  # an answer without a sentence


def speaks_around(said: str, item: Item) -> bool:
    """Whether a statement that names no choice only speaks of the question's subject: "France is a country".

    "The capital of France is Nice" names another thing: a word of the kind that was asked for, or what follows the
    copula without an article.
    """
    if contains_answer(said, item):
        return False
    subject = subject_asked(item)
    words = first_words(said)
    again = [any(akin(word, other) for other in subject) for word in words if not FUNCTION.fullmatch(word)]
    new = again.count(False)
    if len(words) < FEW_WORDS or (again and not again[0]):
        return False
    copula = COPULA.search(plain(said))
    on_subject = identifies(words, item, copula is not None)
    if new and on_subject and not describes_kind(said, item):
        return False
    if not copula:
        return new != 1
    listed = item.group in LISTED_GROUPS or (item.group == "capital" and not on_subject)  # and it is not in the text
    if INDEFINITE.match(plain(said), copula.end()):
        return new > 1 or listed or not new
    most = 1 if item.group == "capital" else MOST_NAMED
    return not new or (new > most and item.group != "opposite")


def first_words(said: str) -> list[str]:
    """The words of the first part between commas, without an exclamation before it."""
    parts = [words_of(part) for part in re.split(r"[,.;]", said)]
    return parts[1] if len(parts) > 1 and len(parts[0]) == 1 and parts[1] else parts[0]


def identifies(words: Sequence[str], item: Item, copula: bool) -> bool:
    """Whether the statement is about what was asked for and not only its topic: "The opposite of hot is …".

    Of a number, a colour and the like the words are listed, so one without them says nothing of the kind.
    """
    if item.group in LISTED_GROUPS or (item.group == "animal" and not copula):
        return False
    subject = subject_asked(item)
    return sum(any(akin(word, other) for word in words) for other in subject) >= ON_SUBJECT


def describes_kind(said: str, item: Item) -> bool:
    """Whether it only says what sort of thing that is: "Its capital is a big city", "The Earth orbits a big star"."""
    text = plain(said)
    if item.group == "opposite":
        return False
    copula = COPULA.search(text)
    if copula:
        return bool(INDEFINITE.match(text, copula.end()) or MANY.search(copula[0]))
    asked = next((word for word in words_of(item.prompt) if word in subject_asked(item)), "")
    return any(akin(word, asked) for found in INDEFINITE.finditer(text) for word in words_of(text[found.end() :])[:3])


def subject_asked(item: Item) -> set[str]:
    """The words of the question that say what it is about: of "What is the opposite of hot?", opposite and hot."""
    return {word for word in words_of(item.prompt) if len(word) >= SHORT_WORD and not QUESTION_WORD.fullmatch(word)}
