"""Bytes that a transformer layer keeps between forward and backward.

Per token, derived from the layers' own code in transformers 5, peft 0.21 and bitsandbytes 0.50 under autocast.
H: hidden size, K: width of the keys, I: width of the feed-forward layer. An element takes two bytes where products are
in half precision, and four in the float32 of norms.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.methods import ADAPTER, ALL, HEAD, INT8, NF4, PLAIN
from bench.methods.parameters import formula
from bench.models import ENCODER, ModelEntry
from bench.models.families import ATTENTION, FIRST_NORM, INNER
from bench.models.shapes import (
    head_count,
    head_parameters,
    hidden_size,
    key_value_size,
    layer,
    layer_count,
    linear_layers,
    query_size,
    selects,
    stack_parameters,
    total_parameters,
    window,
)
from bench.predict.formula import savings
from bench.predict.question import Question

SINGLE = 4
FLOAT32 = "float32"
MASK = 1  # byte of an element that dropout kept or dropped
LARGEST_FLASH_HEAD = 256


def tokens(question: Question) -> int:
    return question.recipe.batch_size * question.recipe.max_length


def product_bytes(question: Question) -> int:
    """Bytes of an element in the result of a matrix product."""
    return 4 if question.recipe.precision == "float32" else 2


def width(question: Question) -> int:
    """Bytes of a stored weight that is neither quantised nor trained, or of any weight if all train."""
    if question.method.trains == ADAPTER:
        return product_bytes(question) if question.method.quantised else kept_bytes(question, question.trainer.base)
    return kept_bytes(question, question.trainer.all_weights)


def kept_bytes(question: Question, precision: str) -> int:
    """Bytes of a number that the trainer keeps in float32 or in the recipe's half precision."""
    return SINGLE if precision == FLOAT32 else product_bytes(question)


def norm_width(question: Question) -> int:
    """Bytes of a weight in a frozen norm."""
    prepared = question.method.quantised and question.trainer.float32_norms
    return SINGLE if prepared else width(question)


def embedding_width(question: Question) -> int:
    """Bytes of a weight in frozen embeddings and their head."""
    prepared = question.method.quantised and question.trainer.float32_embeddings
    return SINGLE if prepared else width(question)


def hidden_width(question: Question) -> int:
    """Bytes of an element in the hidden states between layers: float32 norms or embeddings make them float32."""
    return max(width(question), norm_width(question), embedding_width(question))


def norm_output_bytes(question: Question) -> int:
    """Bytes of an element in a norm's output: LayerNorm's is float32 under autocast; Llama's own norm rounds it."""
    return hidden_width(question) if question.entry.family.llama_like else SINGLE


def linear_output_bytes(question: Question) -> int:
    """Bytes of an element in a linear layer's output: bitsandbytes' 4-bit layer returns the dtype of its input."""
    return norm_output_bytes(question) if question.method.storage == NF4 else product_bytes(question)


def residual(question: Question) -> int:
    """Bytes of an element in the hidden states between layers, which a checkpoint keeps."""
    if ends_in_norm(question):
        return norm_output_bytes(question)
    return max(hidden_width(question), linear_output_bytes(question))  # a sum has the wider dtype of its two inputs


def feedforward_size(entry: ModelEntry) -> int:
    return next(one.inputs for one in layer(entry) if one.reads == INNER)


def inner_width(question: Question) -> int:
    """Bytes of an element in the feed-forward product; GPT-2's GELU is written out and ends in float32."""
    return SINGLE if question.entry.family.activation_written_out else linear_output_bytes(question)


@dataclass(frozen=True)
class Input:
    """The input of one linear layer, per token: its source, its bytes, and the bytes of a copy that is kept."""

    source: str
    bytes: int
    copied: int


def inputs(question: Question) -> Iterator[Input]:
    """The inputs kept for the backward pass: for an adapter's thin product, a weight's gradient, or by LLM.int8()."""
    method = question.method
    targets = method.targets(question.entry) if method.trains == ADAPTER else ()
    wide = {ATTENTION: product_bytes(question), INNER: inner_width(question)}
    dropped_once = False
    for linear in layer(question.entry):
        read = linear.reads
        held = wide.get(read, norm_output_bytes(question))
        trains = method.trains == ALL or any(selects(target, linear.name) for target in targets)
        copy = input_copy_bytes(question, held) if trains else 0
        copy += MASK * bool(copy) * adapter_drops(question)
        if question.trainer.whole_qkv and read == FIRST_NORM and copy:
            copy, dropped_once = (0 if dropped_once else copy), True
        if method.storage == INT8 or (trains and not copy):
            yield Input(read, linear.inputs * held, 0)
        elif method.storage == NF4 and question.trainer.keeps_packed_inputs:
            half = product_bytes(question)
            yield Input(read, linear.inputs * held, linear.inputs * half if held != half else 0)
        if copy:
            yield Input(read, linear.inputs * held, linear.inputs * copy)


