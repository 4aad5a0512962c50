"""An answer as words: its first line, its clauses, what it denies, and whether it only repeats itself.

Answers come from small models and are cut after a few tokens: nothing here expects a whole sentence.
"""

import re
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
ELISION = re.compile(r"\b([cdjlmnst]|qu)['’](?=\w)")  # French: n'est is "n est"; English 's and n't stay
MARKUP = re.compile(r"<\|[^<>|]*\|>|</?\w+[^<>]*>|[*`_~#|\\{}]+")
BOUNDARY = re.compile(
    r"[.,;:!?()\n\u2013\u2014]+|\s-\s|\b(?:but|its?|it['’]s|tetapi|tapi|melainkan|sino|pero|sondern|aber|mais)\b"
)
ALL_BUT = re.compile(r"\b(?:any|every)(?:thing|one|where|body) (?:but|except)\b")  # denies what follows
NEGATIONS = {
    "en": "not never neither nor cannot can't don't doesn't isn't aren't wasn't weren't instead than unlike"
    " false untrue incorrect hardly",
    "id": "bukan bukanlah tidak tak jangan",
    "es": "no nunca ni tampoco",
    "de": "nicht kein keine keinen nie niemals weder noch statt",
    "fr": "n ne pas jamais non ni",
}
DENIES_WITHIN = 2  # words after what it denies: "Lyon is not"
WORD_REPEATS, PHRASE_REPEATS = 4, 3  # in a row
LONGEST_PHRASE = 6  # words that are looked for as repeated
STEM, LONGEST_ENDING = 4, 2  # letters; "party" and "parties" share the stem
ECHO_SHARE = 0.8  # of the words of both


def plain(text: str) -> str:
    """Lower case, composed characters, no markup."""
    return MARKUP.sub(" ", unicodedata.normalize("NFC", text).casefold())


def words_of(text: str) -> list[str]:
    return WORD.findall(ELISION.sub(r"\1 ", plain(text)).replace("’", "'"))


def akin(word: str, other: str) -> bool:
    """Whether both are forms of one word, as "party" and "parties"."""
    one, two = word.removesuffix("s"), other.removesuffix("s")
    return one[:STEM] == two[:STEM] and abs(len(word) - len(other)) <= LONGEST_ENDING


def first_line(text: str) -> str:
    """The first line that says something: after its answer a model often asks itself the next question.

    A line that ends in a colon only announces, so the next belongs to it.
    """
    said = ""
    for line in text.splitlines():
        said = f"{said} {line}".strip()
        if words_of(line) and not plain(line).rstrip().endswith(":"):
            break
    return said


def clauses(text: str) -> Iterator[list[str]]:
    """The words between punctuation marks, and between words of contrast such as "but"."""
    for clause in BOUNDARY.split(ALL_BUT.sub("not", plain(text))):
        if words := words_of(clause):
            yield words


def affirmed_names(text: str, names: set[str], language: str) -> set[str]:
    """Which of the names (single words, lower case) the text states and does not deny.

    A negation denies every name after it in its clause; where none follows, the one just before it.
    """
    negations = {*NEGATIONS[language].split(), *NEGATIONS["en"].split()}  # a small model falls back to English
    found: set[str] = set()
    for words in clauses(text):
        places = [place for place, word in enumerate(words) if word in names]
        denied: set[int] = set()
        for place in (place for place, word in enumerate(words) if word in negations):
            after = [other for other in places if other > place]
            last = place == len(words) - 1  # "Die Kuh ist es jedenfalls nicht"
            before = [other for other in places if other < place and (last or place - other <= DENIES_WITHIN)]
            denied.update(after or before[-1:])
        found |= {words[place] for place in places if place not in denied}
    return found


def repeats(text: str) -> bool:
    """Whether a word stands four times in a row, or a phrase of up to LONGEST_PHRASE words three times."""
    words = words_of(text)
    for size in range(1, LONGEST_PHRASE + 1):
        times = WORD_REPEATS if size == 1 else PHRASE_REPEATS
        for start in range(len(words) - size * times + 1):
            phrase = words[start : start + size]
            if words[start : start + size * times] == phrase * times:
                return True
    return False


def echoes(text: str, asked: str) -> bool:
    """Whether the first line repeats the question, except for a few words."""
    said, wanted = words_of(first_line(text)), words_of(asked)
    if not said or not wanted:
        return False
    return SequenceMatcher(None, said, wanted).ratio() >= ECHO_SHARE


def says_nothing(text: str) -> bool:
    """Whether no word is left: empty, marks alone, or characters that could not be decoded."""
    return not words_of(text) or text.count("\ufffd") > len(words_of(text))
