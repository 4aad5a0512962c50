"""Families: what models of one architecture share, in transformers' own names. No torch, no weights.

The linear layers of a transformer layer are copied from each architecture's code in transformers 5, so that a method's
target modules select the same layers here and in peft.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ENCODER = "encoder"
DECODER = "decoder"
Config = Mapping[str, Any]
# A linear layer's input: the output of one of its layer's norms or of attention, or the feed-forward product.
FIRST_NORM, SECOND_NORM, ATTENTION, INNER = "first norm", "second norm", "attention", "inner"


@dataclass(frozen=True)
class Linear:
    """One linear layer: y = W x with W (outputs, inputs), + b if biased; name is its path inside its layer."""

    name: str
    inputs: int
    outputs: int
    biased: bool
    reads: str  # FIRST_NORM, SECOND_NORM, ATTENTION or INNER; layers with the same input share one tensor


def bert_layer(config: Config) -> list[Linear]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    return [
        Linear("attention.self.query", hidden, hidden, True, FIRST_NORM),
        Linear("attention.self.key", hidden, hidden, True, FIRST_NORM),
        Linear("attention.self.value", hidden, hidden, True, FIRST_NORM),
        Linear("attention.output.dense", hidden, hidden, True, ATTENTION),
        Linear("intermediate.dense", hidden, inner, True, SECOND_NORM),
        Linear("output.dense", inner, hidden, True, INNER),
    ]


def mpnet_layer(config: Config) -> list[Linear]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    return [
        Linear("attention.attn.q", hidden, hidden, True, FIRST_NORM),
        Linear("attention.attn.k", hidden, hidden, True, FIRST_NORM),
        Linear("attention.attn.v", hidden, hidden, True, FIRST_NORM),
        Linear("attention.attn.o", hidden, hidden, True, ATTENTION),
        Linear("intermediate.dense", hidden, inner, True, SECOND_NORM),
        Linear("output.dense", inner, hidden, True, INNER),
    ]


def gpt2_layer(config: Config) -> list[Linear]:
    hidden = config["n_embd"]
    return [
        Linear("attn.c_attn", hidden, 3 * hidden, True, FIRST_NORM),
        Linear("attn.c_proj", hidden, hidden, True, ATTENTION),
        Linear("mlp.c_fc", hidden, 4 * hidden, True, SECOND_NORM),
        Linear("mlp.c_proj", 4 * hidden, hidden, True, INNER),
    ]


def head_size(config: Config) -> int:
    """Width of one attention head; the config of a Llama-like model may state it."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def llama_like_layer(config: Config, inwards: bool, outwards: bool, feedforward: bool) -> list[Linear]:
    """A layer of a Llama-like model. The flags say which linear layers have biases: queries, keys and values;
    attention's output; the feed-forward layers.
    """
    hidden, inner, head = config["hidden_size"], config["intermediate_size"], head_size(config)
    queries, keys = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    return [
        Linear("self_attn.q_proj", hidden, queries, inwards, FIRST_NORM),
        Linear("self_attn.k_proj", hidden, keys, inwards, FIRST_NORM),
        Linear("self_attn.v_proj", hidden, keys, inwards, FIRST_NORM),
        Linear("self_attn.o_proj", queries, hidden, outwards, ATTENTION),
        Linear("mlp.gate_proj", hidden, inner, feedforward, SECOND_NORM),
        Linear("mlp.up_proj", hidden, inner, feedforward, SECOND_NORM),
        Linear("mlp.down_proj", inner, hidden, feedforward, INNER),
    ]


def llama_layer(config: Config) -> list[Linear]:
    attention = config.get("attention_bias", False)
    return llama_like_layer(config, attention, attention, config.get("mlp_bias", False))


def mistral_layer(config: Config) -> list[Linear]:
    return llama_like_layer(config, False, False, False)


def qwen2_layer(config: Config) -> list[Linear]:
    return llama_like_layer(config, True, False, False)


