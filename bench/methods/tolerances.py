"""Tolerances: how far figures that should be equal may differ, each with its reason.

Distances are relative distances of logits, ||a - b|| / ||b||, over a few held-out examples.
"""

import math

from bench.methods import INT8, NF4, Method
from bench.models import ModelEntry
from bench.models.shapes import layer_count

FLOPS_AGREEMENT = 0.05  # the counters see norms and rotary embeddings, which the formula leaves out
STEP_FLOPS_AGREEMENT = 0.01  # today's formula is exact; those in older records lack attention's second gradient
ADAPTER_FILE_OVERHEAD = 200_000  # bytes: safetensors' header names every tensor, about 130 bytes each

UNIT_ROUNDING = {"float32": 1e-6, "bfloat16": 2**-8, "float16": 2**-11}  # relative; float32: a sum of 1,000 terms
PRODUCTS_IN_SEQUENCE = 4  # in a layer: value, attention output, up, down
ROUNDINGS_OF_MERGING = 2  # W + BA (or W - BA at some methods' start), and W x and BA x before their sum
ROUNDINGS_OF_UPDATE = 4  # of x, A x, B A x and its scale, where the adapter is kept in few bits
# Merging a packed layer packs W + BA again. That moves normal weights by 0.093 of their norm in NF4 with blocks of 64,
# and by 0.007 in int8, which rounds x as well.
PACKED_MERGE = {NF4: 0.12, INT8: 0.02}
PACKED_MERGE_FACTOR = 0.03  # NF4's levels are a little nearer to 0 than the weights: the factor is seen at 0.994
# Two adapters filled with values as large as W, merged and active, in float32. Rounding grows with the method's scale:
# it was seen at 5e-6 for rsLoRA at rank 32, whose scale is 5.7. A merge that leaves one out moves logits by over 1e-3.
TWO_MERGED = 1e-4
# The same on a tiny model at a scale of 10 alpha / rank, which is RandLoRA's: 6.6e-6 was seen, and other processors
# round otherwise, so three times that. LoRA's scale is a tenth of it and stays within rounding_tolerance.
TWO_MERGED_AT_TEN_TIMES_THE_SCALE = 2e-5
ROUNDINGS_OF_UNMERGING = 2  # of W + BA, and of that less BA
INT8_ROUNDING = 1 / 127  # LLM.int8() rounds activations too when it evaluates; a merged model does not


def rounding(model: ModelEntry, precision: str) -> float:
    """The effect of rounding each weight matrix once; the squares of independent errors add up."""
    return UNIT_ROUNDING[precision] * math.sqrt(PRODUCTS_IN_SEQUENCE * layer_count(model))


def start_tolerance(method: Method, model: ModelEntry, precision: str, rounding_distance: float = 0.0) -> float:
    """How far the attached, untrained model may be from its base.

    With B = 0 the logits are equal to the bit. A method that divides by a norm rounds once; one that moves a part of W
    into BA rounds as merging does. rounding_distance: see rounding_tolerance.
    """
    if not method.is_adapter or (method.keeps_base and not method.rounds_at_start):
        return 0.0
    roundings = 1 if method.keeps_base else ROUNDINGS_OF_MERGING
    return max(rounding(model, precision), roundings * rounding_distance)


def reload_tolerance(method: Method, model: ModelEntry, precision: str) -> float:
    """How far the reloaded model may be from the saved one.

    They must be equal, unless a repeated decomposition or dropped pruned rows make sums round again.
    """
    exact = not method.is_adapter or (method.keeps_base and not method.prunes)
    return 0.0 if exact else rounding(model, precision)


def rounding_tolerance(
    method: Method, model: ModelEntry, precision: str, kept: str = "float32", rounding_distance: float = 0.0
) -> float:
    """How far apart logits may be when the same products are computed in another way: with the adapter merged into the
    weights, or one token at a time with a cache.

    A merged weight is rounded to the precision that the base computes in; a weight in NF4 to the one that it was
    dequantised to. kept is the adapter's precision; unmerged, products are rounded to it if it is the coarser one.
    rounding_distance is the measured effect of one more rounding of every weight on this model's logits. Random weights
    multiply errors; if the measured effect exceeds the reasoned one, merging may cost that much more too.
    """
    if UNIT_ROUNDING[kept] > UNIT_ROUNDING[precision]:
        precision = kept
    seen = max(rounding(model, precision), ROUNDINGS_OF_MERGING * rounding_distance)
    return INT8_ROUNDING / UNIT_ROUNDING[precision] * seen if method.storage == INT8 else seen


def unmerge_tolerance(method: Method) -> float:
    """How far a layer's weights may be from the base's after merging and unmerging in float32.

    A method that multiplies W rounds twice as often: the inverse is rounded too, and so is the product with it.
    """
    return ROUNDINGS_OF_UNMERGING * (1 + method.multiplies_weights) * UNIT_ROUNDING["float32"]


def formula_tolerance(kept: str, share: float) -> float:
    """How far a layer's update may be from its formula, relative to the update; the layer computes in float32.

    The update is the difference of two outputs, so it carries their rounding: the smaller its share of the output, the
    larger that is. kept is the adapter's precision; where it is coarser than float32 the update is rounded to it.
    """
    own = 0.0 if kept == "float32" else ROUNDINGS_OF_UPDATE * UNIT_ROUNDING[kept]
    return own + UNIT_ROUNDING["float32"] * (1 + 1 / share) if share else 0.0
