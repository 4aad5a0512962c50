"""A fetch of weights before they are needed, by `python -m bench fetch [MODEL…]` and once per pytest session."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.core.work import VARIABLES
from bench.models import MODELS
from bench.sources.data import DataSpec, load_rows
from bench.sources.errors import SourceError
from bench.sources.hub import UNREACHABLE, hub_answers
from bench.sources.weights import Weights, find_weights

PREPARE = "bench.sources.fetch:prepare"  # as named in a job


@dataclass(frozen=True)
class NeededSources:
    """The sources that a session's cases need: weights by model, and raw rows by task, each a spec and a data size."""

    models: tuple[str, ...]
    mirror: Path | None = None
    synthetic: bool = False
    data: Mapping[str, tuple[DataSpec, str]] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """The needs in JSON types, for a worker."""
        data = {task: [asdict(spec), size] for task, (spec, size) in self.data.items()}
        return {**asdict(self), "models": list(self.models), "mirror": str(self.mirror or ""), "data": data}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "NeededSources":
        """The needs that these values were made from."""
        types = {
            "models": tuple(values["models"]),
            "mirror": Path(values["mirror"]) if values["mirror"] else None,
            "data": {task: (spec_from(spec), size) for task, (spec, size) in values["data"].items()},
        }
        return cls(**{**values, **types})


def spec_from(values: Mapping[str, Any]) -> DataSpec:
    """The spec that these values were made from; JSON turns tuples into lists."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return DataSpec(**fields)


def prepare(payload: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """A worker's job: the result of look_up for a whole session, and under "away" why the Hub cannot be reached.

    Under VARIABLES is what keeps the cases of this machine from asking the Hub again.
    """
    needed = NeededSources.from_plain(payload)
    if not needed.synthetic:
        say({"line": f"looking for the weights of {', '.join(needed.models)}"})
    found = look_up(needed)
    answer = hub_answers()
    away = "" if answer.ok else answer.reason
    return {**found, "away": away, VARIABLES: {UNREACHABLE: away} if away else {}}


def look_up(needed: NeededSources) -> dict[str, Any]:
    """Find the needed weights and raw rows.

    Returns weights (model -> the facts for a record, and the reason) and rows (task -> identity, "" for rows that are
    not available).
    """
    return {
        "weights": {name: weights_found(name, needed.mirror, needed.synthetic) for name in needed.models},
        "rows": {task: rows_identity(spec, size, needed.mirror) for task, (spec, size) in needed.data.items()},
    }


def weights_found(name: str, mirror: Path | None, synthetic: bool) -> dict[str, Any]:
    """The facts about the weights that go into a record, and the reason; no identity if they cannot be used."""
    try:
        found = find_weights(MODELS[name], mirror, synthetic)
    except SourceError as error:  # the case itself will fail with this error
        return {"origin": "", "identity": "", "reason": str(error)}
    return {**found.identities(), "reason": found.reason}


def rows_identity(spec: DataSpec, size: str, mirror: Path | None) -> str:
    try:
        return load_rows(spec, size, mirror).identity
    except SourceError:  # the case itself will report it
        return ""


def fetch(names: list[str], mirror: Path | None) -> list[tuple[str, Weights]]:
    """Fetch each named model's weights (the default run's if none is named); origin "synthetic" means none found.

    Raises UnknownName before anything is fetched, and SourceError for a broken folder of the mirror.
    """
    entries = [MODELS[name] for name in names] or [entry for entry in MODELS if entry.runs_unasked]
    return [(entry.name, find_weights(entry, mirror)) for entry in entries]
