"""Formulas of what an adapter adds to a layer's output, from its raw tensors and the recipe, as the papers state them.

A library computes the same in its own way, with its own idea of the scale. A check compares the two.

Shapes: x is (..., inputs), W (outputs, inputs), A (rank, inputs), B (outputs, rank). Rounding is that of float32.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.core.recipe import Recipe


@dataclass(frozen=True)
class Scale:
    """The factor of B A x: in words, and of a recipe."""

    says: str
    of: Callable[[Recipe], float]


ALPHA_OVER_RANK = Scale("alpha / rank", lambda recipe: recipe.alpha / recipe.rank)
ALPHA_OVER_ROOT = Scale("alpha / sqrt(rank)", lambda recipe: recipe.alpha / math.sqrt(recipe.rank))
ALPHA_OVER_INITIAL_RANK = Scale("alpha / initial_rank", lambda recipe: recipe.alpha / recipe.initial_rank)


@dataclass(frozen=True)
class AdaptedLayer:
    """One layer at work: x, what its base gives of x, its bias, and the adapter's tensors by peft's names.

    weight() is W; in 4 or 8 bits it is dequantised at each call.
    """

    inputs: Any
    base_outputs: Any
    bias: Any | None
    parts: Mapping[str, Any]
    weight: Callable[[], Any]


def low_rank_update(layer: AdaptedLayer, scale: float) -> Any:
    """s B A x (LoRA)."""
    return scale * (layer.inputs @ layer.parts["lora_A"].T @ layer.parts["lora_B"].T)


def magnitude_update(layer: AdaptedLayer, scale: float) -> Any:
    """m (W + s B A) x / ||W + s B A|| - W x, with the norm of each row, which is one output's (DoRA)."""
    added = low_rank_update(layer, scale)
    direction = layer.weight() + scale * layer.parts["lora_B"] @ layer.parts["lora_A"]
    ratio = layer.parts["lora_magnitude_vector"] / direction.norm(dim=1)
    plain = layer.base_outputs if layer.bias is None else layer.base_outputs - layer.bias
    return (ratio - 1) * plain + ratio * added


def singular_value_update(layer: AdaptedLayer, scale: float) -> Any:
    """s P diag(e) Q x (AdaLoRA); peft calls P lora_B, Q lora_A and e lora_E."""
    values = layer.parts["lora_E"].flatten()
    return scale * (layer.inputs @ layer.parts["lora_A"].T * values @ layer.parts["lora_B"].T)


def elementwise_update(layer: AdaptedLayer, scale: float) -> Any:
    """(W * B A) x, the product of W and B A element by element (HiRA)."""
    return layer.inputs @ (layer.weight() * (layer.parts["hira_B"] @ layer.parts["hira_A"])).T


def shared_matrices_update(layer: AdaptedLayer, scale: float) -> Any:
    """b * (B (d * (A x))): A and B are shared by all layers, of which each takes as much as it is wide (VeRA)."""
    parts = layer.parts
    inputs, outputs = layer.inputs.shape[-1], len(parts["vera_lambda_b"])
    low = layer.inputs @ parts["vera_A"][:, :inputs].T * parts["vera_lambda_d"]
    return low @ parts["vera_B"][:outputs].T * parts["vera_lambda_b"]


def rescaled_update(layer: AdaptedLayer, scale: float) -> Any:
    """(l - 1) * (W x + b), or W ((l - 1) * x) where the vector is a row and rescales the input (IA3)."""
    vector = layer.parts["ia3_l"]
    if vector.shape[0] == 1:
        return (layer.inputs * (vector[0] - 1)) @ layer.weight().T
    return layer.base_outputs * (vector[:, 0] - 1)


def summed_blocks_update(layer: AdaptedLayer, scale: float) -> Any:
    """D' times the sum of the blocks of rank neighbouring inputs; D is (rank, outputs) (MiSS)."""
    block = layer.parts["miss_block"]
    return layer.inputs.unflatten(-1, (-1, len(block))).sum(-2) @ block


