"""Known faults of libraries, read from fixtures/known_faults.toml: tests that are expected to fail, and why.

An entry names one test and the version of a library in which the fault was seen. With that version the test must fail,
or the entry is stale; with another version it may pass or fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.core.files import BadFile, check_texts, read_toml
from bench.core.paths import FIXTURES
from bench.machine.environment import LIBRARIES

FILE = FIXTURES / "known_faults.toml"
KEYS = {
    "test": "file::test[parameters], as pytest names it",
    "library": "the library's name",
    "version": "the version in which the fault was seen",
    "says": "what the library does and what it should do",
    "reproduction": "the smallest code that shows it",
    "issue": "the address of an issue, or none",
}


@dataclass(frozen=True)
class KnownFault:
    """One entry. issue: where the fault was reported, "none" if no report was found."""

    test: str
    library: str
    version: str
    says: str
    reproduction: str
    issue: str

    def is_of(self, versions: Mapping[str, str | None]) -> bool:
        """Whether exactly the version is installed in which the fault was seen."""
        return versions.get(self.library) == self.version

    def sentence(self) -> str:
        reported = "" if self.issue == "none" else f" ({self.issue})"
        return (
            f"known fault of {self.library} {self.version}: {self.says}{reported}; reproduce it with: "
            f"{self.reproduction}; when the test passes, remove its entry from fixtures/{FILE.name}"
        )


@cache
def read_known_faults(path: Path = FILE) -> Mapping[str, KnownFault]:
    """The known faults by test. Raises BadFile naming the entry and the key."""
    tables = read_toml(path)
    if tables.keys() != {"fault"}:
        raise BadFile(f"{path}: must have exactly the tables [[fault]]")
    found: dict[str, KnownFault] = {}
    for number, table in enumerate(tables["fault"], 1):
        where = f"{path} [[fault]] {number}"
        check_texts(table, KEYS, where)
        if lacking := KEYS.keys() - table.keys():
            raise BadFile(f"{where}: lacks {', '.join(sorted(lacking))}")
        if table["library"] not in LIBRARIES:
            raise BadFile(f"{where}: library = {table['library']!r} must be one of {', '.join(LIBRARIES)}")
        if table["test"] in found:
            raise BadFile(f"{where}: test = {table['test']!r} has an entry already; join the two")
        found[table["test"]] = KnownFault(**table)
    return found
