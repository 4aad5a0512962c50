"""The probes in a record, read from its tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.probes.scoring import ALL, Paired
from bench.records.record import Record


@dataclass(frozen=True)
class ProbeResults:
    """A record's probes."""

    record: Record

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.record.tables.get("probes", [])

    @property
    def losses(self) -> list[dict[str, Any]]:
        return self.record.tables.get("probe_losses", [])

    def counts(self, family: str, group: str = ALL, language: str = ALL) -> Paired:
        """The paired counts of a group. Raises KeyError if the case was not asked that group."""
        row = self.row(family, group, language)
        return Paired(row["cured"], row["kept"], row["broken"], row["still_wrong"])

    def by_margin(self, family: str, group: str = ALL) -> Mapping[str, float] | None:
        """Shares of items whose right choice is the likeliest, before and after, and McNemar's p; None without choices.

        Raises KeyError as `counts` does.
        """
        return self.row(family, group).get("by_margin")

    def row(self, family: str, group: str = ALL, language: str = ALL) -> dict[str, Any]:
        for row in self.rows:
            if (row["family"], row["group"], row["language"]) == (family, group, language):
                return row
        raise KeyError(f"{self.record.case} was not asked {family}, group {group}, language {language}")

    def questions_asked(self) -> frozenset[tuple[Any, ...]]:
        """Every group and every family of texts that the case was asked, with its number of items."""
        counts = {(*key.split("/", 1), found.items) for key, found in self.groups().items()}
        return frozenset(counts | {(row["family"], ALL, row["items"]) for row in self.losses})

    def groups(self) -> dict[str, Paired]:
        """family/group -> counts over all languages."""
        return {
            f"{row['family']}/{row['group']}": self.counts(row["family"], row["group"])
            for row in self.rows
            if row["language"] == ALL and row["group"] != ALL
        }
