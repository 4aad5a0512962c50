"""A record: the results of running a case once. It is one JSON line, written whole or not at all.

`exact` figures are equal on every machine; `noisy` ones can be compared on the same machine only.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, get_origin

from bench.core.case import Case, parse_case
from bench.core.outside_text import for_terminal
from bench.core.registry import first_few

SCHEMA = 1

OK = "ok"
OUT_OF_MEMORY = "out_of_memory"
CRASHED = "crashed"
TIMED_OUT = "timed_out"
FAILED = "failed"
NOT_RUN = "not_run"
PROCESS = "process"  # in noisy["memory"] instead of phases: the peak of the whole process so far
STATUSES = (OK, OUT_OF_MEMORY, CRASHED, TIMED_OUT, FAILED, NOT_RUN)


class BadRecord(ValueError):
    """A results file that cannot be read; the message names file and line, and is safe to show."""

    def __init__(self, says: str) -> None:
        super().__init__(for_terminal(says))


@dataclass(frozen=True)
class Record:
    """One case, run once.

    quality, quality_before: metric -> value, after and before training (losses in nats a token);
    exact: parameters, FLOPs and bytes that repeat; noisy: seconds, reserved bytes, joules;
    evidence: proofs that training happened; epochs: the quality after each; data, weights: identities;
    reasons: every automatic decision, a sentence each; last_lines: the worker's last lines of output;
    kept: the folder and digests of the weights that --keep kept, or the reason why none are kept;
    warnings: category, module and text of each warning; repeat: the number of the case's process, from 0.
    """

    case: str
    status: str
    reason: str = ""
    last_lines: list[str] = field(default_factory=list)
    recipe: dict[str, Any] = field(default_factory=dict)
    recipe_digest: str = ""
    quality: dict[str, float] = field(default_factory=dict)
    quality_before: dict[str, float] = field(default_factory=dict)
    quality_judged: bool = False
    exact: dict[str, Any] = field(default_factory=dict)
    noisy: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    predictions: str = ""
    kept: dict[str, Any] = field(default_factory=dict)
    warnings: list[dict[str, str]] = field(default_factory=list)
    repeat: int = 0
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status={self.status!r} must be one of {', '.join(STATUSES)}")

    @property
    def ok(self) -> bool:
        return self.status == OK

    @property
    def times(self) -> dict[str, Any]:
        """The noisy figures; {} if another case ran at the same time, which slowed this one down."""
        return {} if self.noisy.get("ran_beside") else self.noisy

    @property
    def peak_bytes(self) -> int | None:
        """The highest peak of the case's phases; None if only the whole process's peak is known."""
        return None if PROCESS in self.noisy.get("memory", {}) else self.noisy.get("peak_bytes")

    def parsed_case(self) -> Case:
        return parse_case(self.case)

    def to_line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


KINDS: dict[str, Any] = {item.name: get_origin(item.type) or item.type for item in fields(Record)}


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no figure")


def parse_record(line: str, where: str = "record") -> Record:
    """The record on one JSON line. Raises BadRecord naming the place."""
    try:
        values = json.loads(line, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        says = "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", error)
        raise BadRecord(f"{where}: cut or damaged JSON ({says}); delete the line to run its case again") from None
    if not isinstance(values, dict) or not {"case", "status"} <= values.keys():
        raise BadRecord(f"{where}: no record, it lacks case and status")
    if extra := values.keys() - KINDS.keys():
        raise BadRecord(f"{where}: unknown fields {', '.join(sorted(extra))}; written by a newer version?")
    for name, value in values.items():
        if type(value) is not KINDS[name]:
            raise BadRecord(f"{where}: {name} must be {KINDS[name].__name__}, not {type(value).__name__}")
    if values.get("schema", SCHEMA) != SCHEMA:
        raise BadRecord(f"{where}: schema {values['schema']}, this version reads {SCHEMA}; run its case again")
    try:
        parse_case(values["case"])
        return Record(**values)
    except ValueError as error:
        raise BadRecord(f"{where}: {error}") from None


@contextmanager
def open_records(path: Path) -> Iterator[BinaryIO]:
    """The records file, locked for this process until it is closed; other processes and machines wait for it.

    The lock is on the file itself, because appending is not atomic on a network file system, and a lock file could be
    left behind. The process with the lock may replace the file (`python -m bench rescore` does). So a process that
    waited checks whether the file that it opened is still in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield file
                return


def add_line(file: BinaryIO, text: str) -> None:
    """Add a record's line, after ending a line that a killed process left half-written."""
    line = text.encode() + b"\n"
    end = file.seek(0, os.SEEK_END)
    if end:
        file.seek(end - 1)
        if file.read(1) != b"\n":
            line = b"\n" + line
    file.write(line)
    file.flush()
    os.fsync(file.fileno())


def has_old_metrics(record: Record) -> bool:
    """Whether metrics are stored under names that mean something else today.

    `f1` of pos was once seqeval's F1 on bare tags, now `seqeval_f1`; only such records also have `precision`.
    """
    qualities = (record.quality, record.quality_before, *record.epochs)
    return record.parsed_case().task == "pos" and any("precision" in quality for quality in qualities)


def old_metrics(folder: Path, records: Iterable[Record]) -> str:
    """One sentence about the records with old metrics; empty if there are none."""
    named = first_few((record.case for record in records if has_old_metrics(record)), 1)
    return named and (
        f"{named} in the run {folder.name}: f1 there is seqeval's on bare tags, and today's is over words; "
        f"`python -m bench rescore {folder}` gives them today's metrics"
    )


def read_records(path: Path) -> tuple[dict[str, Record], list[str]]:
    """The newest record of each case, and a sentence for each line that could not be read.

    Records with old metrics are left out, with a sentence for all of them.
    """
    records, complaints = read_lines(path)
    if old := old_metrics(path.parent, records.values()):
        complaints.append(old)
    return {case: record for case, record in records.items() if not has_old_metrics(record)}, complaints


def read_lines(path: Path) -> tuple[dict[str, Record], list[str]]:
    """The newest record of each case, including records with old metrics, and a sentence for each unreadable line.

    For a repeated case this is its first repeat.
    """
    repeats, complaints = read_repeats(path)
    return {case: record for (case, repeat), record in repeats.items() if repeat == 0}, complaints


def read_repeats(path: Path) -> tuple[dict[tuple[str, int], Record], list[str]]:
    """The newest record of each case and repeat, and a sentence for each line that could not be read."""
    records, complaints = {}, []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = parse_record(decode_line(line, f"{path}:{number}"), f"{path}:{number}")
            records[record.case, record.repeat] = record
        except BadRecord as error:
            complaints.append(str(error))
    return records, complaints


def read_run(folder: Path) -> tuple[dict[str, Record], list[str]]:
    """The newest record of each case of a run that is to be judged, and a sentence for each damaged line.

    Raises BadRecord if no record can be read, or if one has old metrics.
    """
    records, complaints = read_lines(folder / "records.jsonl")
    if old := old_metrics(folder, records.values()):
        raise BadRecord(old)
    if not records:
        raise BadRecord("; ".join([f"no record in the run {folder.name}", *complaints]))
    return records, complaints


def decode_line(line: bytes, where: str) -> str:
    """The line as text; a killed process may have cut it inside a character."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise BadRecord(f"{where}: not UTF-8 at byte {error.start}; delete the line to run its case again") from None
