"""A model's linear layers from its architecture's numbers alone: no torch, no weights.

Names are transformers' own, so that a method's target modules select the same layers here and in peft.
"""

from dataclasses import dataclass

from bench.models import ModelEntry


@dataclass(frozen=True)
class Linear:
    """One linear layer: y = W x with W (outputs, inputs); name is its path inside the transformer stack."""

    name: str
    inputs: int
    outputs: int


def bert_layer(config: dict) -> list[Linear]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    return [
        Linear("attention.self.query", hidden, hidden),
        Linear("attention.self.key", hidden, hidden),
        Linear("attention.self.value", hidden, hidden),
        Linear("attention.output.dense", hidden, hidden),
        Linear("intermediate.dense", hidden, inner),
        Linear("output.dense", inner, hidden),
    ]


def gpt2_layer(config: dict) -> list[Linear]:
    hidden = config["n_embd"]
    return [
        Linear("attn.c_attn", hidden, 3 * hidden),
        Linear("attn.c_proj", hidden, hidden),
        Linear("mlp.c_fc", hidden, 4 * hidden),
        Linear("mlp.c_proj", 4 * hidden, hidden),
    ]


def llama_layer(config: dict) -> list[Linear]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    return [
        Linear("self_attn.q_proj", hidden, hidden),
        Linear("self_attn.k_proj", hidden, keys),
        Linear("self_attn.v_proj", hidden, keys),
        Linear("self_attn.o_proj", hidden, hidden),
        Linear("mlp.gate_proj", hidden, inner),
        Linear("mlp.up_proj", hidden, inner),
        Linear("mlp.down_proj", inner, hidden),
    ]


LAYER_SHAPES = {"bert": bert_layer, "roberta": bert_layer, "gpt2": gpt2_layer, "llama": llama_layer}


def layer_count(entry: ModelEntry) -> int:
    return entry.config["n_layer"] if entry.family_name == "gpt2" else entry.config["num_hidden_layers"]


def positions(entry: ModelEntry) -> int:
    """How many tokens the model can tell apart in a row; RoBERTa counts from behind its padding's position."""
    taken = entry.config.get("pad_token_id", 1) + 1 if entry.family_name == "roberta" else 0
    return int(entry.config[entry.family.positions]) - taken


def hidden_size(entry: ModelEntry) -> int:
    return entry.config["n_embd"] if entry.family_name == "gpt2" else entry.config["hidden_size"]


def key_value_size(entry: ModelEntry) -> int:
    """Width of the keys of one layer, all heads together."""
    config = entry.config
    if "num_key_value_heads" not in config:
        return hidden_size(entry)
    return config["hidden_size"] // config["num_attention_heads"] * config["num_key_value_heads"]


def linear_layers(entry: ModelEntry) -> list[Linear]:
    """Every linear layer of the transformer stack; the head and the embeddings are none of them."""
    return LAYER_SHAPES[entry.family_name](dict(entry.config)) * layer_count(entry)


def targeted(entry: ModelEntry, targets: tuple[str, ...]) -> list[Linear]:
    """The layers that peft adapts for these target modules: those whose name ends in one of them.

    Raises ValueError if a target selects nothing.
    """
    layers = linear_layers(entry)
    for target in targets:
        if not any(selects(target, layer.name) for layer in layers):
            names = ", ".join(sorted({layer.name.rsplit(".", 1)[-1] for layer in layers}))
            raise ValueError(f"{entry.name} has no module {target!r} to adapt; its linear layers are {names}")
    return [layer for layer in layers if any(selects(target, layer.name) for target in targets)]


def selects(target: str, name: str) -> bool:
    return name == target or name.endswith(f".{target}")


def head_parameters(entry: ModelEntry, labels: int) -> int:
    """Parameters of the output layer: a classifier over labels, or the matrix onto the vocabulary."""
    if labels:
        return hidden_size(entry) * labels + labels
    return hidden_size(entry) * entry.config["vocab_size"]


def stack_parameters(entry: ModelEntry) -> int:
    """All parameters of the transformer without its output layer: embeddings, linear layers, norms, biases."""
    config, hidden = entry.config, hidden_size(entry)
    linear = sum(layer.inputs * layer.outputs for layer in linear_layers(entry))
    if entry.family_name == "llama":
        norms = (2 * layer_count(entry) + 1) * hidden
        return config["vocab_size"] * hidden + linear + norms
    biases = sum(layer.outputs for layer in linear_layers(entry))
    norms = 2 * layer_count(entry) * 2 * hidden
    if entry.family_name == "gpt2":
        return (config["vocab_size"] + config["n_positions"]) * hidden + linear + biases + norms + 2 * hidden
    tables = config["vocab_size"] + config["max_position_embeddings"] + config.get("type_vocab_size", 2)
    return tables * hidden + linear + biases + norms + 2 * hidden


def total_parameters(entry: ModelEntry, labels: int = 0) -> int:
    """All parameters of the model with a classifier over labels, or (labels = 0) with its language head.

    A head tied to the embeddings counts once, as in torch. GPT-2 is always tied.
    """
    tied = not labels and entry.config.get("tie_word_embeddings", entry.family_name == "gpt2")
    return stack_parameters(entry) + (0 if tied else head_parameters(entry, labels))