def adapter_drops(question: Question) -> bool:
    """Whether the recipe applies dropout to the input of each adapted layer."""
    return question.method.adapter_dropout and question.recipe.dropout > 0


def base_masks(question: Question) -> int:
    """How many dropout masks of hidden states a layer keeps; attention's own mask is drawn again from its seed."""
    drops = not question.method.adapter_dropout and question.recipe.dropout > 0
    return 0 if question.entry.family.llama_like or not drops else 2


def masks_not_kept(question: Question) -> int:
    """Bytes per token of masks that the first layer of a frozen base does not keep, as its input has no gradient."""
    if not adapter_drops(question):
        return 0
    targets = question.method.targets(question.entry)
    first = (linear for linear in layer(question.entry) if linear.reads == FIRST_NORM)
    return sum(MASK * linear.inputs for linear in first if any(selects(target, linear.name) for target in targets))


def input_copy_bytes(question: Question, held: int) -> int:
    """Bytes of an element in the copy that a product makes of its input; 0 if it uses the input as it is.

    In a plain layer, peft casts the adapter's input to the adapter's precision, and autocast copies the result. In a
    quantised layer, peft leaves the cast to autocast. With adapter dropout, each layer keeps its input after dropout.
    """
    half, own = product_bytes(question), savings.trained_width(question.recipe)
    if question.trainer.fused:
        return 0 if held == half else half
    if not question.trainer.autocast and question.method.trains == ADAPTER:
        return own if held != own or adapter_drops(question) else 0
    if adapter_drops(question):
        return own if half == SINGLE else half
    if question.method.trains != ADAPTER:
        return 0 if held == half else half
    if half == SINGLE:
        return 0 if own == SINGLE else own
    through_single = question.method.storage == PLAIN and own == SINGLE
    return half if held != half or through_single else 0


def kept_inputs(question: Question) -> int:
    """Bytes per token of the linear layers' inputs; attention itself keeps its output."""
    shared, copies = {}, 0
    for read in inputs(question):
        copies += read.copied
        if not read.copied and read.source != ATTENTION:
            shared[read.source] = read.bytes
    return sum(shared.values()) + copies


def masked_layers(question: Question) -> int:
    """The number of layers whose attention window is no longer than a row, so that attention needs a mask."""
    looking = window(question.entry)
    return looking.layers if looking and question.recipe.max_length >= looking.tokens else 0


def kept_by_attention(question: Question, masked: bool) -> int:
    """Queries, keys, values, the output, and a float32 per head; a mask as a bias on the score of each pair.

    Without flash attention (in float32, with a mask, or with heads too wide for it), keys are repeated to match the
    number of queries; with a mask, a single key head is not copied.
    """
    entry, half = question.entry, product_bytes(question)
    queries, keys = query_size(entry), key_value_size(entry)
    head = queries // head_count(entry)
    if half == SINGLE or head > LARGEST_FLASH_HEAD or (masked and keys > head):
        keys = queries
    added = half * question.recipe.max_length if masked else 0
    added += half * (queries + keys) * question.trainer.whole_qkv
    return 2 * half * (queries + keys) + SINGLE * head_count(entry) + added


def kept_by_activation(question: Question) -> int:
    """Llama: gate, its SiLU, and up. BERT: GELU's input. GPT-2 writes GELU out: a cube, a tangent and two factors."""
    inner, out = feedforward_size(question.entry), linear_output_bytes(question)
    if question.entry.family.llama_like:
        return (2 if question.trainer.fused else 3) * out * inner
    return (3 * SINGLE + out) * inner if question.entry.family.activation_written_out else out * inner


def kept_by_norms(question: Question) -> int:
    """The inputs of all norms in float32; a trained gain needs its factor, which Llama's norm keeps for it."""
    entry = question.entry
    normed_heads = (query_size(entry) + key_value_size(entry)) * entry.family.head_norms
    each = product_bytes(question) if question.trainer.fused else SINGLE
    return (1 + gains_train(question)) * each * (entry.family.norms * hidden_size(entry) + normed_heads)


