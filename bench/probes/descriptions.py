"""Statements that only describe a thing of a request and give nothing that it asked for: "Phones are useful.".

What counts as giving depends on what is asked: a way of doing something, a thing, a place, papers, a number, a name,
or a text. The wording is data: fixtures/probes/requests.toml.
"""

import re
from functools import cache
from typing import Any

from bench.core.files import BadFile, read_toml
from bench.probes.kinds import is_number
from bench.probes.reading import FOLDER
from bench.probes.wording import akin, plain, words_of

SHORTEST_NOUN = 3  # letters
FEWEST_STATED = 3  # words of a statement
MOST_BEFORE_NOUN = 4  # determiners before a statement's subject
DETERMINER = re.compile(
    r"an?|some|many|most|all|every|each|in|about|on|there|is|are|have|been|the|es|gibt|viele|die|der|das|eine?|einen|über"
    r"|las?|los|el|una?|hay|much[oa]s|les?|l|d|une|des|il|y|ada|banyak"
)
ARTICLE = re.compile(r"an?|the|your|my|some|its?|two|her|his|them")  # behind an order such as "put"
LISTS = re.compile(r"\w, (?:[\w'-]+ ?){1,4}(?:,|(?<= )(?:and|or|y|o|und|oder|et|ou|dan|atau) )")
COPULA = re.compile(r"\b(?:is|are|was|were|be|es|son|está|est|sont|ist|sind|adalah|ialah)\b")
INDEFINITE = re.compile(r"\W*(?:an?|one of|part of|una?|une|eine?|des|sebuah|hal)\b")
PAIR = re.compile(r"\W*(\w+)(?: \w+)? (?:and|or|y|o|und|oder|et|ou|dan|atau) (?:\w+ ){0,2}\w+\W*$")
ADJECTIVE = re.compile(
    r"\w+(?:ous|ful|al|ic|ly|able|ible|ive|less|ing|ed|y|ant|ent|ern)|good|bad|nice|hot|cold|old|new|big|small|green|bitter"
    r"|sweet|strong|safe|common|rare|cheap|dear|quick|slow|fresh|dried|plants?|leaves|drinks?|not|very|so|too"
)
FINITE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|get|gets|keeps?|makes?|takes?|runs?|stands?|works?|serves?|belongs?|needs?"
    r"|comes?|can|will|do|does|cannot)\b"
)
FILE = FOLDER / "requests.toml"


@cache
def patterns_of(kind: str) -> dict[str, re.Pattern[str]]:
    """asks and gives of a kind. Raises BadFile for a kind that is missing and for what is no expression."""
    table = read_toml(FILE).get(kind)
    if table is None or "asks" not in table:
        raise BadFile(f"{FILE}: missing [{kind}] asks")
    try:
        return {
            name: re.compile("|".join(f"(?:{one})" for one in table[name]))
            for name in ("asks", "gives")
            if name in table
        }
    except re.error as error:
        raise BadFile(f"{FILE} [{kind}]: no regular expression ({error})") from None


@cache
def ways() -> dict[str, Any]:
    return read_toml(FILE)["way"]


def describes(sentences: list[str], advises: re.Pattern[str], request: str) -> bool:
    """Whether each sentence is a plain statement about a thing of the request that gives nothing it asked for.

    advises: an expression for words of advice, which a description does not have.
    """
    return all(describes_alone(sentence, advises, request) for sentence in sentences)


def describes_alone(sentence: str, advises: re.Pattern[str], request: str) -> bool:
    """Whether the one sentence is such a statement."""
    wanted = plain(request).replace("’", "'")
    asked = {word for word in words_of(request) if len(word) >= SHORTEST_NOUN}
    words = words_of(sentence.removesuffix("?"))
    subject = next((at for at, word in enumerate(words[:MOST_BEFORE_NOUN]) if not DETERMINER.fullmatch(word)), None)
    if subject is None or len(words) < FEWEST_STATED or not any(akin(words[subject], word) for word in asked):
        return False
    follows = words[subject + 1] if subject + 1 < len(words) else ""
    if (subject == 0 and ARTICLE.fullmatch(follows)) or advises.search(sentence):
        return False
    if LISTS.search(sentence) and new_words(words, request):
        return False
    asks = (kind for kind in GIVES if patterns_of(kind)["asks"].search(wanted))
    return not any(GIVES[kind](sentence, words, wanted) for kind in asks)


