"""Known faults of libraries, read from fixtures/known_faults.toml: tests that are expected to fail, and why.

An entry names tests and the versions of a library that have the fault. With one of these versions the tests must fail,
or the entry is stale; with any other they must pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bench.core.files import BadFile, check_texts, read_toml
from bench.core.paths import FIXTURES
from bench.machine.environment import LIBRARIES

FILE = FIXTURES / "known_faults.toml"
TESTS = "tests"
TEXTS = {
    "library": "the library's name",
    "versions": "the versions that have the fault, as >=5.17.0,<=5.24.0",
    "says": "what the library does, and what it should do",
    "reproduction": "the smallest code that shows it",
    "issue": "the address of an issue, or none",
}
OPTIONAL = {"raises": "the exception by which the check ends, if it ends before there are figures to compare"}


@dataclass(frozen=True)
class KnownFault:
    """One entry. tests: file::test[parameters]; issue: where it was reported, "none" if no report was found.

    raises: the exception by which the check ends, "" if its figures are wrong.
    """

    tests: tuple[str, ...]
    library: str
    versions: str
    says: str
    reproduction: str
    issue: str
    raises: str = ""

    def applies_to(self, installed: Mapping[str, str | None]) -> bool:
        """Whether the installed version of the library has the fault."""
        version = installed.get(self.library)
        return version is not None and SpecifierSet(self.versions).contains(version, prereleases=True)

    def sentence(self) -> str:
        reported = "" if self.issue == "none" else f" ({self.issue})"
        return (
            f"known fault of {self.library} {self.versions}: {self.says}{reported}; reproduce it with: "
            f"{self.reproduction}; if the test passes, correct the versions in fixtures/{FILE.name}"
        )


@cache
def read_known_faults(path: Path = FILE) -> tuple[KnownFault, ...]:
    """All entries. Raises BadFile naming the entry and the key."""
    tables = read_toml(path)
    if tables.keys() != {"fault"}:
        raise BadFile(f"{path}: must have exactly the tables [[fault]]")
    return tuple(known_fault(table, f"{path} [[fault]] {number}") for number, table in enumerate(tables["fault"], 1))


def known_fault(table: Mapping[str, Any], where: str) -> KnownFault:
    texts = {key: value for key, value in table.items() if key != TESTS}
    check_texts(texts, TEXTS | OPTIONAL, where)
    if lacking := {TESTS, *TEXTS} - table.keys():
        raise BadFile(f"{where}: lacks {', '.join(sorted(lacking))}")
    tests = table[TESTS]
    if not (isinstance(tests, list) and tests and all(isinstance(one, str) and "::" in one for one in tests)):
        raise BadFile(f"{where}: tests = {tests!r} must be a list of file::test[parameters]")
    if table["library"] not in LIBRARIES:
        raise BadFile(f"{where}: library = {table['library']!r} must be one of {', '.join(LIBRARIES)}")
    try:
        SpecifierSet(table["versions"])
    except InvalidSpecifier:
        raise BadFile(f"{where}: versions = {table['versions']!r} must be {TEXTS['versions']}") from None
    return KnownFault(tuple(tests), **texts)
