"""Mentions of a name that do not give it as the answer: "near Paris", "Paris or Nice", "Paris is in France".

Whoever searches for the right name finds it here too; a careful reader does not count it.
"""

import re
from collections.abc import Iterable

from bench.probes import Item
from bench.probes.comparing import is_reported
from bench.probes.folding import fold
from bench.probes.topics import FUNCTION, subject_asked
from bench.probes.wording import akin, plain, words_of
from bench.probes.words import words_in

NAME = "⟨A⟩"  # stands for a name, as for a number in bench/probes/marking.py
BESIDE = (
    r"near|close to|next to|far from|not far from|outside|around|about|(?:north|south|east|west) of|like|with|than"
    r"|such as|between|unlike|dekat|sekitar|seperti|dengan|daripada|dari|cerca de|lejos de|como|con|alrededor de"
    r"|bei|nahe|neben|wie|mit|als|ausserhalb von|nördlich von|südlich von|près de|loin de|comme|avec|autour de|environ"
)
MENTIONED = re.compile(
    rf"\b(?P<beside>{BESIDE})(?: (?:the|an?|el|la|une?|le|les|der|die|das|dem|den|eine[nrm]?))? {NAME}"
)
BEGINS = re.compile(
    r"\b(?:begin|start|end|finish|empiez|comienz|termin|beginn|commenc|fini|mulai|dimulai|diawali)\w*\s*$"
)
JOINT = r"(?:and|or|dan|atau|y|e|o|u|und|oder|et|ou)"
ARTICLE = r"(?:(?:the|an?|el|la|los|las|le|les|der|die|das|une?) )?"
EXCLAMATIONS = re.compile(  # "right" agrees, and names no direction
    r"\b(?:you(?:'re| are)|that(?:'s| is)|all|quite|yeah|yes) right\b"
    r"|\bright (?=(?:answer|away|now|question|there|choice|thing)\b)"
    r"|^\W*right(?=[,!.:]+ (?!of course|not|rather|instead|because|since|the opposite)\w+ \w+)"
)
COMPOUND = re.compile(
    r"\b(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)[- ](?:one|two|three|four|five|six|seven|eight|nine)\b"
    r"|\b\w+[- ](?:hundred|thousand|million)\b"
    r"|\b\w+ (?:plus|minus|times|divided by) \w+\b(?!\W*(?:is|equals|makes?|gives?|are)\b)"
    r"|\b\w+ (?:times|minus) \w+(?: \w+)? (?:is|equals|makes?|gives?|are)\b"
)
SYNONYM = re.compile(r"\b(?:synonyms?|similar|sinónimos?|synonym\w*|similaire|sinonim|ähnlich)\b")
SIDES = (r"before|vor|sebelum|antes del?|avant", r"after|nach|setelah|después del?|après")
COPULA = r"(?:is|was|es|est|ist|adalah|ialah|lies|liegt|está|terletak)"
DESCRIBED = re.compile(rf"^\W*{ARTICLE}{NAME} {COPULA} (?P<rest>.+)")
INDEFINITE = re.compile(r"(?:an?|one of|una?|une|eine?|sebuah|salah satu)\b")
ANSWERS = re.compile(
    r"\b(?:answer|correct|right|it|one|respuesta|correct[ao]|réponse|bonne|antwort|richtige?|jawaban\w*)\b"
)
SHORTEST_ABBREVIATION = 3  # letters
CAPITAL = re.compile(r"\b(?:capital\w*|hauptstadt|ibu ?kota)\b")
CITIES = "capital"  # the group of which "Paris is in France" says only where the name is


def without_other_senses(text: str, names: set[str]) -> str:
    """The lower-case text without "you're right", and without numbers that are part of a larger one."""
    return COMPOUND.sub(" ", EXCLAMATIONS.sub(" ", text) if "right" in names else text)


