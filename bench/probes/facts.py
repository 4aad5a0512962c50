"""Facts: short questions that a small model can answer, asked to see what tuning forgets.

An answer is right if it states the right choice and no other; a denied name is not stated ("not Lyon but Paris").
Digits, plurals and adjective forms count as the word that they stand for (fixtures/probes/spellings.toml).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.probes import EVASIVE, GARBLED, PROBES, RIGHT, WRONG, Family, Item
from bench.probes.comparing import is_reported
from bench.probes.mentions import only_mentions, with_names_marked, without_other_senses
from bench.probes.reading import FOLDER, read_items, thin_out
from bench.probes.spelling import corrected, spellings
from bench.probes.statements import clauses, takes_back
from bench.probes.topics import FUNCTION, speaks_around, subject_asked
from bench.probes.wording import ALL_BUT, affirmed_names, first_line, plain, repeats, says_nothing, words_of
from bench.probes.words import words_in

NOT_KNOWN = re.compile(
    r"\b(?:(?:don['’]?t|do not|cannot|can['’]t|didn['’]?t) (?:really |actually |quite )?"
    r"(?:know|say|tell|answer|recall|remember)"
    r"|not (?:\w+ )?(?:sure|certain)|unsure|uncertain|no idea|depends"
    r"|(?:have|has) no (?:\w+ )?(?:information|data|knowledge|answer|details)"
    r"|(?:don['’]?t|do not) have (?:\w+ )*(?:information|data|knowledge|answer|access|details)"
    r"|(?:can['’]?t|cannot) (?:\w+ )?(?:help|assist|respond)"
    r"|tidak (?:punya|memiliki|ada|mempunyai) (?:\w+ )?(?:informasi|data|jawaban|pengetahuan)"
    r"|tidak (?:bisa|dapat) (?:membantu|menjawab)|tidak (?:mengerti|paham)"
    r"|no tengo (?:\w+ ){0,2}(?:información|datos|respuesta|constancia|conocimiento)"
    r"|no puedo (?:responder|contestar|ayudar\w*)|no (?:lo |la )?entiendo"
    r"|keine? (?:\w+ )?(?:informationen|information|angaben|daten|antwort|auskunft)|verstehe (?:\w+ )*nicht"
    r"|(?:pas|aucune?) (?:\w+ )?(?:d['’])?(?:informations?|réponses?|données?)|ne comprends pas"
    r"|(?:have|need) to (?:look|check)|look (?:that|it|this) up|let me (?:think|see|check)|lass mich|voyons|a ver"
    r"|(?:tidak|kurang|belum) (?:\w+ )?(?:tahu|yakin|pasti|ingat)|tergantung"
    r"|no (?:lo |la |me )?(?:sé|acuerdo|recuerdo)|no (?:estoy|puedo) (?:segur\w+|decir)|depende|ni idea"
    r"|weiss (?:ich )?(?:\w+ )?nicht|keine ahnung|nicht (?:ganz )?sicher|kann ich (?:\w+ )?nicht|kommt (?:\w+ )?an"
    r"|(?:sais|suis|peux) (?:vraiment )?(?:pas|plus)|pas (?:sûre?|certaine?)|aucune idée|dépend)\b"
)
UNCERTAIN = re.compile(
    r"\W*(?:(?:it|that|this) )?(?:could|might|may|can) (?:also |well |just )?be\b"
    r"|\W*(?:bisa|podría|kann|könnte|pourrait)\b|\W*(?:peut-être|tal vez|vielleicht|possibly)\b"
)
SPELLED = re.compile(r"\b[^\W\d_](?:([-. ·]|, )[^\W\d_])(?:\1[^\W\d_])+\b")  # S-M-A-L-L
TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
AFFIRMS = re.compile(r"\b(?:right|correct|true|indeed|fine|yes)\b")
ASKS = re.compile(r"[^.!?]*\?")
BRACKETS = re.compile(r"\s*[()]\s*")
SENTENCES = re.compile(r"(?<=[.!?])\s+|[;:]\s")
ALTERNATIVES = {"or", "atau", "o", "u", "oder", "ou", "perhaps", "maybe", "mungkin", "quizás", "vielleicht"}
JOINTS = {"and", "dan", "y", "e", "und", "et"}
JOINED = re.compile(rf"\b(?:{'|'.join(sorted(JOINTS))})\b")
FORMER = re.compile(
    r"\bwas\b[^,;.]*\bbefore\b\W*$"
    r"|\b(?:former(?:ly)?|used to|once was|was once|previously|in the past|früher(?:e|er)?|ehemals|einst|antes era"
    r"|antigua|ancienne|autrefois|jadis|dulu|dahulu|bekas)\b"
)
SIDES = (
    re.compile(
        r"\b(?:before|precedes?|preceding|previous|davor|vor|vorher|sebelum(?:nya)?|antes|anterior|avant|précède)\b"
    ),
    re.compile(r"\b(?:after|follows?|followed|following|danach|nach|folgt|setelah(?:nya)?|después|sigue|après|suit)\b"),
)
EXCLAIMS = re.compile(r"\W*(?:quel(?:le)?|what an?|how|qué|welch|was für|alangkah|betapa)\b[^.?]*!\s*$")
LONG_WORD = 4  # letters: shorter words are in every sentence
ARTICLES = words_of("the a an el la los las un una le les une der die das den dem ein eine")
FEW_WORDS = 3  # an answer without a sentence; what follows only adds to it

ASKED = 2  # every second question of a language: all families, before and after, are to take 90 s on two cores


def parse(answer: str, item: Item) -> str:
    """RIGHT if the right choice alone is stated; EVASIVE if several are, or the question is left open."""
    said = SPELLED.sub(lambda match: "".join(match[0].split(match[1])), first_line(answer))
    if says_nothing(said) or repeats(said):
        return GARBLED
    words = {plain(choice).strip(): plain(choice).strip() for choice in item.choices}
    words |= {other: word for other, word in spellings().get(item.language, {}).items() if word in words}
    said = corrected(said, set(words), item)
    words |= {name.translate(TWO_LETTERS): word for name, word in words.items() if item.language == "de"}
    if contradicts(said, item, set(words)) or says_otherwise(said, words):
        return GARBLED
    stated = {words[name] for name in final_names(said, item, set(words))}
    right = plain(item.answer).strip()
    if right in stated:
        return RIGHT if len(stated) == 1 else EVASIVE
    if stated:
        return WRONG
    return EVASIVE if leaves_open(said, set(words), item) else WRONG


def contradicts(said: str, item: Item, names: set[str]) -> bool:
    """Whether one sentence states a name and a later one, no less on the question, denies it without a turn."""
    asked, words = words_asked(item), words_in(item.language)
    stated: dict[str, int] = {}
    for text in SENTENCES.split(plain(said)):
        if words.seems.search(text) or words.contrasts.search(text) or words.corrects.search(text):
            stated = {}
            continue
        if text.endswith("?") or NOT_KNOWN.search(text) or speaks_of_another(text, item.prompt):
            continue
        on_topic = len(asked & set(words_of(text)))
        affirms = affirmed_names(text, names, item.language)
        if any(stated.get(name, on_topic + 1) <= on_topic for name in (names & set(words_of(text))) - affirms):
            return True
        stated |= dict.fromkeys(affirms, on_topic)
    return False


def says_otherwise(said: str, words: dict[str, str]) -> bool:
    """Whether two sentences say the same of different choices: "Blood is blue. Blood is red."."""
    stated: dict[tuple[str, ...], str] = {}
    for text in SENTENCES.split(plain(said)):
        own = [word for word in words_of(text) if word not in ARTICLES]
        named = {words[word] for word in own if word in words}
        frame = tuple("" if word in words else word for word in own)
        if len(named) == 1 and len(words_of(text)) > len(named) and stated.setdefault(frame, *named) not in named:
            return True
    return False


def final_names(said: str, item: Item, names: set[str]) -> set[str]:
    """The names that are stated and not taken back: "Lyon. Sorry, Paris" comes to Paris alone."""
    drafts: list[list[Clause]] = [[]]
    words, begun = words_in(item.language), False
    text_said = without_other_senses(BRACKETS.sub(", ", ALL_BUT.sub("not", plain(said))), names)
    for sentence, text in enumerate(SENTENCES.split(text_said)):
        for clause in clauses(text, words):
            if takes_back(clause, words):
                drafts.append([])
            if words.undecided.search(clause):
                drafts.clear()
                drafts.append([])
            for part in parts_of(clause, names):
                turned = bool(words.contrasts.match(part.strip())) and not AFFIRMS.search(part)
                if turned and not names & set(words_of(part)) and len(words_of(part)) >= FEW_WORDS:
                    drafts[-1] = [one for one in drafts[-1] if not words.seems.search(one.text)]
                sides = part.rsplit("=", 1)[::-1]  # "2 + 2 = 4", but also "60 minutes = 1 hour"
                stated = next(filter(None, (affirmed_names(side, names, item.language) for side in sides)), set())
                if stated := {name for name in stated if not only_mentions(part, name, names, item)}:
                    gives_reason = begun and words.reasons.match(part.strip())
                    if not (gives_reason or text.endswith("?") or speaks_of_another(part, item.prompt)):
                        drafts[-1].append(Clause(part, sentence, stated, weak=bool(words.seems.search(part))))
                begun = True
    if NOT_KNOWN.search(plain(said)):
        drafts = [[clause for clause in draft if not clause.weak] for draft in drafts]
    return next((stated for draft in reversed(drafts) if (stated := names_of(draft, item))), set())


def parts_of(clause: str, names: set[str]) -> list[str]:
    """The clause's parts between "and", where each is a clause of its own and names something."""
    parts = JOINED.split(clause)
    own = all(names & set(words_of(part)) and len(words_of(part)) >= FEW_WORDS for part in parts)
    return parts if own else [clause]


