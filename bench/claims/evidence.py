"""What claims are judged by: the claims themselves, stored records, counts of data sets, answers about models."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.claims.entry import Claim, known, refuse
from bench.record import Record, read_records

Question = Mapping[str, Any]


@dataclass(frozen=True)
class Stored:
    """A record with the run it is of; name is RUN/case-id."""

    run: str
    folder: Path
    record: Record

    @property
    def name(self) -> str:
        return f"{self.run}/{self.record.case}"

    @cached_property
    def examples(self) -> list[dict[str, Any]]:
        """What was predicted for each held-out example; [] where it was not kept. Raises ValueError if damaged."""
        return self.rows(self.folder / self.record.predictions) if self.record.predictions else []

    @cached_property
    def probed(self) -> list[dict[str, Any]]:
        """What was said to each item of the probes; [] where none was asked. Raises ValueError if damaged."""
        return self.rows(self.folder / "predictions" / f"{self.record.case}.probes.jsonl")

    def rows(self, path: Path) -> list[dict[str, Any]]:
        if not path.is_file():
            return []
        try:
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except json.JSONDecodeError as error:
            raise ValueError(f"{self.name}: its predictions are cut or damaged ({error.msg})") from None


@dataclass(frozen=True)
class Evidence:
    """answers: of bench.structure, by key_of(question); unanswered: why there are none.

    census: what was counted in the full data sets, by task.
    """

    claims: Mapping[str, Claim]
    records: tuple[Stored, ...] = ()
    census: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    unanswered: str = "nobody asked"

    def answer(self, question: Question) -> Any:
        """The answer, or None where the worker could not give one."""
        return self.answers.get(key_of(question))


def key_of(question: Question) -> str:
    return json.dumps(question, sort_keys=True)


def stored_records(folders: Iterable[Path]) -> tuple[list[Stored], list[str]]:
    """The records of these runs, and a sentence for each line that could not be read."""
    stored: list[Stored] = []
    complaints: list[str] = []
    for folder in folders:
        records, told = read_records(folder / "records.jsonl")
        complaints += told
        stored += [Stored(folder.name, folder, record) for record in records.values()]
    return stored, complaints


def check_keys(claim: Claim, required: Mapping[str, Any], optional: Mapping[str, Any]) -> None:
    """Raises BadFile where `by` lacks a key, has one too many, or one of another type."""
    where = f"{claim.file} [{claim.id}]"
    kinds = {**required, **optional}
    for key, value in claim.by.items():
        known(where, "by", key, kinds)
        if type(value) not in kinds[key]:
            wanted = " or ".join(kind.__name__ for kind in kinds[key])
            raise refuse(where, f"by.{key}", f"{value!r} must be {wanted}, not {type(value).__name__}")
    if lacking := [key for key in required if key not in claim.by]:
        raise refuse(where, "by", f"lacks {', '.join(lacking)}")
