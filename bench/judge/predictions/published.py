"""A comparison of predictions with published figures, in two halves: an open one, and a sealed one that is only scored.

fixtures/published.toml has the figures with source and settings. The id alone decides which half a row is in, so nobody
can choose: a rule about a trainer may be checked against the open half, never against the sealed one. Rows that were
compared with predictions before the split are open, whatever their id.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from bench.core.files import BadFile, read_toml
from bench.core.paths import FIXTURES
from bench.machine.cards import AMPERE, CONTEXT_BYTES, GIB, MIB, blas_bytes, with_lost_share
from bench.methods import STORAGES
from bench.models import MODELS, ModelEntry
from bench.models.families import FAMILIES
from bench.predict.formula.closed_form import closed_form
from bench.predict.question import Question, ask
from bench.predict.trainers import read_trainer

FILE = FIXTURES / "published.toml"
AGREES = 0.10  # allows for reserved memory and for figures printed in whole gigabytes
GOAL_ALLOCATED, GOAL_ALL = 0.05, 0.08  # for the medians of absolute errors on the sealed half
UNITS = {"GB": 10**9, "GiB": GIB, "MiB": MIB}
ALLOCATED, UNSTATED, RESERVED, DRIVER, CARD = "allocated", "unstated", "reserved", "driver", "card"
KINDS = (ALLOCATED, UNSTATED, RESERVED, DRIVER, CARD)
OPEN, SEALED = "open", "sealed"
BY_TRAINER = "by trainer"  # a predictor: the profile of the program that was measured
OWN = "own step"  # a predictor: this project's training step, whatever program was measured
SEALED_FROM = 5  # the first hexadecimal digit of the SHA-256 of a sealed row's id is at least this: 11 of 16
ANY_MODEL = "llama31_8b"  # a question starts from its recipe; the row sets every number that matters


@dataclass(frozen=True)
class Published:
    """One published figure with the settings that its source states; fixtures/published.toml explains them."""

    id: str
    source: str
    program: str
    year: int
    trainer: str
    url: str
    says: str
    figure: float
    unit: str
    kind: str
    model: str
    method: str
    batch: int
    length: int
    rank: int
    checkpointing: bool
    targets: tuple[str, ...] = ()
    storage: str = ""
    double: bool = True
    dropout: float = 0.0
    optimizer: str = "adamw"
    offload: bool = False
    known: bool = False
    note: str = ""

    @property
    def published_bytes(self) -> float:
        return self.figure * UNITS[self.unit]

    @property
    def half(self) -> str:
        """The half that the row belongs to, by its id alone."""
        digit = int(hashlib.sha256(self.id.encode()).hexdigest()[0], 16)
        return SEALED if digit >= SEALED_FROM and not self.known else OPEN

    def question(self, models: Mapping[str, ModelEntry]) -> Question:
        """The measured step as a question to this project's predictor; models: those without an entry."""
        has_rank = self.method != "full"
        asked = ask(ANY_MODEL, self.method, batch_size=self.batch, rank=self.rank if has_rank else None,
                    dropout=self.dropout, optimizer=self.optimizer, gradient_checkpointing=self.checkpointing,
                    gradient_accumulation_steps=1, offload_checkpoints=self.offload)  # fmt: skip
        method = replace(asked.method, storage=self.storage or asked.method.storage)
        if self.targets:
            method = replace(method, targets=lambda model: self.targets)
        entry = models[self.model] if self.model in models else MODELS[self.model]
        return replace(asked, entry=entry, method=method, recipe=replace(asked.recipe, max_length=self.length))

    def of_kind(self, tensor_bytes: int) -> int:
        """A figure of this kind if tensors hold tensor_bytes: it may add reserved memory, and CUDA's own."""
        if self.kind in (ALLOCATED, UNSTATED):
            return tensor_bytes
        reserved = with_lost_share(tensor_bytes + blas_bytes(AMPERE))
        return reserved if self.kind == RESERVED else reserved + CONTEXT_BYTES


@dataclass(frozen=True)
class Compared:
    """A published figure and its predictions, in bytes."""

    published: Published
    predictions: Mapping[str, int | None]  # by predictor; None if it has no prediction

    def error(self, predicted: float) -> float:
        return predicted / self.published.published_bytes - 1

    @property
    def agrees(self) -> bool:
        """Whether the prediction by the trainer's profile is near enough."""
        return abs(self.error(self.predictions[BY_TRAINER] or 0)) <= AGREES


def read_models() -> dict[str, ModelEntry]:
    """The architectures that the file defines; they are not entries, because nothing runs them."""
    found = {}
    for name, numbers in read_toml(FILE).get("models", {}).items():
        config = {"max_position_embeddings": 1 << 20, **numbers}
        family = config.pop("family")
        if "sliding_window" in FAMILIES[family].optional:
            config.setdefault("sliding_window", None)
        found[name] = ModelEntry(name, f"by {FILE.name}", family, config, hub_id=name)
    return found


def read_published() -> list[Published]:
    """The figures of the file. Raises BadFile for a row with a wrong or missing field."""
    return list(rows_of(read_toml(FILE).get("source", [])))


def rows_of(sources: list[dict[str, Any]]) -> Iterator[Published]:
    """Each source's rows, with the settings that they share filled in."""
    names = {item.name for item in fields(Published)}
    needed = {item.name for item in fields(Published) if item.default is MISSING}
    for source in sources:
        shared = {name: value for name, value in source.items() if name != "rows"}
        for row in source.get("rows", []):
            found = {**shared, **row}
            where = f"{FILE.name}: {found.get('id', 'a row without id')}"
            if wrong := (found.keys() - names) | (needed - found.keys()):
                raise BadFile(f"{where}: wrong or missing {', '.join(sorted(wrong))}")
            for name, allowed in (("unit", UNITS), ("kind", KINDS), ("storage", ("", *STORAGES))):
                if (seen := found.get(name, "")) not in allowed:
                    raise BadFile(f"{where}: {name} {seen!r} must be one of {', '.join(allowed)}")
            yield Published(**{**found, "targets": tuple(found.get("targets", ()))})


def read_cases(others: Mapping[str, Mapping[str, int | None]]) -> list[Compared]:
    """Every figure with today's predictions and with others, the estimators' answers: estimator -> row -> bytes."""
    models = read_models()
    return [
        Compared(one, {**predictions(one, models), **{name: said.get(one.id) for name, said in others.items()}})
        for one in read_published()
    ]


def predictions(one: Published, models: Mapping[str, ModelEntry]) -> dict[str, int | None]:
    """Each predictor's value for the published figure, as a figure of its kind."""
    asked = one.question(models)
    by_trainer = asked.by(read_trainer(one.trainer))
    return {
        name: one.of_kind(closed_form(question, double=one.double).peak_bytes)
        for name, question in ((BY_TRAINER, by_trainer), (OWN, asked))
    }