def only_mentions(part: str, name: str, names: set[str], item: Item) -> bool:
    """Whether the clause's part mentions the name and does not say that it is the answer."""
    marked = with_names_marked(part, [name])
    if NAME not in marked:
        return False
    return (
        is_beside(marked, item)
        or is_synonym(marked, item)
        or counts_other(marked, item)
        or is_reported(with_names_marked(part, names), words_in(item.language))
        or joins_question(marked, item)
        or reverses_order(marked, item)
        or only_describes(marked, item)
    )


def with_names_marked(text: str, names: Iterable[str]) -> str:
    """The folded text with NAME for each of the names."""
    found = "|".join(sorted(re.escape(fold(name)) for name in names))
    return re.sub(rf"\b(?:{found})\b", NAME, fold(plain(text)))


def is_beside(marked: str, item: Item) -> bool:
    """Whether the name only says where or what something else is, as "near Paris" and "more than seven"."""
    asked = fold(plain(item.prompt))
    return any(
        not re.search(rf"\b{found['beside']}\b", asked) and not BEGINS.search(marked[: found.start()])
        for found in MENTIONED.finditer(marked)
    )


def is_synonym(marked: str, item: Item) -> bool:
    """Whether the opposite that is asked for is said to mean the same: "glad means the same as happy"."""
    return item.group == "opposite" and bool(words_in(item.language).equal.search(marked) or SYNONYM.search(marked))


def counts_other(marked: str, item: Item) -> bool:
    """Whether the number counts something else than the question: "sixty seconds"."""
    if item.group != "count":
        return False
    asked = words_of(item.prompt)
    behind = re.findall(rf"{NAME}(?: (\w+))?(?: (\w+))?", marked)

    def is_other(counted: tuple[str, ...]) -> bool:
        if not counted[0] or FUNCTION.fullmatch(counted[0]) or re.fullmatch(rf"{JOINT}|{BESIDE}", counted[0]):
            return False
        return not any(akin(word, other) or shortens(word, other) for word in counted if word for other in asked)

    return all(map(is_other, behind))


def shortens(word: str, other: str) -> bool:
    """Whether the word abbreviates the other, as "min" does minutes."""
    return len(word) >= SHORTEST_ABBREVIATION and other.startswith(word)


def joins_question(marked: str, item: Item) -> bool:
    """Whether the name is joined to a word of the question, as in "Day and night alternate"."""
    asked = {*subject_asked(item), *words_of(item.prompt)}
    pairs = (rf"(\w+) {JOINT} {ARTICLE}{NAME}", rf"{NAME} {JOINT} {ARTICLE}(\w+)")
    joined = [found[1] for pair in pairs for found in re.finditer(pair, marked)]
    relates = any(
        akin(word, "opposite") or word in ("contrario", "contraire", "gegenteil", "lawan") for word in words_of(marked)
    )
    return not relates and any(akin(word, other) for word in joined for other in asked)


def reverses_order(marked: str, item: Item) -> bool:
    """Whether it says "July comes after August", where the question is what comes before August.

    "August comes after July" gives the answer.
    """
    asked = [bool(re.search(rf"\b(?:{side})\b", fold(plain(item.prompt)))) for side in SIDES]
    if sum(asked) != 1:
        return False
    words = "|".join(sorted(re.escape(fold(word)) for word in subject_asked(item)))
    for side, wanted in zip(SIDES, asked, strict=True):
        for found in re.finditer(rf"\b(?:{side})\b(?: \w+)? (?P<what>{NAME}|(?:{words})\b)", marked):
            if (found["what"] == NAME) == wanted:
                return True
    return False


def only_describes(marked: str, item: Item) -> bool:
    """Whether it says what sort of thing the name is, or where, in other words than the question's."""
    found = DESCRIBED.search(marked)
    if not found or ANSWERS.search(found["rest"]):
        return False
    asked, said = subject_asked(item), words_of(found["rest"])
    again = [word for word in asked if any(akin(word, other) for other in said)]
    if item.group == CITIES:
        return not CAPITAL.search(found["rest"])
    return bool(INDEFINITE.match(found["rest"])) and len(again) * 2 <= len(asked)