def speaks_of_another(text: str, asked: str) -> bool:
    """Whether the clause is about the past, or about what comes before although the question is what comes after."""
    said, wanted = ([bool(side.search(plain(one))) for side in SIDES] for one in (text, asked))
    return bool(FORMER.search(text)) or (any(wanted) and any(said) and not any(map(min, said, wanted)))


@dataclass(frozen=True)
class Clause:
    """A clause that states some of the names. weak: it only says what one might think."""

    text: str
    sentence: int
    stated: set[str]
    weak: bool

    def on_topic(self, asked: set[str]) -> int:
        """How many of the question's long words it repeats."""
        return len(asked & {word for word in words_of(self.text) if len(word) >= LONG_WORD})


def names_of(draft: Sequence[Clause], item: Item) -> set[str]:
    """What a draft's clauses come to: a name that stands alone at its head, or what repeats most of the question.

    Names in a list count alike, as do two sentences or alternatives that state different ones.
    """
    draft = [clause for clause in draft if not clause.weak] or list(draft)
    if not draft:
        return set()
    asked = words_asked(item)
    if concludes(draft[-1], item):
        return draft[-1].stated
    if leads(draft, item):
        return draft[0].stated.union(*(one.stated for one in draft[1:] if stands_beside(one)))
    most = max(clause.on_topic(asked) for clause in draft)
    first, *others = (clause for clause in draft if clause.on_topic(asked) == most)
    answered = len(words_of(first.text)) <= FEW_WORDS  # a sentence behind it only adds to it
    alike = [one for one in others if stands_beside(one) or (one.sentence != first.sentence and not answered)]
    return first.stated.union(*(one.stated for one in alike))


