"""The parts of the five sources, each with the claims that cover it or the reason why none does.

A source says more than its claims show. fixtures/coverage.toml lists every paragraph, table and figure in order, by its
first words, so a reader can tick them off while reading the source.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bench.core.files import BadFile, read_toml
from bench.core.paths import FIXTURES
from bench.judge.claims.claim import Claim, check_name

FILE = FIXTURES / "coverage.toml"
NEEDED = ("source", "place", "opening")
FIELDS = (*NEEDED, "claims", "reason", "more")
PROSE = 150  # characters from which a line is a paragraph, not a row of a table
MARKUP = re.compile(r"[*#>`_$\\\"]|^[-•]\s|^\d+\.\s|<[^>]*>")


@dataclass(frozen=True)
class Part:
    """A paragraph, table or figure. claims: ids of claims that cover it; reason: why none does, or what none covers.

    more: how many further lines of PROSE characters it has, such as rows of a table or items of a list.
    """

    source: str
    place: str
    opening: str
    claims: tuple[str, ...]
    reason: str = ""
    more: int = 0


def read_coverage(claims: Mapping[str, Claim], path: Path = FILE) -> list[Part]:
    """The parts in order. Raises BadFile for an unknown claim, and for a part with neither claim nor reason."""
    tables = read_toml(path).get("part", [])
    return [parse_part(table, claims, f"{path.name}, part {number}") for number, table in enumerate(tables, 1)]


def parse_part(table: Mapping[str, Any], claims: Mapping[str, Claim], where: str) -> Part:
    for key in table:
        check_name(where, "field", key, FIELDS)
    if lacking := [key for key in NEEDED if not table.get(key)]:
        raise BadFile(f"{where}: lacks {', '.join(lacking)}")
    where = f"{where} (source {table['source']}, {table['place']})"
    if not table.get("claims") and not table.get("reason"):
        raise BadFile(f"{where}: names no claim and gives no reason; add claims or a reason")
    found: dict[str, None] = {}
    for pattern in table.get("claims", []):
        names = [name for name in claims if fnmatchcase(name, pattern)]
        if not names:
            check_name(where, "claims", pattern, claims)
        found |= dict.fromkeys(names)
    return Part(
        table["source"], table["place"], table["opening"], tuple(found), table.get("reason", ""), table.get("more", 0)
    )


def claims_without_part(parts: Iterable[Part], claims: Mapping[str, Claim]) -> list[str]:
    """Claims of the listed sources that no part names."""
    parts = list(parts)
    sources = {part.source for part in parts}
    named = {name for part in parts for name in part.claims}
    return [name for name, claim in claims.items() if claim.source in sources and name not in named]


def plain(line: str) -> str:
    """The line without markup and with single spaces."""
    return " ".join(MARKUP.sub("", line.strip()).split())


def missing_from_list(parts: Iterable[Part], text: str) -> list[str]:
    """Sentences on how the list differs from a source's text: openings not found in it, and paragraphs without a part.

    A part extends to the opening of the next one; a paragraph is a line of PROSE characters or more.
    """
    lines = [plain(line) for line in text.splitlines()]
    complaints, found, places, at = [], [], [], 0
    for part in parts:
        place = next((index for index in range(at, len(lines)) if lines[index].startswith(part.opening)), None)
        if place is None:
            complaints.append(f"{part.place}: no line after the part before begins with {part.opening!r}")
            continue
        found.append(part)
        places.append(place)
        at = place + 1
    for part, (place, end) in zip(found, itertools.pairwise([*places, len(lines)]), strict=True):
        further = [line for line in lines[place + 1 : end] if len(line) >= PROSE]
        if len(further) != part.more:
            first = f"; the first begins {further[0][:60]!r}" if further else ""
            complaints.append(f"{part.place}: {len(further)} further paragraphs follow, {part.more} expected{first}")
    return complaints
