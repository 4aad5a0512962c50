"""How far two figures may differ that ought to be equal: one place, each with its reason.

Distances are relative distances of logits, ||a - b|| / ||b||, over a few held-out examples.
"""

from bench.methods import NF4, Method

FLOPS_AGREEMENT = 0.05  # the counters see norms and rotary embeddings, which the formula leaves out
STEP_FLOPS_AGREEMENT = 0.05  # the formula's backward pass is two thin products a layer, and no norms
ADAPTER_FILE_OVERHEAD = 200_000  # bytes: safetensors' header names every tensor, about 130 bytes each

ROUNDING = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 3e-3}  # of one rounding of W + BA, through all layers
MERGE_INTO_NF4 = 0.5  # W + BA is quantised to 16 levels again, which moves most weights by half a level
MERGE_INTO_INT8 = 0.1  # likewise with 256 levels


def start_tolerance(method: Method, precision: str) -> float:
    """B = 0 adds nothing, to the bit; what moves a part of W into BA, or divides by a norm, rounds once."""
    if method.keeps_base and not method.rounds_at_start:
        return 0.0
    return ROUNDING[precision]


def reload_tolerance(method: Method, precision: str) -> float:
    """Reading back is exact; where a decomposition is repeated or pruned rows are dropped, sums are rounded anew."""
    exact = not method.is_adapter or (method.keeps_base and not method.prunes)
    return 0.0 if exact else ROUNDING[precision]


def merge_tolerance(method: Method, precision: str) -> float:
    """The merged weight is rounded to what the base is stored in."""
    if not method.quantised:
        return ROUNDING[precision]
    return MERGE_INTO_NF4 if method.storage == NF4 else MERGE_INTO_INT8
