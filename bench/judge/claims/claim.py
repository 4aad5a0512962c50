"""A claim: one statement of a source, with its place, number and protocol, and how it is judged.

    fixtures/claims/002_gpt2_support.toml
        source, title                   of the whole file
        [protocols.NAME]                protocols that several claims share
        [s002-average-3080]             a claim; its key is the id, SOURCE-WORDS

`by` says what judges the claim; its keys depend on the kind (see arithmetic.py and its neighbours).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.files import BadFile
from bench.core.registry import Registry, UnknownName, first_few, nearest
from bench.judge.claims.vocabulary import (
    BETWEEN,
    COMPARATORS,
    LARGEST_TOLERANCE,
    MISREAD,
    NUMERIC,
    QUANTITIES,
    SHARES,
    UNITS,
    WITHIN,
    dimension_of,
    figure_text,
    source_figure_text,
    unit_words,
)
from bench.judge.verdict import OUTCOMES
from bench.methods import METHODS
from bench.models import MODELS
from bench.tasks import TASKS

UNSTATED = "unstated"  # the source does not state it
NONE = "none"  # the claim concerns no model, method or task
LISTED = 8  # the most names that a message lists whole
ID = re.compile(r"[a-z0-9]+(-[a-z0-9_.]+)+")
FIELDS: dict[str, tuple[type, ...]] = {
    "where": (str,),
    "says": (str,),
    "kind": (str,),
    "quantity": (str,),
    "value": (int, float, bool, str, list),
    "unit": (str,),
    "comparator": (str,),
    "protocol": (str, dict),
    "tolerance": (int, float),
    "tolerance_reason": (str,),
    "by": (dict,),
    "expected": (str,),
    "evidence": (str,),
    "stand_in_for": (str,),
    "family": (str,),
}
OPTIONAL = ("stand_in_for", "family")
REGISTRIES: dict[str, Registry] = {"task": TASKS, "model": MODELS, "method": METHODS}


@dataclass(frozen=True)
class Protocol:
    """What the source did; each field is a name or a few words, or `unstated` if the source leaves it out.

    model is the stand-in that runs if there is one; the claim's stand_in_for is then the source's model.
    """

    task: str
    model: str
    method: str
    data: str
    recipe: str
    device: str
    seeds: str


PROTOCOL_FIELDS = tuple(Protocol.__dataclass_fields__)


@dataclass(frozen=True)
class Claim:
    """value and tolerance are in base units (bytes, seconds, fractions); unit is the unit in which they are shown.

    text is the value of a claim about an answer. stand_in_for: the source's model that protocol.model replaces.
    family: names the claims whose tests are corrected together; empty: those of the same source.
    """

    id: str
    source: str
    title: str
    where: str
    says: str
    kind: str
    quantity: str
    value: tuple[float, ...]
    unit: str
    comparator: str
    protocol: Protocol
    tolerance: float
    tolerance_reason: str
    by: Mapping[str, Any]
    expected: str
    evidence: str
    stand_in_for: str = ""
    family: str = ""
    text: str = ""
    file: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        return f"source {self.source}, {self.where}"

    def shown_value(self) -> str:
        if self.text:
            return repr(self.text)
        return " to ".join(source_figure_text(number, self.unit) for number in self.value)

    def shown_tolerance(self) -> str:
        """The tolerance as text next to the value; empty if there is none."""
        return f" ± {source_figure_text(self.tolerance, self.unit)}" if self.tolerance else ""

    def number_text(self, number: float) -> str:
        return figure_text(number, self.unit)


def refuse(where: str, key: str, says: str) -> BadFile:
    return BadFile(f"{where}: {key}: {says}")


def check_name(where: str, key: str, name: Any, names: Any, more: str = "") -> str:
    """The name, if it is one of names. Raises BadFile with similar names, and more at the end of the message.

    None stands for a key that is missing.
    """
    if name in names:
        return name
    if name is None:
        raise refuse(where, key, f"is missing; {first_names(names, more)}")
    raise refuse(where, key, f"{name!r} is unknown; {near_names(name, names, more)}")


def near_names(name: Any, names: Any, more: str = "") -> str:
    """The names that look like this one, as the end of a message; without any, the first of all."""
    near = nearest(str(name), list(names))
    return f"did you mean {', '.join(near)}?{f' {more}' * bool(more)}" if near else first_names(names, more)


def first_names(names: Any, more: str = "") -> str:
    return f"there are {first_few(names, LISTED)}{f'; {more}' * bool(more)}"


def check_registered(where: str, key: str, kind: str, name: Any) -> None:
    """Raise BadFile for a task, model or method that no registry has."""
    try:
        REGISTRIES[kind][name]
    except UnknownName as error:
        raise refuse(where, key, str(error)) from None


def check_in_protocol(where: str, kind: str, name: str) -> None:
    """Raise BadFile for a task, model or method that no registry has, with the word for one that is not to be had."""
    if name not in REGISTRIES[kind]:
        lacks = f"{NONE!r} stands for a {kind} that this project lacks; name it in recipe"
        hint = near_names(name, REGISTRIES[kind].names(), lacks)
        raise refuse(where, f"protocol.{kind}", f"no {kind} named {name!r}; {hint}")


def parse_protocol(table: Any, where: str) -> Protocol:
    """The protocol of a table. Raises BadFile for a field that is missing, unknown or names what does not exist."""
    if not isinstance(table, dict):
        raise refuse(where, "protocol", f"expected a table or the name of one, saw {table!r}")
    for key, value in table.items():
        check_name(where, "protocol", key, PROTOCOL_FIELDS)
        if not isinstance(value, str) or not value:
            raise refuse(
                where, f"protocol.{key}", f"{value!r} must be text; what the source leaves out is {UNSTATED!r}"
            )
    if lacking := [name for name in PROTOCOL_FIELDS if name not in table]:
        raise refuse(where, "protocol", f"lacks {', '.join(lacking)}; what the source leaves out is {UNSTATED!r}")
    for kind in REGISTRIES:
        if table[kind] not in (UNSTATED, NONE):
            check_in_protocol(where, kind, table[kind])
    return Protocol(**table)


def parse_value(table: Mapping[str, Any], where: str) -> tuple[tuple[float, ...], str]:
    """(numbers in base units, text). Raises BadFile if value, unit, quantity and comparator do not fit together."""
    quantity = check_name(where, "quantity", table["quantity"], QUANTITIES)
    dimension = dimension_of(quantity)
    unit = table["unit"]
    if unit not in UNITS:
        meant = f"; {MISREAD[unit]}" if unit in MISREAD else ""
        raise refuse(where, "unit", f"{unit!r} is unknown; {quantity} takes {unit_words(quantity)}{meant}")
    if UNITS[unit][0] != dimension:
        raise refuse(where, "unit", f"{unit!r} does not fit {quantity}, which takes {unit_words(quantity)}")
    allowed = COMPARATORS.get(dimension, NUMERIC)
    if table["comparator"] not in allowed:
        raise refuse(where, "comparator", f"{table['comparator']!r} must be one of {', '.join(allowed)} for {quantity}")
    value = table["value"]
    if dimension == "text":
        if not isinstance(value, str) or not value:
            raise refuse(where, "value", f"{value!r} must be text for {quantity}")
        return (), value
    if dimension == "truth":
        if not isinstance(value, bool):
            raise refuse(where, "value", f"{value!r} must be true or false for {quantity}")
        return (float(value),), ""
    numbers = value if table["comparator"] == BETWEEN else [value]
    wanted = 2 if table["comparator"] == BETWEEN else 1
    if not isinstance(numbers, list) or len(numbers) != wanted or not all(map(is_number, numbers)):
        says = "two finite numbers" if wanted == 2 else "one finite number"
        raise refuse(where, "value", f"{value!r} must be {says} for {table['comparator']}")
    check_order(numbers, quantity, table, where)
    return tuple(number * UNITS[unit][1] for number in numbers), ""


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def check_order(numbers: list[float], quantity: str, table: Mapping[str, Any], where: str) -> None:
    """Raise BadFile for a range from high to low, a negative distance, or a share outside 0 to 1."""
    comparator, value = table["comparator"], table["value"]
    if comparator == BETWEEN and numbers[0] >= numbers[1]:
        raise refuse(where, "value", f"{value!r} must be the lower end and then the higher one")
    if comparator == WITHIN and numbers[0] < 0:
        raise refuse(where, "value", f"{value!r} is a distance and must be at least 0")
    factor = UNITS[table["unit"]][1]
    if quantity in SHARES and not all(0 <= number * factor <= 1 for number in numbers):
        raise refuse(where, "value", f"{value!r} {table['unit']} lies outside 0 to 1, in which {quantity} must be")


def check_tolerance(table: Mapping[str, Any], where: str) -> None:
    """Raise BadFile for a tolerance that is negative, or so wide that it confirms anything."""
    tolerance, value = table["tolerance"], table["value"]
    if not is_number(tolerance) or tolerance < 0:
        raise refuse(where, "tolerance", f"{tolerance!r} must be a finite number of at least 0")
    numbers = [abs(number) for number in (value if isinstance(value, list) else [value]) if is_number(number)]
    most = LARGEST_TOLERANCE * (max(numbers, default=0.0) or 1)  # for a 0, half of its unit: it is printed to a digit
    if tolerance > most:
        raise refuse(where, "tolerance", f"{tolerance!r} must be at most {most:g}, half of the value")


def parse_claim(claim_id: str, table: Any, book: Mapping[str, Any], file: str) -> Claim:
    """The claim of one table; book holds the file's source, title and protocols.

    Raises BadFile naming file, id and key.
    """
    where = f"{file} [{claim_id}]"
    if not isinstance(table, dict):
        raise BadFile(f"{where}: expected a table, saw {table!r}")
    if not ID.fullmatch(claim_id):
        raise BadFile(f"{where}: an id is lower-case words joined by '-', as s001-bert-lora-trainable")
    for key, value in table.items():
        if key not in FIELDS:
            raise BadFile(f"{where}: {key!r} is no key of a claim; {near_names(key, FIELDS)}")
        if type(value) not in FIELDS[key]:
            kinds = " or ".join(kind.__name__ for kind in FIELDS[key])
            raise refuse(where, key, f"{value!r} must be {kinds}, not {type(value).__name__}")
        if value == "":
            raise refuse(where, key, "is empty")
    if lacking := [key for key in FIELDS if key not in table and key not in OPTIONAL]:
        raise BadFile(f"{where}: lacks {', '.join(lacking)}")
    numbers, text = parse_value(table, where)
    check_tolerance(table, where)
    protocol = table["protocol"]
    if isinstance(protocol, str):
        protocol = book["protocols"][check_name(where, "protocol", protocol, book["protocols"])]
    if table["expected"] not in OUTCOMES:
        raise refuse(where, "expected", f"{table['expected']!r} must be one of {', '.join(OUTCOMES)}")
    if stands_for := table.get("stand_in_for"):
        check_registered(where, "stand_in_for", "model", stands_for)
    simple = {key: table[key] for key in FIELDS if key in table and key not in ("value", "tolerance", "protocol")}
    return Claim(
        id=claim_id,
        source=book["source"],
        title=book["title"],
        value=numbers,
        text=text,
        tolerance=table["tolerance"] * UNITS[table["unit"]][1],
        protocol=parse_protocol(protocol, where),
        file=file,
        **simple,
    )
