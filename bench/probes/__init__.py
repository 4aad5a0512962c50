"""Probes: short questions that a model is asked before and after tuning. Each family has one file.

A family provides items and parses answers: run() -> items, parse(answer, item) -> outcome. Nothing here imports
torch; the worker asks the questions, in `bench/worker/ask/questions.py`.

May import: core, machine, models.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import permutations

from bench.core.files import BadFile
from bench.core.registry import Registry

RIGHT, WRONG, EVASIVE, GARBLED = "right", "wrong", "evasive", "garbled"
OUTCOMES = (RIGHT, WRONG, EVASIVE, GARBLED)
TRAIN, HELD_OUT = "train", "held_out"
PARTS = (TRAIN, HELD_OUT)
TEXT, CHAT = "text", "chat"
FORMS = (TEXT, CHAT)
ANSWERS, LOSS = "answers", "loss"
OWN = "lorabench_"  # the prefix of these families' lm-eval tasks


@dataclass(frozen=True)
class Item:
    """One question.

    form: "text" is continued unchanged; "chat" is put into the model's chat template as the user's turn.
    choices: continuations whose log-probabilities are compared, written as they would follow the prompt;
    answer: the right choice. If a family compares none, choices is () and answer says what is right.
    part: recipes of this project may train on "train", never on "held_out".
    """

    id: str
    family: str
    language: str  # "en", "id", …
    group: str  # items reported together, such as "trap" or "control"
    part: str
    form: str
    prompt: str
    choices: tuple[str, ...]
    answer: str

    def complaint(self) -> str:
        """What is wrong with the item; empty if nothing is."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "choices":
                if not isinstance(value, tuple) or not all(isinstance(one, str) and one for one in value):
                    return f"choices = {value!r} must be texts"
            elif not isinstance(value, str) or not value.strip():
                return f"{field.name} = {value!r} must be a text that is not empty"
        if self.choices and (self.answer not in self.choices or len(set(self.choices)) < 2):
            return f"answer = {self.answer!r} must be one of at least two choices, which are {list(self.choices)}"
        for one, other in permutations(self.choices, 2):
            if other.startswith(one):  # a prefix of another text is always at least as likely
                return f"choices cannot be compared: {one!r} begins {other!r}"
        for name, known in (("part", PARTS), ("form", FORMS)):
            if getattr(self, name) not in known:
                return f"{name} = {getattr(self, name)!r} must be one of {', '.join(known)}"
        return ""


@dataclass(frozen=True)
class Family:
    """An entry. run() -> items; parse(answer text, item) -> one of OUTCOMES; languages: those parse can read.

    parse_cut: the parser for an answer that new_tokens cut short, if it differs.

    kind "answers": each item is asked; "loss": each item's prompt is a text whose loss is measured, and nothing
    is parsed. new_tokens: the limit of a greedy answer.
    """

    name: str
    says: str
    run: Callable[[], Iterable[Item]]
    parse: Callable[[str, Item], str]
    languages: tuple[str, ...]
    new_tokens: int = 16
    kind: str = ANSWERS
    parse_cut: Callable[[str, Item], str] | None = None
    about_truth: bool = True  # a right answer is a true one; False if it is one that declines

    def outcome(self, answer: str, item: Item, cut: bool) -> str:
        """The outcome of an answer. cut: whether it ended at new_tokens and not by itself."""
        return (self.parse_cut or self.parse)(answer, item) if cut else self.parse(answer, item)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """All items, checked. Raises BadFile naming the family, the item and the remedy."""
        return checked_items(self.run(), self)


def checked_items(items: Iterable[Item], family: Family) -> tuple[Item, ...]:
    """The items, checked: each can be asked and parsed, and no two are alike. Raises BadFile."""
    found = tuple(items)
    for item in found:
        where = f"probe {family.name}, item {item.id!r}"
        if complaint := item.complaint():
            raise BadFile(f"{where}: {complaint}")
        if item.family != family.name:
            raise BadFile(f"{where}: family = {item.family!r} must be {family.name!r}")
        if item.language not in family.languages:
            raise BadFile(
                f"{where}: no parser reads {item.language!r} answers; "
                f"add one or write it in one of {', '.join(family.languages)}"
            )
    if twice := [name for name, count in Counter(item.id for item in found).items() if count > 1]:
        raise BadFile(f"probe {family.name}: {len(twice)} ids stand for several items, as {twice[0]!r}; rename one")
    if not found:
        raise BadFile(f"probe {family.name}: no items; write at least one")
    return found


PROBES: Registry[Family] = Registry("probe")

from bench.probes import decimals, facts, forgetting, guardrails, sequences, source003  # noqa: E402, F401  (register)
