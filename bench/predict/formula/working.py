"""Temporary bytes of a transformer layer's forward and backward, besides what it keeps.

Derived from the layers' own code as in `layers`, with the same letters.
"""

from bench.methods import ADAPTER, ALL, INT8, NF4, PLAIN
from bench.models.shapes import head_parameters, hidden_size, layer, layer_count
from bench.predict.formula import savings
from bench.predict.formula.layers import (
    FIRST_NORM,
    INNER,
    MASK,
    SINGLE,
    adapter_drops,
    casts,
    ends_in_norm,
    feedforward_size,
    inner_width,
    inputs,
    kept_by_layer,
    linear_output_bytes,
    masked_layers,
    norm_output_bytes,
    product_bytes,
    reaches_layers,
    tokens,
)
from bench.predict.question import Question


def head_gradient(question: Question) -> int:
    """Bytes of a trained head's gradient: in float32, and as computed, in the place of the cast weight."""
    if question.method.trains == ADAPTER:
        return 0
    in_half = casts(question)[1] * (not reaches_layers(question))
    return in_half + savings.trained_width(question.recipe) * head_parameters(question.entry, question.labels)


def working_set(question: Question) -> int:
    """Bytes of one layer's backward: what it keeps if that is recomputed, and the most that flows through it."""
    if not reaches_layers(question):
        return 0
    entry, checkpointed = question.entry, question.recipe.gradient_checkpointing
    kept = kept_by_layer(question, masked_layers(question) > 0) - tokens(question) * checkpoint(question)
    again = kept if checkpointed else 0
    if checkpointed and question.method.trains != ADAPTER:
        again += casts(question)[0] // layer_count(entry)
    summed, product = (tokens(question) * size for size in flowing(question))
    multiplied = summed - product + whole_weight(question)
    dropping = tokens(question) * through_dropout(question)
    return again + max(summed, multiplied, dropping, at_hand(question) if checkpointed else 0)


def checkpoint(question: Question) -> int:
    """Bytes per token of what a layer keeps that is its own input, if that input is a norm's output."""
    own = [read.bytes for read in inputs(question) if read.source == FIRST_NORM and not read.copied]
    return own[0] if own and ends_in_norm(question) else 0


def whole_weight(question: Question) -> int:
    """Bytes of the largest matrix, dequantised, or of its gradient if it trains."""
    method = question.method
    largest = max(linear.inputs * linear.outputs for linear in layer(question.entry))
    if method.storage == INT8:
        return largest * norm_output_bytes(question)
    return largest * product_bytes(question) * (method.storage == NF4 or method.trains == ALL)


def flowing(question: Question) -> tuple[int, int]:
    """(together, one): bytes per token of all gradients when those of the feed-forward product are summed, and of one.

    They are the adapter's part, the base's part and their sum, or the product's and the activation's. The adapter's
    own input is no longer needed, but LLM.int8() keeps it; in a recomputed layer it keeps the first one.
    """
    product = feedforward_size(question.entry) * inner_width(question)
    last = [read for read in inputs(question) if read.source == INNER]
    held, copied = sum(read.copied or read.bytes for read in last), sum(read.copied for read in last)
    count = 3 if question.method.trains == ADAPTER and held else 2
    if question.method.storage == INT8 and not question.recipe.gradient_checkpointing:
        held = copied
    return count * product - held + norm_gradient(question), product


def norm_gradient(question: Question) -> int:
    """Bytes per token of the gradient of the output or input of a norm at the layer's end, less its input if freed."""
    behind = ends_in_norm(question) or question.entry.family.norms > 2  # a norm, which has freed its input by then
    hidden = hidden_size(question.entry)
    return norm_output_bytes(question) * hidden - SINGLE * hidden * behind


def through_dropout(question: Question) -> int:
    """Bytes per token when dropout's gradients exist: those of its output and its input, and its mask."""
    copied = sum(read.copied for read in inputs(question) if read.source == INNER)
    if not copied or not adapter_drops(question):
        return 0
    inner = feedforward_size(question.entry)
    return (2 * dropped_width(question) + MASK) * inner - copied + norm_gradient(question)


def dropped_width(question: Question) -> int:
    """Bytes of an element in dropout's output; peft casts a plain layer's input to the adapter's precision."""
    in_own = question.method.storage == PLAIN or product_bytes(question) == SINGLE
    return savings.trained_width(question.recipe) if in_own else inner_width(question)


def at_hand(question: Question) -> int:
    """Bytes that a layer's forward holds near its end but does not keep: products and norms' outputs.

    peft casts a plain layer's input to float32 on the way to the copy that is kept; dropout makes another copy.
    """
    hidden, inner = hidden_size(question.entry), feedforward_size(question.entry)
    last = [read for read in inputs(question) if read.source == INNER]
    product = 0 if any(not read.copied for read in last) else inner * linear_output_bytes(question)
    norms = 3 if question.recipe.gradient_checkpointing else 4
    end = product + hidden * (
        linear_output_bytes(question) + norms * norm_output_bytes(question) + SINGLE * (not reaches_layers(question))
    )
    adapting = product + hidden * (3 * norm_output_bytes(question) + 3 * product_bytes(question) - SINGLE)
    through_single = question.method.storage == PLAIN and product_bytes(question) != savings.trained_width(
        question.recipe
    )
    through_single &= not question.trainer.fused
    cast = savings.trained_width(question.recipe) * inner * through_single
    adapting += cast
    if adapter_drops(question) and dropped_width(question) != product_bytes(question):
        dropping = product + cast + dropped_width(question) * inner + 2 * hidden * norm_output_bytes(question)
        adapting = max(adapting, dropping)
    copies = question.method.trains == ADAPTER and any(read.copied for read in last)
    return tokens(question) * (max(end, adapting) if copies else end)
