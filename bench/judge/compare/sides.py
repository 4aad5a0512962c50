"""A run as one side of a comparison, and whether two of its records may be compared."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine.environment import CODE
from bench.records.basis import QUALITY, basis_differences, basis_of, differences_text, table_difference
from bench.records.record import BadRecord, Record, read_repeats, read_run
from bench.records.stored import Stored
from bench.records.tested import CaseTests, read_tested

# Keys of a record's environment that decide how sums round; older records lack the later ones.
ROUNDS = ("system", "processor", "threads", "accelerator", "driver", "emulation")
ROUNDS_LATER = ("capability", "cudnn", "compute_capability")
COMMIT = 12  # digits shown of a commit or a hash


@dataclass(frozen=True)
class Side:
    """A whole stored run."""

    name: str
    folder: Path
    records: Mapping[str, Record]
    tested: CaseTests | None = None
    about: Mapping[str, Any] | None = None  # its run.json

    def stored(self, case: str) -> Stored:
        return Stored(self.name, self.folder, self.records[case])

    def versions(self) -> dict[str, str | None]:
        """Versions of every distribution if the run lists them, else of the libraries that its records name."""
        listed = (self.about or {}).get("distributions")
        if listed:
            return dict(listed)
        return next((dict(one.environment.get("libraries", {})) for one in self.records.values()), {})


def read_side(folder: Path) -> Side:
    """Read a run. Raises BadRecord if any of it cannot be read: a damaged line may belong to a case that failed."""
    records, complaints = read_run(folder)
    if complaints:
        more = f" (and {len(complaints) - 1} more lines)" if complaints[1:] else ""
        raise BadRecord(f"only a whole run can be compared: {complaints[0]}{more}")
    about = read_run_json(folder)
    accepted = about.get("accepted", {}).get("run")
    name = f"{accepted} (accepted)" if accepted else folder.name
    return Side(name, folder, records, read_tested(folder), about)


def read_run_json(folder: Path) -> dict[str, Any]:
    """The contents of run.json; {} if it is missing. Raises BadRecord if it is damaged."""
    try:
        return dict(json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise BadRecord(f"{folder / 'run.json'}: damaged ({error})") from None


def repeats_of(side: Side, case: str) -> list[Record]:
    """The records of all processes of a case that ended well, in the order of their repeats."""
    found, _ = read_repeats(side.folder / "records.jsonl")
    return [record for (name, _), record in sorted(found.items()) if name == case and record.ok]


def why_incomparable(before: Record, after: Record, allow_commit: bool) -> str:
    """How the bases of two records differ, in words; empty if they may be compared."""
    differences = basis_differences(basis_of(before), basis_of(after), QUALITY)
    if differences:
        return differences_text(differences)
    return "" if allow_commit else code_difference(before.environment, after.environment)


def code_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """A note that lorabench's own code differs, so its measurements may; empty if it does not, or nobody knows.

    If both records have the hash of the code that measures, it decides, because most commits do not change that code.
    Otherwise the commit decides.
    """
    hashed = all(side.get(CODE) for side in (before, after))
    old, new = (side.get(CODE) if hashed else side.get("commit") or side.get("lorabench") for side in (before, after))
    if old == new or not (old and new):
        return ""
    shown = [str(one).removeprefix("sha256:")[:COMMIT] for one in (old, new)]
    return (
        f"lorabench's own code differs ({shown[0]}, now {shown[1]}); run both sides with one "
        "version, or give --allow-commit to compare what both records hold"
    )


def machine_difference(before: Record, after: Record) -> str:
    """How the machines differ in what decides how sums round; empty if they are alike."""
    later = [name for name in ROUNDS_LATER if name in before.environment and name in after.environment]
    old, new = ({name: side.environment.get(name) for name in (*ROUNDS, *later)} for side in (before, after))
    return table_difference(old, new)


def version_changes(before: Side, after: Side) -> dict[str, tuple[str, str]]:
    """Distributions whose versions differ, each with both versions; if a run lists only libraries, only those."""
    old, new = before.versions(), after.versions()
    names = (
        old.keys() & new.keys()
        if len(old) != len(new) and not (has_distributions(before) and has_distributions(after))
        else old | new
    )
    return {
        name: (old.get(name) or "none", new.get(name) or "none")
        for name in sorted(names)
        if old.get(name) != new.get(name)
    }


def has_distributions(side: Side) -> bool:
    return bool((side.about or {}).get("distributions"))
