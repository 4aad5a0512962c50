"""Methods: what is trained, and how the base is stored. Each is one function that returns peft's configuration.

An entry states what the method promises, and tests check it. The formula for its trainable parameters comes from the
method's paper, not from peft. No code checks a method's name: whatever code must know is a fact on the entry.

May import: core, machine, models.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.core.recipe import MULTIPLE, Recipe
from bench.core.registry import Registry
from bench.methods.formulas import AdaptedLayer, Scale
from bench.methods.targets import all_linear
from bench.models import DECODER, ENCODER, BadEntry, ModelEntry
from bench.models.families import Linear
from bench.models.shapes import positions, target_layers

ALL = "all"
HEAD = "head"
ADAPTER = "adapter"
TRAINS = (ALL, HEAD, ADAPTER)
ADAPTER_NAME = "default"  # peft's name of a model's first adapter

PLAIN = "plain"  # float32, or bfloat16 if the recipe computes in it and the base is frozen
INT8 = "int8"
NF4 = "nf4"
STORAGES = (PLAIN, INT8, NF4)


class Unsupported(ValueError):
    """A pair of method and model that cannot work; says why."""


@dataclass(frozen=True)
class Attach:
    """What a method's function gets: the model's entry, the recipe, the number of optimizer steps and the seed."""

    model: ModelEntry
    recipe: Recipe
    steps: int
    seed: int = 0  # the case's, for what a configuration draws by a seed of its own

    @property
    def peft_task(self) -> str:
        return "TOKEN_CLS" if self.model.kind == ENCODER else "CAUSAL_LM"


def no_objection(model: ModelEntry) -> str:
    return ""


def no_misfit(layers: list[Linear], recipe: Recipe) -> str:
    return ""


def own_update(recipe: Recipe) -> int:
    return 1


@dataclass(frozen=True)
class Method:
    """An entry. run(attach) -> a peft configuration, or None for a method that does not use peft.

    targets(model): the modules it adapts. count(layers, model, recipe): its trainable parameters without the head, None
    if there is no formula. Raises BadEntry if `storage` or `trains` is not a known value.
    """

    name: str
    says: str
    run: Callable[[Attach], Any]
    paper: str = ""
    count: Callable[[list[Linear], ModelEntry, Recipe], int] | None = None
    targets: Callable[[ModelEntry], tuple[str, ...]] = all_linear
    formula: Callable[[AdaptedLayer, float], Any] | None = None  # what it adds to a layer's output, by its paper
    scale: Scale | None = None  # the factor in that formula
    trains: str = ADAPTER
    storage: str = PLAIN
    identity_at_start: bool = True  # attached but untrained, it gives the base's logits
    disable_gives_base: bool = True  # switched off, it gives the base's logits
    keeps_base: bool = True  # the base's weights stay as loaded, even while attaching
    mergeable: bool = True
    thin_products: bool = False  # the update is only B A x beside each adapted layer, with nothing of W's size
    updates_in_a_layer: Callable[[Recipe], int] = own_update  # recipe -> how many updates of rank r a layer sums
    no_closed_form: str = ""  # why memory has no closed form, for a method without thin products
    no_trace: str = ""  # why the traced prediction cannot follow it
    adapter_dropout: bool = False  # the recipe's dropout acts in the adapter, otherwise in the base's layers
    frozen_parts: tuple[str, ...] = ()  # parameters that peft trains but the method does not
    prunes: bool = False  # its file leaves out what training has pruned
    starts_from_rounding: bool = False  # A and B start as the best low-rank part of what packing rounds off W (LoftQ)
    rounds_at_start: bool = False  # at the start it equals the base except for rounding
    stores_more: str = ""  # why its file holds more than what trains
    kinds: tuple[str, ...] = (ENCODER, DECODER)
    unsuited: Callable[[ModelEntry], str] = no_objection  # model -> why it cannot work there; empty if it can
    misfit: Callable[[list[Linear], Recipe], str] = no_misfit  # adapted layers, recipe -> why they do not fit; or empty
    packs: bool = True  # position ids keep the examples of one row apart
    checkpoints: bool = True  # trains under gradient checkpointing
    random_start: bool = True  # another seed gives other initial values
    alone: str = ""  # why a second adapter cannot be attached beside the first
    multiplies_weights: bool = False  # merging multiplies W, and unmerging does so by the inverse
    no_sum: str = ""  # why two adapters that act at once cannot be merged, or do not add up
    pads_right_only: str = ""  # why padding at a row's left changes its logits
    after: str = ""  # the method that is trained and merged first
    own_tuner: str = ""  # why plain peft cannot load its adapter
    views: Callable[[Recipe], list[tuple[str, Callable[[Any], None]]]] | None = None  # names of the models that one
    # training gives, the whole one last, each with what turns the model into it
    named_only: bool = False  # its cases run only where it is named: not all methods fit into a default run
    in_sweeps: bool = False  # task variants (a source's sweeps) run with it unless methods are named
    penalty: Callable[[Any], Any] | None = None  # (model) -> a term of the loss, once per optimizer step
    after_step: Callable[[Any, int], None] | None = None  # (model, step) after each optimizer step
    report: Callable[[Any], dict[str, Any]] | None = None  # (model) -> more evidence after training

    def __post_init__(self) -> None:
        for name, choices in (("trains", TRAINS), ("storage", STORAGES)):
            if (seen := getattr(self, name)) not in choices:
                allowed = ", ".join(choices)
                raise BadEntry(f"the method {self.name} has {name} = {seen!r}; it must be one of {allowed}")
        if self.thin_products and self.count is None:
            raise BadEntry(f"the method {self.name} has thin_products and no count, by which FLOPs and memory follow")

    @property
    def is_adapter(self) -> bool:
        return self.trains == ADAPTER

    @property
    def quantised(self) -> bool:
        return self.storage != PLAIN

    def adds_up(self, model: ModelEntry) -> bool:
        """Whether two adapters can act at once and be merged, with the same result.

        peft lets only one of an encoder's new classifiers act, and merging into a packed base rounds.
        """
        return self.mergeable and not (self.alone or self.no_sum or self.quantised) and model.kind == DECODER

    def suits(self, model: ModelEntry) -> bool:
        return not self.refusal(model)

    def refusal(self, model: ModelEntry) -> str:
        """Why the method cannot work with the model, whatever the recipe; empty if it can."""
        if model.kind not in self.kinds:
            return f"{self.name} does not suit {model.name}: it is for {' and '.join(self.kinds)} models"
        if why := self.unsuited(model):
            return f"{self.name} does not suit {model.name}: {why}"
        return ""

    def virtual_tokens(self, recipe: Recipe) -> int:
        """The number of virtual tokens before each row; each takes a position."""
        return 0 if self.packs else recipe.virtual_tokens

    def longest_row(self, model: ModelEntry, recipe: Recipe) -> int:
        """The longest padded row that the model has positions for; below 1 if virtual tokens take them all."""
        return (positions(model) - self.virtual_tokens(recipe)) // MULTIPLE * MULTIPLE

    def longest_row_words(self, model: ModelEntry, recipe: Recipe) -> str:
        """longest_row in words."""
        before = self.virtual_tokens(recipe)
        beside = f" beside {before} virtual tokens" if before else ""
        return (
            f"{self.longest_row(model, recipe)} tokens, the most in multiples of {MULTIPLE} that {model.name} has "
            f"positions for{beside}"
        )

    def where_rows_end(self, model: ModelEntry, recipe: Recipe) -> list[str]:
        """A note for the record when rows are cut at the model's maximum length."""
        full = recipe.max_length == self.longest_row(model, recipe)
        return [f"rows end at {self.longest_row_words(model, recipe)}"] if full else []

    def check(self, model: ModelEntry, recipe: Recipe) -> None:
        """Raises Unsupported, with the reason, for a model or a recipe that the method cannot work with."""
        if refusal := self.refusal(model):
            raise Unsupported(refusal)
        if self.prunes and recipe.initial_rank < recipe.rank:
            raise Unsupported(
                f"{self.name} prunes from initial_rank = {recipe.initial_rank} to rank = {recipe.rank}; "
                "initial_rank must not be below rank"
            )
        if misfit := self.misfit(target_layers(model, self.targets(model)), recipe):
            raise Unsupported(f"{self.name} does not fit {model.name}: {misfit}")
        if recipe.packing and model.kind == ENCODER:
            raise Unsupported(
                f"packed rows are for decoders: {model.name} is an encoder, and the examples of one row would attend "
                "to each other; packing = false"
            )
        if recipe.packing and not self.packs:
            raise Unsupported(
                f"{self.name} cannot train packed rows: its virtual tokens come once a row; packing = false"
            )
        if self.longest_row(model, recipe) < 1:
            raise Unsupported(
                f"{self.name}'s {self.virtual_tokens(recipe)} virtual tokens leave less than {MULTIPLE} of "
                f"{model.name}'s {positions(model)} positions to the text"
            )
        if recipe.gradient_checkpointing and not self.checkpoints:
            raise Unsupported(
                f"{self.name} cannot train {model.name} under gradient checkpointing: transformers drops the keys and "
                "values that it puts before the text; gradient_checkpointing = false"
            )
        if recipe.gradient_checkpointing and not model.family.checkpoints:
            raise Unsupported(
                f"{model.name} has no gradient checkpointing: transformers' {model.family.model_type} cannot do it; "
                "gradient_checkpointing = false"
            )
        if recipe.loss == "chunked" and model.kind == ENCODER:
            raise Unsupported(f"loss = 'chunked' is for a head over a vocabulary; {model.name} has a classifier")


METHODS: Registry[Method] = Registry("method")

from bench.methods import adaptive, lora, quantised, rescaling, tokens, whole  # noqa: E402, F401  (register themselves)

# isort: split
# Methods that run only when they are named come last, so that the others keep their places in tables and their colours.
from bench.methods import blocks, derived, full_rank, optimizers  # noqa: E402, F401