def layer_without_mlp_bias(config: Config) -> list[Linear]:
    attention = config.get("attention_bias", False)
    return llama_like_layer(config, attention, attention, False)


@dataclass(frozen=True)
class Window:
    """A sliding window: how many tokens attention looks back, and in how many of the layers."""

    tokens: int
    layers: int


def window_of(config: Config, layers: int) -> Window | None:
    """The window of this many layers, if there is one; 4,096 is transformers' default."""
    tokens = config.get("sliding_window", 4096)
    return Window(tokens, layers) if tokens and layers > 0 else None


def sliding_layers(config: Config, otherwise: int) -> int:
    """The number of layers with a sliding window, from the kinds of layers that the config lists, if it lists any."""
    kinds = config.get("layer_types")
    return list(kinds).count("sliding_attention") if kinds else otherwise


def no_window(config: Config) -> None:
    return None


def mistral_window(config: Config) -> Window | None:
    return window_of(config, config["num_hidden_layers"])


def qwen_window(config: Config) -> Window | None:
    above = config["num_hidden_layers"] - config.get("max_window_layers", 28)
    return window_of(config, sliding_layers(config, above)) if config.get("use_sliding_window") else None


def gemma3_window(config: Config) -> Window | None:
    layers = config["num_hidden_layers"]
    return window_of(config, sliding_layers(config, layers - layers // config.get("sliding_window_pattern", 6)))


def any_values(config: Config) -> dict[str, tuple]:
    return {}


def of_bert(config: Config) -> dict[str, tuple]:
    return {"hidden_act": ("gelu",), "add_cross_attention": (False,), "chunk_size_feed_forward": (0,)}


def of_mpnet(config: Config) -> dict[str, tuple]:
    # transformers' code has these two numbers, whatever the config says
    return {"hidden_act": ("gelu",), "pad_token_id": (1,), "relative_attention_num_buckets": (32,)}


def of_gpt2(config: Config) -> dict[str, tuple]:
    return {
        "n_inner": (None, 4 * config["n_embd"]),
        "add_cross_attention": (False,),
        "activation_function": ("gelu_new",),
    }


def of_llama_like(config: Config) -> dict[str, tuple]:
    return {"hidden_act": ("silu",)}


def of_smollm3(config: Config) -> dict[str, tuple]:
    return {**of_llama_like(config), "use_sliding_window": (False,)}


def of_gemma3(config: Config) -> dict[str, tuple]:
    return {
        "hidden_activation": ("gelu_pytorch_tanh",),
        "use_bidirectional_attention": (None, False),
        "attn_logit_softcapping": (None,),
        "final_logit_softcapping": (None,),
        "tie_word_embeddings": (True,),
    }


@dataclass(frozen=True)
class Family:
    """An architecture: the names of its modules and of its config's numbers, and the parts of its layers."""

    kind: str  # ENCODER or DECODER
    model_type: str  # in transformers' AutoConfig
    linear_layers: Callable[[Config], list[Linear]]  # of one transformer layer
    query_value: tuple[str, ...]
    all_linear: tuple[str, ...]
    keys_values_feedforward: tuple[str, ...]  # what IA3 rescales
    feedforward: tuple[str, ...]  # those of them that are rescaled at their input
    more: tuple[str, ...] = ()  # further numbers that a config must have
    optional: tuple[str, ...] = ()  # numbers of at least 1 that it may have; None is allowed
    least: Mapping[str, int] = field(default_factory=dict)  # numbers that it may have, with their minimum
    flags: tuple[str, ...] = ("tie_word_embeddings",)  # True or False if a config has them
    formulas_for: Callable[[Config], dict[str, tuple]] = any_values  # config -> allowed values of other keys
    hidden_name: str = "hidden_size"  # the names of the numbers in a config
    layers_name: str = "num_hidden_layers"
    heads_name: str = "num_attention_heads"
    positions_name: str = "max_position_embeddings"
    tied: bool = False  # the head is the embedding table, if a config does not say
    transposed: bool = False  # its matrices are stored as (inputs, outputs)
    positions_after_padding: bool = False  # the first token's position follows padding's
    activation_written_out: bool = False  # elementwise operations in float32, each keeping its input
    llama_like: bool = False  # RMS norms, a gate in the feed-forward layer
    divides: bool = True  # transformers requires that the heads divide the hidden size, even if head_dim is set
    norms: int = 2  # per layer
    head_norms: bool = False  # queries and keys are normalised, head by head
    token_types: int = 0  # rows of its table of token types, if a config does not say
    relative_positions: int = 0  # rows of a table with a number per head, which attention adds to its scores
    fused_attention: bool = True  # transformers can compute attention by torch's own kernels
    takes_past_keys: bool = True  # transformers can put keys and values before the text
    checkpoints: bool = True  # transformers can checkpoint its layers
    blind_biases: tuple[str, ...] = ()  # biases without a gradient: a key's shifts all scores of a query alike
    window: Callable[[Config], Window | None] = no_window

    @property
    def shape(self) -> tuple[str, ...]:
        """The numbers that the formulas need."""
        return ("vocab_size", self.hidden_name, self.layers_name, self.heads_name, *self.more)

    @property
    def numbers(self) -> tuple[str, ...]:
        """All numbers that a config must have."""
        return (*self.shape, self.positions_name)

    def faults(self, config: Config) -> Iterator[tuple[str, str]]:
        """Invalid values of a config with all numbers: name and reason. A check presumes that earlier ones passed."""
        least = {**dict.fromkeys(self.numbers, 1), **self.least}
        least |= {name: 1 for name in self.optional if config.get(name) is not None}
        for name in [name for name in least if name in config]:
            if type(config[name]) is not int or config[name] < least[name]:
                yield name, f"it must be a whole number of at least {least[name]}"
        for name, divisor in self.multiples(config):
            if config[name] % config[divisor]:
                yield name, f"it must be a multiple of {divisor} = {config[divisor]}"
        if self.llama_like and head_size(config) % 2:
            yield self.heads_name, f"heads would be {head_size(config)} wide; positions turn pairs, so it must be even"
        if not isinstance(config.get("layer_types") or [], list | tuple):
            yield "layer_types", "it must be a list"
        for name in self.flags:
            if type(config.get(name, False)) is not bool:
                yield name, "it must be True or False"
        for name, allowed in self.formulas_for(config).items():
            if name in config and config[name] not in allowed:
                yield name, f"{self.model_type}'s formulas here are for {allowed[-1]}"

    def multiples(self, config: Config) -> list[tuple[str, str]]:
        """Pairs of numbers of the config; the first must be a multiple of the second."""
        heads = [(self.hidden_name, self.heads_name)] if self.divides or not config.get("head_dim") else []
        return heads + ([(self.heads_name, "num_key_value_heads")] if self.llama_like else [])


def llama_like(model_type: str, linear_layers: Callable[[Config], list[Linear]], more: tuple[str, ...] = (),
               optional: tuple[str, ...] = (), flags: tuple[str, ...] = (),
               formulas_for: Callable[[Config], dict[str, tuple]] = of_llama_like, **facts: Any) -> Family:  # fmt: skip
    """A decoder with Llama's modules. more, optional, flags: what its config has in addition; facts: other fields."""
    return Family(
        kind=DECODER,
        model_type=model_type,
        linear_layers=linear_layers,
        query_value=("q_proj", "v_proj"),
        all_linear=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        keys_values_feedforward=("k_proj", "v_proj", "down_proj"),
        feedforward=("down_proj",),
        more=("num_key_value_heads", "intermediate_size", *more),
        optional=("head_dim", *optional),
        flags=("tie_word_embeddings", *flags),
        formulas_for=formulas_for,
        llama_like=True,
        **facts,
    )


FAMILIES = {
    "bert": Family(
        kind=ENCODER,
        model_type="bert",
        linear_layers=bert_layer,
        query_value=("query", "value"),
        all_linear=("query", "key", "value", "dense"),
        keys_values_feedforward=("key", "value", "output.dense"),
        feedforward=("output.dense",),
        more=("intermediate_size",),
        least={"type_vocab_size": 0},
        formulas_for=of_bert,
        token_types=2,
        blind_biases=("key.bias",),
    ),
    "roberta": Family(
        kind=ENCODER,
        model_type="roberta",
        linear_layers=bert_layer,
        query_value=("query", "value"),
        # "dense" alone would also match a layer of the sentence classifier
        all_linear=("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"),
        keys_values_feedforward=("key", "value", "output.dense"),
        feedforward=("output.dense",),
        more=("intermediate_size",),
        least={"type_vocab_size": 0, "pad_token_id": 0},
        positions_after_padding=True,
        formulas_for=of_bert,
        token_types=2,
        blind_biases=("key.bias",),
    ),
    "mpnet": Family(
        kind=ENCODER,
        model_type="mpnet",
        linear_layers=mpnet_layer,
        query_value=("q", "v"),
        # "dense" alone would also match a layer of the sentence classifier
        all_linear=("q", "k", "v", "o", "intermediate.dense", "output.dense"),
        keys_values_feedforward=("k", "v", "output.dense"),
        feedforward=("output.dense",),
        more=("intermediate_size",),
        positions_after_padding=True,
        formulas_for=of_mpnet,
        relative_positions=32,
        fused_attention=False,
        takes_past_keys=False,
        checkpoints=False,
        blind_biases=("k.bias",),
    ),
    "gpt2": Family(
        kind=DECODER,
        model_type="gpt2",
        linear_layers=gpt2_layer,
        # query, key and value are one matrix; together with c_proj the count is source 002's 0.6 %
        query_value=("c_attn", "c_proj"),
        all_linear=("c_attn", "c_proj", "c_fc"),
        keys_values_feedforward=("c_attn", "mlp.c_proj"),
        feedforward=("mlp.c_proj",),
        hidden_name="n_embd",
        layers_name="n_layer",
        heads_name="n_head",
        positions_name="n_positions",
        tied=True,
        transposed=True,
        activation_written_out=True,
        formulas_for=of_gpt2,
    ),
    "llama": llama_like("llama", llama_layer, flags=("attention_bias", "mlp_bias")),
    "mistral": llama_like("mistral", mistral_layer, optional=("sliding_window",), divides=False, window=mistral_window),
    "qwen2": llama_like(
        "qwen2",
        qwen2_layer,
        optional=("sliding_window",),
        least={"max_window_layers": 0},
        flags=("use_sliding_window",),
        divides=False,
        window=qwen_window,
    ),
    # if a config does not say, transformers makes a head 128 wide, a Gemma's 256
    "qwen3": llama_like(
        "qwen3",
        layer_without_mlp_bias,
        more=("head_dim",),
        optional=("sliding_window",),
        least={"max_window_layers": 0},
        flags=("attention_bias", "use_sliding_window"),
        divides=False,
        head_norms=True,
        window=qwen_window,
    ),
    # every fourth layer has no positions; only those layers may have a window, which SmolLM3 itself does not use
    "smollm3": llama_like(
        "smollm3",
        llama_layer,
        least={"no_rope_layer_interval": 1},
        flags=("attention_bias", "mlp_bias", "use_sliding_window"),
        tied=True,
        formulas_for=of_smollm3,
    ),
    "gemma3": llama_like(
        "gemma3_text",
        layer_without_mlp_bias,
        more=("head_dim",),
        least={"sliding_window": 1, "sliding_window_pattern": 1},
        flags=("attention_bias",),
        tied=True,
        norms=4,
        head_norms=True,
        window=gemma3_window,
        formulas_for=of_gemma3,
    ),
}
