"""Tasks: what a model is tuned for and how it is scored. One file each.

A task turns rows into token ids with labels, and the model's results on held-out rows into metrics.
Nothing here imports torch: ids are lists, and scores are computed from plain numbers.

May import: core, machine, models, methods, recipes, probes, sources.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.core.recipe import Recipe
from bench.core.registry import Registry
from bench.models import ModelEntry
from bench.sources.data import DataSpec

IGNORE = -100  # the label of a token that is not scored, as in torch's cross-entropy


class BadData(ValueError):
    """Rows that cannot be trained on; the message names data, row and remedy."""


@dataclass(frozen=True)
class Example:
    """One row as the model sees it: token ids and a label for each, IGNORE for tokens that are not scored."""

    key: str  # names the row in predictions
    input_ids: list[int]
    labels: list[int]
    prompt: str = ""
    answer: str = ""
    unscored: list[int] = field(default_factory=list)  # labels of words without a token

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class Prepared:
    """A task's data for one model."""

    train: list[Example]
    held_out: list[Example]
    labels: list[str] = field(default_factory=list)  # of a classifier, by index
    truncated_share: float = 0.0
    reasons: list[str] = field(default_factory=list)

    def identity(self) -> str:
        """A hash of the texts and answers in the training and held-out parts; it does not depend on the tokenizer.

        It changes with the rows, and with how the task cleans, splits, words and orders them. It includes the tags of
        held-out words without a prediction, and tokenizer and max_length decide which words those are.
        """
        parts = [[self.texts(example) for example in part] for part in (self.train, self.held_out)]
        for texts, example in zip(parts[1], self.held_out, strict=True):
            if example.unscored:  # without a prediction, but their tags count in the metrics
                texts.append([self.labels[label] for label in example.unscored])
        text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"

    def texts(self, example: Example) -> list[Any]:
        """The example without its token ids, and with the names of a classifier's labels."""
        names = [self.labels[label] for label in example.labels if label != IGNORE] if self.labels else []
        return [example.key, example.prompt, example.answer, names]


@dataclass(frozen=True)
class Score:
    """quality: metric -> value; examples: a row each for the predictions file; tables: for the record."""

    quality: dict[str, float]
    examples: list[dict[str, Any]]
    tables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceAnswer:
    """A question of a source with the answer that it states, and where it stands."""

    question: str
    answer: str
    where: str


@dataclass(frozen=True)
class Task:
    """An entry. run(rows, tokenizer, recipe) -> Prepared; score(prepared, outcomes) -> Score.

    prompt(question, tokenizer) -> a person's question in the form of the task's prompts; None for labelling words.
    """

    name: str
    says: str
    kind: str  # the models it suits: ENCODER or DECODER
    data: DataSpec
    run: Callable[[dict[str, list[dict]], Any, Recipe], Prepared]
    score: Callable[[Prepared, Sequence[dict[str, Any]]], Score]
    metric: str  # the headline
    greater_is_better: bool
    smoke_methods: tuple[str, ...] = ()  # the methods that are not slow with an embedded model; (): all
    embedded: bool = True  # embedded models run it by default, not only a source's models
    variant_of: str = ""  # the task that this one repeats with another recipe: a source's sweep
    in_smoke: bool = True  # False: slow until the task is named, and then but for its smoke_methods and named ones
    probes: tuple[str, ...] = ()  # probe families that its cases are always asked
    prompt: Callable[[str, Any], str] | None = None
    source_answers: tuple[SourceAnswer, ...] = ()

    def suits(self, model: ModelEntry) -> bool:
        return not self.refusal(model)

    def refusal(self, model: ModelEntry) -> str:
        """Why the model cannot be tuned for the task; empty if it can."""
        suits = model.kind == self.kind
        return "" if suits else f"{self.name} is a task for {self.kind} models, and {model.name} is not one"

    def improvement(self, before: float, after: float) -> float:
        """How much better `after` is than `before`; negative if it is worse."""
        return after - before if self.greater_is_better else before - after


TASKS: Registry[Task] = Registry("task")

from bench.tasks import alpaca, medqa, numbers, pos, support, variants  # noqa: E402, F401  (they register themselves)
