"""Handwritten answers with the outcome that a careful reader gives them, and how often the parsers agree.

They are in fixtures/probes/answers/, one file for each set. The first sets may be used to improve the parsers. The
newest is by someone who has not read the parsers, and only measures them. docs/probes.md defines the outcomes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.core.files import BadFile, read_toml
from bench.probes import HELD_OUT, OUTCOMES, PROBES, RIGHT, TEXT, Item, facts, guardrails
from bench.probes.reading import FOLDER

ANSWERS = FOLDER / "answers"
SETS = tuple(path.stem for path in sorted(ANSWERS.glob("*.toml")))
ALL = "all"
ROW = ("kind", "outcome", "text")
ITEM_KEYS = {"language", "group", "choices", "answer"}  # keys of a comparison, which names no item
BANKS = {"facts": facts.bank, "guardrails": guardrails.bank}  # these contain more items than a run asks


@dataclass(frozen=True)
class Answer:
    """An answer to an item. kind: what makes it hard to parse, such as "correction"; label: a reader's outcome."""

    item: Item
    kind: str
    label: str
    text: str
    cut: bool  # by the limit of tokens

    @cached_property
    def reading(self) -> str:
        """The parser's outcome."""
        return PROBES[self.item.family].outcome(self.text, self.item, self.cut)

    @property
    def agrees(self) -> bool:
        return self.reading == self.label


def read_answers(name: str) -> list[Answer]:
    """The answers of a set. Raises BadFile naming the table and what is wrong with it."""
    path = ANSWERS / f"{name}.toml"
    found: list[Answer] = []
    for number, table in enumerate(read_toml(path).get("asked", []), 1):
        where = f"{path}, table {number}"
        item = item_of(table, where)
        for row in table.get("answers", []):
            if len(row) != len(ROW) or row[1] not in OUTCOMES:
                raise BadFile(f"{where}: {row} must be [{', '.join(ROW)}], outcome one of {', '.join(OUTCOMES)}")
            kind, label, text = row
            found.append(Answer(item, kind, label, text, cut=table.get("cut", False)))
    return found


def item_of(table: dict[str, Any], where: str) -> Item:
    """The item that the table's answers belong to: one of its family, or a comparison of the table's own numbers."""
    family, name = str(table.get("family")), table.get("item")
    if family not in PROBES:
        raise BadFile(f"{where}: family = {family!r} must be one of {', '.join(PROBES.names())}")
    if name is None:
        if missing := sorted(ITEM_KEYS - table.keys()):
            raise BadFile(f"{where}: missing {', '.join(missing)}, or item with the id of one of {family}")
        own = {**{key: table[key] for key in ITEM_KEYS}, "choices": tuple(table["choices"])}
        item = Item(id=f"{own['language']}-{own['group']}", family=family, part=HELD_OUT, form=TEXT, prompt="?", **own)
        if complaint := item.complaint():
            raise BadFile(f"{where}: {complaint}")
        return item
    items = {item.id: item for item in (BANKS[family]() if family in BANKS else PROBES[family].items)}
    if name not in items:
        raise BadFile(f"{where}: {family} has no item {name!r}; python -m bench probes {family} lists them")
    return items[name]


def agreement_table(answers: Iterable[Answer], family: str) -> list[list[str]]:
    """One family's agreed/written counts by kind and language; the last column counts wrong answers read as right."""
    own = [answer for answer in answers if answer.item.family == family]
    languages = list(dict.fromkeys(answer.item.language for answer in own))
    lines = [[family, *languages, ALL, "read as right"]]
    for kind in [*dict.fromkeys(answer.kind for answer in own), ALL]:
        of_kind = [answer for answer in own if kind in (answer.kind, ALL)]
        cells = [share([one for one in of_kind if one.item.language == language]) for language in languages]
        lines.append([kind, *cells, share(of_kind), str(len(read_as_right(of_kind)))])
    return lines


def share(answers: Sequence[Answer]) -> str:
    return f"{sum(answer.agrees for answer in answers)}/{len(answers)}" if answers else ""


def read_as_right(answers: Iterable[Answer]) -> list[Answer]:
    """The answers that are not right but that a parser reads as right."""
    return [answer for answer in answers if answer.reading == RIGHT != answer.label]


def disagreements(answers: Iterable[Answer]) -> Iterator[str]:
    """A line for each answer that a parser reads differently."""
    for answer in answers:
        if not answer.agrees:
            yield f"{answer.item.id}: {answer.text!r} is {answer.label}, read as {answer.reading}"
