"""The question to predict: the memory of a training step of a model, a method and a recipe."""

from dataclasses import dataclass, replace
from typing import Any

from bench.core.case import Case
from bench.core.recipe import Recipe
from bench.methods import ADAPTER, ALL, METHODS, Method, Unsupported
from bench.methods.parameters import formula
from bench.models import DECODER, ENCODER, MODELS, ModelEntry
from bench.predict.trainers import OWN, Trainer
from bench.recipes.of_case import recipe_for

TASK = {"encoder": "pos", "decoder": "alpaca"}  # the task whose recipe is used
TAGS = 48  # labels of source 001's data; a classifier's default


class BadQuestion(ValueError):
    """An impossible number; the message says what was seen and what was expected."""


@dataclass(frozen=True)
class Question:
    """A training step: labels are the classes of an encoder's head, 0 for a language head."""

    entry: ModelEntry
    method: Method
    recipe: Recipe
    labels: int
    trainer: Trainer = OWN

    def by(self, trainer: Trainer) -> "Question":
        """The same question about another program's step."""
        trains_all, quantised = self.method.trains == ALL, self.method.quantised
        return replace(self, recipe=trainer.adapt_recipe(self.recipe, trains_all, quantised), trainer=trainer)

    def at(self, **changes: Any) -> "Question":
        """The same question with other hyperparameters."""
        return replace(self, recipe=replace(self.recipe, **changes))

    @property
    def has_rank(self) -> bool:
        """Whether the method's trained weights depend on the recipe's rank; without a formula they may."""
        if self.method.trains == ADAPTER and self.method.count is None:
            return True
        counts = {formula(self.entry, self.method, self.at(rank=rank).recipe, self.labels) for rank in (1, 2)}
        return len(counts) > 1 or self.method.prunes

    @property
    def words(self) -> str:
        recipe = self.recipe
        rank = f"rank {recipe.rank}, " if self.has_rank else ""
        by = f" by {self.trainer.name}" if self.trainer.name else ""
        return (
            f"{self.entry.name} × {self.method.name}{by}: batch {recipe.batch_size} × {recipe.max_length} tokens, "
            f"{rank}{recipe.precision}, gradient checkpointing {'on' if recipe.gradient_checkpointing else 'off'}"
        )


LEAST = {"batch_size": "batch", "max_length": "length", "rank": "rank"}


def ask(model: str, method: str, **changes: Any) -> Question:
    """The question about a model and a method by name, with the task's recipe on full data and these changes.

    A decoder uses gradient checkpointing, whatever its cases' recipe says, unless the changes turn it off or the method
    cannot train with it. The default length is at most the model's number of positions.
    Raises UnknownName, Unsupported for parts that cannot work together, BadQuestion for a number below 1 or beyond the
    model.
    """
    entry = MODELS[model]
    if why := METHODS[method].no_trace:
        raise Unsupported(f"{method} cannot be predicted: it has no closed form, and {why}")
    given = {name: value for name, value in changes.items() if value is not None}
    for name, says in LEAST.items():
        if given.get(name, 1) < 1:
            raise BadQuestion(f"{says} {given[name]} must be at least 1")
    if entry.kind == DECODER:
        given.setdefault("gradient_checkpointing", METHODS[method].checkpoints)
    question = of_case(Case(TASK[entry.kind], model, method, "cuda"), "full", **given)
    if "rank" in given and not question.has_rank:
        raise BadQuestion(f"{method} has no rank")
    if question.recipe.max_length < given.get("max_length", 1):
        longest = question.method.longest_row_words(entry, question.recipe)
        raise BadQuestion(f"length {given['max_length']} is more than {longest}")
    return question


def of_case(case: Case, data: str, **changes: Any) -> Question:
    """The question about a case's model and method, with its recipe on this size of data and these changes.

    Raises UnknownName, and Unsupported for parts that cannot work together.
    """
    entry, method = MODELS[case.model], METHODS[case.method]
    recipe = recipe_for(case, data, **changes)
    method.check(entry, recipe)
    return Question(entry, method, recipe, TAGS if entry.kind == ENCODER else 0)
