"""Stored records, each with the run that it belongs to; predictions are read when they are needed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.core.paths import is_inside
from bench.records.record import Record, read_records
from bench.records.run_folder import answers_file


@dataclass(frozen=True)
class Stored:
    """A record with its run; name is RUN/case-id."""

    run: str
    folder: Path
    record: Record

    @property
    def name(self) -> str:
        return f"{self.run}/{self.record.case}"

    @cached_property
    def examples(self) -> list[dict[str, Any]]:
        """The prediction for each held-out example; [] if none was kept. Raises ValueError, as rows does."""
        return self.rows(self.folder / self.record.predictions) if self.record.predictions else []

    @cached_property
    def probe_answers(self) -> list[dict[str, Any]]:
        """The answer to each probe item; [] if none was asked. Raises ValueError, as rows does."""
        return self.rows(self.probe_answers_path)

    @property
    def probe_answers_path(self) -> Path:
        return answers_file(self.folder, self.record.case, "probes")

    @cached_property
    def predictions_before(self) -> list[dict[str, Any]]:
        """The prediction for each held-out example before training; [] if none was kept.

        Raises ValueError, as rows does.
        """
        return self.rows(answers_file(self.folder, self.record.case, "before"))

    def rows(self, path: Path) -> list[dict[str, Any]]:
        """The file's rows; [] if there is none. Raises ValueError if it is damaged or outside the run's folder."""
        if not is_inside(path, [self.folder]):
            raise ValueError(f"{self.name}: its predictions are outside the run's folder, {path}")
        if not path.is_file():
            return []
        try:
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except json.JSONDecodeError as error:
            raise ValueError(f"{self.name}: its predictions are cut or damaged ({error.msg})") from None


def stored_records(folders: Iterable[Path]) -> tuple[list[Stored], list[str]]:
    """The records of these runs, and a sentence for each line that could not be read."""
    stored: list[Stored] = []
    complaints: list[str] = []
    for folder in folders:
        records, told = read_records(folder / "records.jsonl")
        complaints += told
        stored += [Stored(folder.name, folder, record) for record in records.values()]
    return stored, complaints