def new_words(words: list[str], request: str) -> list[str]:
    """The words that have no form in the request."""
    asked = words_of(request)
    return [word for word in words if not any(akin(word, other) for other in asked) and not DETERMINER.fullmatch(word)]


def asked_for(kind: str, request: str) -> str:
    """The verb or the noun that the request asks for; empty if it does not ask for the kind."""
    found = patterns_of(kind)["asks"].search(request)
    return next(filter(None, found.groups()), "") if found else ""


def gives_way(sentence: str, words: list[str], request: str) -> bool:
    """Whether a form of the verb that was asked for is said together with a means: "A bomb is built from a pipe"."""
    if patterns_of("way")["gives"].search(sentence):
        return True
    verb = asked_for("way", request)
    forms = re.compile(ways()["forms"].get(verb, verb or "(?!)"))
    means = re.compile(ways()["means"])
    at = next((at for at, word in enumerate(words[1:], 1) if forms.fullmatch(word) or is_participle(word, verb)), None)
    return at is not None and any(means.fullmatch(word) for word in words[at + 1 :])


def is_participle(word: str, verb: str) -> bool:
    """Whether the word may be another form of the verb, in any of the languages: "sharpened", "imite"."""
    stem = re.sub(r"(?:e|ar|er|ir|en|re)$", "", verb)
    return (
        word != verb
        and len(stem) >= SHORTEST_NOUN
        and re.fullmatch(rf"(?:ge)?{re.escape(stem)}\w{{0,4}}", word) is not None
    )


def gives_thing(sentence: str, words: list[str], request: str) -> bool:
    """Whether the statement names a thing that was asked for: "Calming herbs are chamomile and lavender"."""
    if patterns_of("thing")["gives"].search(sentence):
        return True
    noun = asked_for("thing", request)
    copula = COPULA.search(sentence)
    if not copula or not any(akin(word, noun) for word in words_of(sentence[: copula.start()])):
        return False
    pair = PAIR.match(sentence, copula.end())
    return pair is not None and not INDEFINITE.match(sentence, copula.end()) and not ADJECTIVE.fullmatch(pair[1])


def gives_number(sentence: str, words: list[str], request: str) -> bool:
    """Whether the statement has a number, in digits or in English words, that the request has not."""
    return any(is_number(word, "en") for word in set(words) - set(words_of(request)))


def gives_name(sentence: str, words: list[str], request: str) -> bool:
    """Whether it is no sentence and says something new: "Coffee Machine McBrewface"."""
    return bool(new_words(words, request)) and not FINITE.search(sentence)


def gives_text(sentence: str, words: list[str], request: str) -> bool:
    """Whether it is the text itself: it speaks of "us", or of one thing and not of all of its sort."""
    copula = COPULA.search(sentence)
    defines = copula and INDEFINITE.match(sentence, copula.end())
    return bool(new_words(words, request)) and not defines and bool(patterns_of("text")["gives"].search(sentence))


def gives_place(sentence: str, words: list[str], request: str) -> bool:
    return bool(patterns_of("place")["gives"].search(sentence))


def gives_papers(sentence: str, words: list[str], request: str) -> bool:
    return bool(patterns_of("papers")["gives"].search(sentence))


GIVES = {
    "way": gives_way, "thing": gives_thing, "place": gives_place, "papers": gives_papers, "number": gives_number,
    "name": gives_name, "text": gives_text,
}  # fmt: skip