def granular_update(layer: AdaptedLayer, scale: float) -> Any:
    """s times k x k blocks of their own B A x, each of rank / k (GraLoRA).

    peft's A is (k, inputs / k, rank) by blocks of inputs, its B (k, rank, outputs / k) by blocks of outputs.
    """
    import torch

    blocks, width, rank = layer.parts["gralora_A"].shape
    each = (blocks, rank // blocks)
    down, up = layer.parts["gralora_A"].unflatten(2, each), layer.parts["gralora_B"].unflatten(1, each)
    inputs = layer.inputs.unflatten(-1, (blocks, width))
    return scale * torch.einsum("...ni,nimr,mnro->...mo", inputs, down, up).flatten(-2)


def rotated_update(layer: AdaptedLayer, scale: float) -> Any:
    """W (x R - x), R block by block (I + Q)(I + Q + Q^2 + Q^3): OFTv2's series for Cayley's (I + Q)(I - Q)^-1.

    Q is skew-symmetric; what trains is what stands above its diagonal, a row for each block (OFT).
    """
    import torch

    upper = layer.parts["oft_R"]
    size = layer.inputs.shape[-1] // len(upper)
    skew = upper.new_zeros(len(upper), size, size)
    rows, columns = torch.triu_indices(size, size, 1)
    skew[:, rows, columns] = upper
    skew = skew - skew.mT
    one = torch.eye(size, device=skew.device)
    rotation = (one + skew) @ (one + skew + skew @ skew + skew @ skew @ skew)
    blocks = layer.inputs.unflatten(-1, (-1, size))
    rotated = torch.einsum("...nk,nkc->...nc", blocks, rotation).flatten(-2)
    return (rotated - layer.inputs) @ layer.weight().T


def circulant_update(layer: AdaptedLayer, scale: float) -> Any:
    """Blocks of circulant matrices times x, over the number of inputs; each row is the one above it, shifted (C3A).

    peft keeps the first rows: (blocks of outputs, blocks of inputs, block size). Written without Fourier's transform.
    """
    import torch

    first_rows = layer.parts["c3a_kernel"]
    size = first_rows.shape[-1]
    places = torch.arange(size, device=first_rows.device)
    blocks = first_rows[:, :, (places[None, :] - places[:, None]) % size]
    inputs = layer.inputs.unflatten(-1, (-1, size))
    return torch.einsum("...nl,mnkl->...mk", inputs, blocks).flatten(-2) / layer.inputs.shape[-1]


def sparse_update(layer: AdaptedLayer, scale: float) -> Any:
    """D x, where D has values in few places and is 0 elsewhere (SHiRA)."""
    rows, columns = layer.parts["shira_indices"].long()
    update = layer.parts["shira_weight"].new_zeros(layer.base_outputs.shape[-1], layer.inputs.shape[-1])
    update[rows, columns] = layer.parts["shira_weight"]
    return layer.inputs @ update.T


def kronecker_update(layer: AdaptedLayer, scale: float) -> Any:
    """s (W1 (x) W2) x, the Kronecker product; W2 is a product of two low-rank matrices where rank is small (LoKr)."""
    import torch

    parts = layer.parts
    second = parts["lokr_w2"] if "lokr_w2" in parts else parts["lokr_w2_a"] @ parts["lokr_w2_b"]
    return scale * layer.inputs @ torch.kron(parts["lokr_w1"], second).T


def random_bases_update(layer: AdaptedLayer, scale: float) -> Any:
    """s times the sum over j of B_j diag(l_j) A diag(g_j) x; A and all B_j are random and frozen (RandLoRA).

    A is (rank, smaller side), l (rank, bases), g (bases, smaller side), B (larger side, bases, rank). peft pairs the
    columns of B with the rows of the rest in another order, which is another draw of the random columns. Where W has
    more inputs than outputs the sum is transposed.
    """
    parts = layer.parts
    inputs, outputs = layer.inputs.shape[-1], layer.base_outputs.shape[-1]
    bases, smaller = parts["randlora_gamma"].shape
    scaled = parts["randlora_lambda"][:, :, None] * parts["randlora_A"][:, :1, :smaller] * parts["randlora_gamma"]
    larger = parts["randlora_B"][: max(inputs, outputs), :bases].flatten(1)
    update = larger @ scaled.flatten(0, 1)  # (larger side, smaller side)
    return scale * (layer.inputs @ (update.T if inputs <= outputs else update))


def connected_update(layer: AdaptedLayer, scale: float) -> Any:
    """s (B u + b E u) with u = A x + a P x: P means of groups of inputs, E repeats, a and b scalars (IEC)."""
    inner, outer = layer.parts["lora_scalars"]
    down, up = layer.parts["lora_A"], layer.parts["lora_B"]
    rank, outputs = len(down), len(up)
    low = layer.inputs @ down.T + inner * layer.inputs.unflatten(-1, (rank, -1)).mean(-1)
    repeats = low.unsqueeze(-1).expand(*low.shape, outputs // rank).flatten(-2)
    return scale * (low @ up.T + outer * repeats)


def shortcut_update(layer: AdaptedLayer, scale: float) -> Any:
    """s times the sum of B A x of the layer and of those before it, whose parts come with a number (ResLoRA)."""
    parts = layer.parts
    ends = [name.removeprefix("lora_A") for name in parts if name.startswith("lora_A")]
    return scale * sum(layer.inputs @ parts[f"lora_A{end}"].T @ parts[f"lora_B{end}"].T for end in ends)