def kept_by_layer(question: Question, masked: bool) -> int:
    """Bytes that one layer keeps for its backward pass, for all tokens."""
    for_each = kept_by_norms(question) + kept_by_attention(question, masked) + kept_by_activation(question)
    for_each += MASK * base_masks(question) * hidden_size(question.entry)
    return tokens(question) * (for_each + kept_inputs(question))


def reaches_layers(question: Question) -> bool:
    """Whether gradients pass through the layers: not if only a separate head above them trains.

    With checkpointing, gradients reach the embeddings whatever trains.
    """
    return question.method.trains != HEAD or is_tied(question) or question.recipe.gradient_checkpointing


def is_tied(question: Question) -> bool:
    """Whether the head shares its weight with the embedding table."""
    return total_parameters(question.entry, question.labels) == stack_parameters(question.entry)


def kept_for_backward(question: Question) -> int:
    """Bytes kept when the forward pass ends: each layer's input or all that it keeps, and what the head needs.

    The first norm of a frozen base keeps nothing, as gradients reach it only with checkpointing.
    """
    count, each = layer_count(question.entry), tokens(question) * hidden_size(question.entry)
    head, of_layers = kept_by_head(question), casts(question)[0]
    if not reaches_layers(question):
        return head
    if question.recipe.gradient_checkpointing:
        kept = count * each * residual(question) * savings.checkpoints_on_card(question.recipe) + each * SINGLE
        kept += count * kept_despite_checkpoints(question) + mask(question)
    else:
        last = each * SINGLE * (question.method.trains != ADAPTER)
        masked = masked_layers(question)
        kept = (count - masked) * kept_by_layer(question, False) + masked * kept_by_layer(question, True)
        kept += last + of_layers - tokens(question) * masks_not_kept(question)
    return kept + each * SINGLE * gains_train(question) + head


def mask(question: Question) -> int:
    """Bytes of the mask that layers with an attention window share: whether one token attends to another."""
    return tokens(question) * question.recipe.max_length * (masked_layers(question) > 0)


def kept_by_head(question: Question) -> int:
    """Bytes that a trained head keeps: its input, and its half-precision copy if gradients go below it."""
    if question.method.trains == ADAPTER and question.entry.kind != ENCODER:
        return 0
    read = tokens(question) * hidden_size(question.entry) * product_bytes(question)
    return read + casts(question)[1] * reaches_layers(question)


def ends_in_norm(question: Question) -> bool:
    """Whether a layer's norms follow attention and feed-forward, as in BERT: its input is then a norm's output."""
    return question.entry.kind == ENCODER


def kept_despite_checkpoints(question: Question) -> int:
    """Bytes that a layer keeps despite checkpointing: LLM.int8() keeps its inputs where checkpoints cannot see them."""
    if question.method.storage != INT8:
        return 0
    held = sum({read.source: read.bytes for read in inputs(question)}.values())
    return tokens(question) * (
        held - ends_in_norm(question) * norm_output_bytes(question) * hidden_size(question.entry)
    )


def gains_train(question: Question) -> bool:
    """Whether a norm keeps the factor that its gain multiplies: LayerNorm recomputes it from its input."""
    return question.method.trains == ALL and question.entry.family.llama_like


def casts(question: Question) -> tuple[int, int]:
    """Bytes of the half-precision copies that autocast makes of float32 matrices: (layers or adapter, head)."""
    entry, half = question.entry, product_bytes(question)
    if half == SINGLE or not question.trainer.autocast:
        return 0, 0
    if question.method.trains == ADAPTER:
        narrow = savings.trained_width(question.recipe) == half
        return 0 if narrow else half * formula(entry, question.method, question.recipe, question.labels), 0
    if width(question) == half:  # the trained weights are in half precision already
        return 0, 0
    matrices = sum(linear.inputs * linear.outputs for linear in linear_layers(entry))
    return half * matrices, half * head_parameters(entry, question.labels)


def cached_in_forward(question: Question) -> int:
    """Bytes of those copies that forward holds besides what it keeps: autocast caches one for each trained matrix."""
    of_layers, of_head = casts(question)
    if not reaches_layers(question):
        return of_head
    return of_layers * (question.recipe.gradient_checkpointing and question.method.trains != HEAD)