def concludes(clause: Clause, item: Item) -> bool:
    """Whether the clause is a conclusion and names one thing, as "so April"."""
    concluded = words_in(item.language).contrasts.match(clause.text.strip())
    return bool(concluded) and is_bare(clause)


def leads(draft: Sequence[Clause], item: Item) -> bool:
    """Whether the first clause is a name and little else, and the others only add to it, as "Sad, for glad is …"."""
    first, *others = draft
    contrasts, subject = words_in(item.language).contrasts, subject_asked(item)
    against = any(contrasts.match(one.text.strip()) or subject <= set(words_of(one.text)) for one in others)
    return is_bare(first) and not first.weak and not against


def is_bare(clause: Clause) -> bool:
    return len(words_of(clause.text)) <= FEW_WORDS and len(clause.stated) == 1


def words_asked(item: Item) -> set[str]:
    """The long words of the question."""
    return {word for word in words_of(item.prompt) if len(word) >= LONG_WORD and not FUNCTION.fullmatch(word)}


def stands_beside(clause: Clause) -> bool:
    """Whether a clause is another item of a list, or an alternative."""
    words = words_of(clause.text)
    joined = [word for word in words[1:] if word in JOINTS | ALTERNATIVES]
    return (
        len(words) <= 1
        or bool(UNCERTAIN.match(clause.text))
        or words[0] in ALTERNATIVES
        or (words[0] in JOINTS and len(words) == 2)
        or (len(clause.stated) > 1 and words[0] in clause.stated and bool(joined))
    )


def leaves_open(said: str, names: set[str], item: Item) -> bool:
    """Whether the answer does not know, asks back, repeats the question or speaks around it.

    It may deny a choice, but not the right one.
    """
    words = words_of(ASKS.sub(" ", said))
    affirmed = affirmed_names(ASKS.sub(" ", said), names, item.language)
    right = plain(item.answer).strip()
    if right in words and right not in affirmed:
        return False
    words_there = words_in(item.language)
    last = [*clauses(with_names_marked(said, names), words_there)][-1:]
    if NOT_KNOWN.search(plain(said)) or any(is_reported(clause, words_there) for clause in last):
        return True
    if right in words:
        return False
    if names & set(words):
        return not affirmed and len(names & set(words)) == 1
    words = words_of(said)
    again = len(words) >= FEW_WORDS and Counter(words) <= Counter(words_of(item.prompt))
    return again or said.rstrip().endswith("?") or bool(EXCLAIMS.match(plain(said))) or speaks_around(said, item)


def bank() -> list[Item]:
    """All questions in the file."""
    return read_items(FOLDER / "facts.jsonl")


@PROBES.add("facts", Family, parse=parse, languages=("en", "id", "es", "de", "fr"), new_tokens=16)
def facts() -> list[Item]:
    """Short questions a small model answers: what tuning forgets."""
    return thin_out(bank(), ASKED)
