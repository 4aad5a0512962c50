"""What a transformer layer keeps between forward and backward, and what its own backward holds at once.

Bytes for each token, read off the layers' own code in transformers 5 under autocast. H: hidden size, K: width
of the keys, I: width of the feed-forward layer; two bytes an element where products are in half precision,
four in the float32 of norms.
"""

from bench.measure.parameters import formula
from bench.methods import ADAPTER, ALL, NF4
from bench.models import ModelEntry
from bench.models.shapes import head_parameters, hidden_size, key_value_size, layer_count, linear_layers, selects
from bench.predict import savings
from bench.predict.question import Question

SINGLE = 4


def tokens(question: Question) -> int:
    return question.recipe.batch_size * question.recipe.max_length


def computed(question: Question) -> int:
    """Bytes of an element of a product."""
    return 4 if question.recipe.precision == "float32" else 2


def width(question: Question) -> int:
    """Bytes of a stored weight that is neither quantised nor trained, and of the hidden states between layers."""
    return computed(question) if question.method.trains == ADAPTER else SINGLE


def feedforward_size(entry: ModelEntry) -> int:
    return max(max(layer.inputs, layer.outputs) for layer in linear_layers(entry)[: per_layer(entry)] if
               "mlp" in layer.name or "intermediate" in layer.name or layer.name == "output.dense")  # fmt: skip


def per_layer(entry: ModelEntry) -> int:
    """Linear layers of one transformer layer."""
    return len(linear_layers(entry)) // layer_count(entry)


def adapted(question: Question, *names: str) -> bool:
    """Whether a thin product or a gradient of the weight needs the input of one of these linear layers."""
    if question.method.trains != ADAPTER:
        return question.method.trains == "all"
    own = [layer.name for layer in linear_layers(question.entry)[: per_layer(question.entry)]]
    targets = question.method.targets(question.entry)
    chosen = {name for name in own if any(selects(target, name) for target in targets)}
    return any(name.endswith(wanted) for name in chosen for wanted in names)


def kept_by_llama(question: Question) -> int:
    """Norms' inputs in float32; rotated queries and keys, values, attention's output; gate, up and their product."""
    half, hidden = computed(question), hidden_size(question.entry)
    keys, inner = key_value_size(question.entry), feedforward_size(question.entry)
    kept = 2 * SINGLE * hidden + 2 * half * (hidden + keys) + 3 * half * inner
    kept += half * hidden * adapted(question, "q_proj", "k_proj", "v_proj")
    kept += half * hidden * adapted(question, "gate_proj", "up_proj")
    return kept + half * inner * adapted(question, "down_proj")


def kept_by_bert(question: Question) -> int:
    """Norms' inputs in float32; queries, keys, values, attention's output; GELU's input and output."""
    half, hidden, inner = computed(question), hidden_size(question.entry), feedforward_size(question.entry)
    kept = 2 * SINGLE * hidden + 4 * half * hidden + half * inner
    kept += half * hidden * adapted(question, "query", "key", "value")
    kept += half * hidden * adapted(question, "intermediate.dense")
    return kept + half * inner * adapted(question, "output.dense")


def kept_by_gpt2(question: Question) -> int:
    """As BERT; its GELU is written out: a cube in float32, a hyperbolic tangent and the two factors of a product."""
    half, hidden, inner = computed(question), hidden_size(question.entry), feedforward_size(question.entry)
    kept = 2 * SINGLE * hidden + 4 * half * hidden + (3 * SINGLE + half) * inner
    kept += half * hidden * adapted(question, "c_attn")
    kept += half * hidden * adapted(question, "c_fc")
    return kept + half * inner * adapted(question, "mlp.c_proj")


KEPT = {"llama": kept_by_llama, "bert": kept_by_bert, "roberta": kept_by_bert, "gpt2": kept_by_gpt2}


def kept_by_layer(question: Question) -> int:
    """Bytes that one layer keeps for its backward pass, all tokens together."""
    return tokens(question) * KEPT[question.entry.family_name](question)


def kept_for_backward(question: Question) -> int:
    """Bytes kept when the forward pass ends: every layer's input, or all that it keeps; and the last norm's input."""
    entry, count, count_tokens = question.entry, layer_count(question.entry), tokens(question)
    last = count_tokens * hidden_size(entry) * SINGLE
    if question.recipe.gradient_checkpointing:
        on_card = savings.checkpoints_on_card(question.recipe)
        return on_card * count * count_tokens * hidden_size(entry) * width(question) + last
    return count * kept_by_layer(question) + last + cast_weights(question)


def cast_weights(question: Question) -> int:
    """Bytes of the half-precision copies that autocast makes of matrices that train, kept with the activations."""
    entry, recipe = question.entry, question.recipe
    if computed(question) == savings.trained_width(recipe):
        return 0  # they are in what products take already
    if question.method.trains == ADAPTER:
        trained = formula(entry, question.method, recipe, question.labels)
    else:
        trained = head_parameters(entry, question.labels)
        if question.method.trains == ALL:
            trained += sum(layer.inputs * layer.outputs for layer in linear_layers(entry))
    return trained * computed(question)


def working_set(question: Question) -> int:
    """Bytes of one layer's backward: what it keeps if that is computed again, gradients on the way, a whole weight.

    The gradients on the way are those of the feed-forward product and of two hidden states.
    """
    entry = question.entry
    again = kept_by_layer(question) if question.recipe.gradient_checkpointing else 0
    flowing = tokens(question) * computed(question) * (feedforward_size(entry) + 2 * hidden_size(entry))
    largest = max(layer.inputs * layer.outputs for layer in linear_layers(entry))
    unpacked = largest * computed(question) if question.method.storage == NF4 else 0
    return again + flowing + unpacked
