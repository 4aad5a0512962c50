"""Stored runs for pages. A run is read again when the size or the time of one of its files has changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.core.outside_text import for_terminal
from bench.core.paths import is_inside
from bench.judge.compare.sides import COMMIT, read_run_json
from bench.judge.thresholds import own_thresholds, read_with_own
from bench.records.kept import FOLDER, MANIFEST
from bench.records.record import BadRecord, Record, read_records
from bench.records.run_progress import FILE as PROGRESS
from bench.records.run_progress import RunProgress, read_progress
from bench.records.stored import Stored
from bench.records.stored_runs import has_time_name
from bench.records.tested import FILE as TESTS
from bench.records.tested import CaseTests, read_tested
from bench.report.claims import FILE as CLAIMS
from bench.report.claims import read_verdicts
from bench.report.html_page import Contents
from bench.report.verdicts import verdicts_on

RECORDS, ABOUT = "records.jsonl", "run.json"
FILES = (RECORDS, ABOUT, TESTS, CLAIMS)
JUDGED = "Judged by the session of this run, from the runs that each sentence names."

Stamp = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class StoredRun:
    """A run as its files were when it was read. complaints: a sentence for each file or line that is damaged."""

    name: str
    folder: Path
    stamp: Stamp
    records: Mapping[str, Record]
    about: Mapping[str, Any]
    tested: CaseTests
    claims: tuple[Mapping[str, Any], ...]
    complaints: tuple[str, ...]

    @cached_property
    def stored(self) -> list[Stored]:
        return [Stored(self.name, self.folder, record) for record in self.records.values()]

    @property
    def progress(self) -> RunProgress:
        """The progress of its last session, as it is now."""
        return read_progress(self.folder)

    def contents(self, records: Iterable[Record]) -> Contents:
        """What a report of these records shows."""
        chosen = {record.case: record for record in records}
        return Contents(
            name=self.name,
            stored=[one for one in self.stored if one.record.case in chosen],
            thresholds=read_with_own(own_thresholds()),
            tests=verdicts_on(self.tested, chosen),
            about=self.about,
            claims=self.claims,
            judged=JUDGED,
        )


_read: dict[Path, StoredRun] = {}


def stored_runs(folders: tuple[Path, ...]) -> dict[str, StoredRun]:
    """The runs of these folders by name: those named by their time first, the newest on top."""
    found = {name: read_run(name, folder) for name, folder in run_folders(folders).items()}
    timed = sorted(filter(has_time_name, found), reverse=True)
    return {name: found[name] for name in [*timed, *sorted(found.keys() - set(timed))]}


def run_folders(folders: tuple[Path, ...]) -> dict[str, Path]:
    """Folders with a run, by name. A link that leads out of the folders is none; the last of a name counts."""
    return {
        path.name: path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if any((path / name).is_file() for name in (RECORDS, ABOUT))
        and all(is_inside(path / name, folders) for name in (*FILES, PROGRESS))
    }


def read_run(name: str, folder: Path) -> StoredRun:
    """The run, from memory if its files have not changed."""
    stamp = stamp_of(folder)
    known = _read.get(folder)
    if known is None or known.stamp != stamp:
        known = _read[folder] = read_files(name, folder, stamp)
    return known


def stamp_of(folder: Path) -> Stamp:
    """Time and size of each of the run's files; zeros for one that is not there."""
    found = []
    for name in FILES:
        try:
            about = (folder / name).stat()
            found.append((about.st_mtime_ns, about.st_size))
        except OSError:
            found.append((0, 0))
    return tuple(found)


def read_files(name: str, folder: Path, stamp: Stamp) -> StoredRun:
    """The run from its files; what is damaged is a complaint, not an error."""
    complaints: list[str] = []

    def read(reader: Any, otherwise: Any) -> Any:
        try:
            return reader(folder)
        except (BadRecord, OSError) as error:
            complaints.append(for_terminal(str(error)))
            return otherwise

    records, unread = read(lambda folder: read_records(folder / RECORDS), ({}, [])) if stamp[0][1] else ({}, [])
    complaints += unread
    about, tested, claims = (
        read(reader, otherwise) for reader, otherwise in ((read_run_json, {}), (read_tested, None), (read_verdicts, []))
    )
    return StoredRun(
        name, folder, stamp, records, about, tested or CaseTests(), tuple(claims), tuple(complaints)
    )  # fmt: skip


def commit_of(record: Record) -> str:
    return str(record.environment.get("commit") or "")[:COMMIT]


def kept_folders(folders: tuple[Path, ...]) -> dict[str, Path]:
    """Kept adapters and models below the folders: RUN/CASE, or the name of a folder that was copied there."""
    found: dict[str, Path] = {}
    for name, folder in run_folders(folders).items():
        found |= {f"{name}/{path.parent.name}": path.parent for path in sorted(folder.glob(f"{FOLDER}/*/{MANIFEST}"))}
    for folder in folders:
        found |= {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{MANIFEST}"))}
    return {name: path for name, path in found.items() if is_inside(path / MANIFEST, folders)}
