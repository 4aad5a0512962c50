"""A model's linear layers and parameters from its architecture's numbers alone: no torch, no weights."""

from bench.models import ModelEntry
from bench.models.families import Linear, Window, head_size

LARGEST_REBUILT = 5_000_000  # parameters; building a larger model takes seconds


def layer_count(entry: ModelEntry) -> int:
    return int(entry.config[entry.family.layers_name])


def positions(entry: ModelEntry) -> int:
    """The number of tokens of a row that have their own position."""
    taken = entry.config.get("pad_token_id", 1) + 1 if entry.family.positions_after_padding else 0
    return int(entry.config[entry.family.positions_name]) - taken


def hidden_size(entry: ModelEntry) -> int:
    return int(entry.config[entry.family.hidden_name])


def head_count(entry: ModelEntry) -> int:
    return int(entry.config[entry.family.heads_name])


def query_size(entry: ModelEntry) -> int:
    """Width of the queries of one layer, all heads together."""
    return head_size(entry.config) * head_count(entry) if entry.family.llama_like else hidden_size(entry)


def key_value_size(entry: ModelEntry) -> int:
    """Width of the keys of one layer, all heads together."""
    if not entry.family.llama_like:
        return hidden_size(entry)
    return head_size(entry.config) * int(entry.config["num_key_value_heads"])


def layer(entry: ModelEntry) -> list[Linear]:
    """The linear layers of one transformer layer."""
    return entry.family.linear_layers(entry.config)


def window(entry: ModelEntry) -> Window | None:
    """How far back attention looks, and in how many layers; None if every layer sees the whole row."""
    return entry.family.window(entry.config)


def linear_layers(entry: ModelEntry) -> list[Linear]:
    """Every linear layer of the transformer stack, without the head and the embeddings."""
    return layer(entry) * layer_count(entry)


def target_layers(entry: ModelEntry, targets: tuple[str, ...]) -> list[Linear]:
    """The layers that peft adapts for these target modules: those whose name ends in one of them.

    Raises ValueError if a target selects nothing.
    """
    layers = linear_layers(entry)
    for target in targets:
        if not any(selects(target, one.name) for one in layers):
            names = ", ".join(sorted({one.name.rsplit(".", 1)[-1] for one in layers}))
            raise ValueError(f"{entry.name} has no module {target!r} to adapt; its linear layers are {names}")
    return [one for one in layers if any(selects(target, one.name) for target in targets)]


def selects(target: str, name: str) -> bool:
    return name == target or name.endswith(f".{target}")


def head_parameters(entry: ModelEntry, labels: int) -> int:
    """Parameters of the output layer: a classifier over labels, or the matrix onto the vocabulary."""
    if labels:
        return hidden_size(entry) * labels + labels
    return hidden_size(entry) * entry.config["vocab_size"]


def embedding_parameters(entry: ModelEntry) -> int:
    """Parameters of the tables of tokens and, if they are learned, of positions and types."""
    config, family = entry.config, entry.family
    rows = config["vocab_size"]
    if not family.llama_like:
        rows += config[family.positions_name]
    rows += config.get("type_vocab_size", family.token_types)
    return int(rows) * hidden_size(entry) + family.relative_positions * head_count(entry)


def norm_parameters(entry: ModelEntry) -> int:
    """Parameters of all norms: a gain each, and a bias if the norm subtracts the mean."""
    layers, hidden = layer_count(entry), hidden_size(entry)
    if not entry.family.llama_like:
        return 2 * (2 * layers + 1) * hidden  # the last one is GPT-2's final norm, or that of BERT's embeddings
    return (entry.family.norms * layers + 1) * hidden + 2 * layers * head_size(entry.config) * entry.family.head_norms


def stack_parameters(entry: ModelEntry) -> int:
    """All parameters of the transformer without its output layer: embeddings, linear layers, norms, biases."""
    linear = sum(one.inputs * one.outputs + one.outputs * one.biased for one in linear_layers(entry))
    return embedding_parameters(entry) + linear + norm_parameters(entry)


def total_parameters(entry: ModelEntry, labels: int = 0) -> int:
    """All parameters of the model with a classifier over labels, or (labels = 0) with its language head.

    A head tied to the embeddings counts once, as in torch.
    """
    tied = not labels and entry.config.get("tie_word_embeddings", entry.family.tied)
    return stack_parameters(entry) + (0 if tied else head_parameters(entry, labels))


def is_rebuilt_at_once(entry: ModelEntry) -> bool:
    """Whether the model is so small that checks build it several times in a case."""
    return total_parameters(entry) <= LARGEST_REBUILT
