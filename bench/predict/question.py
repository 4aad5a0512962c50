"""What is asked: a model, a method and a recipe, of which the memory of a training step is wanted."""

from dataclasses import dataclass, replace
from typing import Any

from bench.case import Case
from bench.case_recipe import recipe_for
from bench.methods import METHODS, Method
from bench.models import ENCODER, MODELS, ModelEntry
from bench.recipe import Recipe

TASK = {"encoder": "pos", "decoder": "alpaca"}  # whose recipe is asked about
TAGS = 48  # labels of source 001's data; what a classifier has where nobody says


class BadQuestion(ValueError):
    """A number that cannot be; the message says what was seen and what was expected."""


@dataclass(frozen=True)
class Question:
    """A training step: labels are the classes of an encoder's head, 0 for a language head."""

    entry: ModelEntry
    method: Method
    recipe: Recipe
    labels: int

    def at(self, **changes: Any) -> "Question":
        """The same question with other hyperparameters."""
        return replace(self, recipe=replace(self.recipe, **changes))

    @property
    def words(self) -> str:
        recipe = self.recipe
        kept = "layer inputs alone" if recipe.gradient_checkpointing else "all activations"
        return (
            f"{self.entry.name} × {self.method.name}: batch {recipe.batch_size} × {recipe.max_length} tokens, "
            f"rank {recipe.rank}, {recipe.precision}, {kept} kept for backward"
        )


LEAST = {"batch_size": "batch", "max_length": "length", "rank": "rank"}


def ask(model: str, method: str, **changes: Any) -> Question:
    """The question about a model and a method by name, with the task's recipe on full data and these changes.

    Its length, where none is given, is no more than the model has positions for.
    Raises UnknownName, Unsupported for what cannot work together, BadQuestion for a number that is below 1, beyond the
    model or not in its config.
    """
    entry = MODELS[model]
    given = {name: value for name, value in changes.items() if value is not None}
    for name, says in LEAST.items():
        if given.get(name, 1) < 1:
            raise BadQuestion(f"{says} {given[name]} must be at least 1")
    question = of_case(Case(TASK[entry.kind], model, method, "cuda"), "full", **given)
    if question.recipe.max_length < given.get("max_length", 1):
        longest = question.method.longest_row_words(entry, question.recipe)
        raise BadQuestion(f"length {given['max_length']} is more than {longest}")
    return question


def of_case(case: Case, data: str, **changes: Any) -> Question:
    """The question about a case's model and method, with its recipe on this size of data and these changes.

    Raises UnknownName, Unsupported for what cannot work together, BadQuestion for a number that the config lacks.
    """
    entry, method = MODELS[case.model], METHODS[case.method]
    check_config(entry)
    recipe = recipe_for(case, data, **changes)
    method.check(entry, recipe)
    return Question(entry, method, recipe, TAGS if entry.kind == ENCODER else 0)


def check_config(entry: ModelEntry) -> None:
    """Raises BadQuestion if the model's config lacks a number that a prediction needs."""
    needed = NEEDED.get(entry.family_name, NEEDED_OF_ENCODERS)
    if missing := [name for name in needed if name not in entry.config]:
        raise BadQuestion(f"the config of {entry.name} lacks {', '.join(missing)}; add it to the model's entry")


NEEDED = {
    "llama": ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
              "intermediate_size", "max_position_embeddings"),
    "gpt2": ("vocab_size", "n_embd", "n_layer", "n_head", "n_positions"),
}  # fmt: skip
NEEDED_OF_ENCODERS = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                      "max_position_embeddings")  # fmt: skip
