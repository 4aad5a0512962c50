"""Evidence that merging can be undone, and that merging into packed weights costs no more than packing them again."""

import warnings
from typing import Any

import torch
from torch import Tensor

from bench.core.recipe import Recipe
from bench.methods import Method
from bench.methods.formulas import AdaptedLayer
from bench.worker.check.adapted import one_of_each_kind, parts_of, weight_of
from bench.worker.check.evidence import distance

RANDOM_INPUTS = 64  # rows


@torch.no_grad()
def unmerge_evidence(model: Any) -> dict[str, float]:
    """How far weights and biases are from the base's after merging and unmerging, at most; they are put back then.

    The distance is ||after - before|| over the norm of the merged tensor, or of the base's if that is larger. How far
    merging moved a weight is there too: where it moves nothing, undoing it proves nothing.
    """
    apart, moved = [], []
    for layer in one_of_each_kind(model).values():
        base = layer.get_base_layer()
        before = {name: tensor.detach().clone() for name, tensor in base.named_parameters()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft says of some methods that rounding stays, which is measured here
            layer.merge()
            merged = {name: tensor.detach().clone() for name, tensor in base.named_parameters()}
            layer.unmerge()
        for name, tensor in base.named_parameters():
            largest = max(torch.linalg.norm(before[name].float()), torch.linalg.norm(merged[name].float()))
            if largest > 0:
                apart.append(float(torch.linalg.norm((tensor - before[name]).float()) / largest))
                moved.append(float(torch.linalg.norm((merged[name] - before[name]).float()) / largest))
            tensor.data.copy_(before[name])
    return {"unmerge_distance": max(apart, default=0.0), "merged_share": max(moved, default=0.0)}


@torch.no_grad()
def packed_merge_evidence(model: Any, method: Method, recipe: Recipe) -> dict[str, float]:
    """How well peft merges into 4 or 8 bits: the outputs of the merged layers, and the factor of the merged update.

    The distance is the largest of one layer of each kind: what it gives of random inputs, which weigh all weights
    alike, against (W + update) x without the rounding to few bits. The factor is that of the update that fits best,
    over all of these layers: such rounding is random, and averages out over many weights. The model is merged
    afterwards.
    """
    layers = one_of_each_kind(model)
    own = {name: weight_of(layer) for name, layer in layers.items()}
    updates = {name: update_of(layer, method, recipe) for name, layer in layers.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft says that rounding may change what is generated
        model.merge_adapter()
    apart, products, squares = [], 0.0, 0.0
    generator = torch.Generator().manual_seed(0)
    for name, layer in layers.items():
        bias = layer.get_base_layer().bias
        inputs = torch.randn(RANDOM_INPUTS, own[name].shape[1], generator=generator).to(own[name].device)
        expected = inputs @ (own[name] + updates[name]).T
        seen = layer(inputs).float() - (0 if bias is None else bias.float())
        apart.append(distance(seen, expected))
        products += float(((weight_of(layer) - own[name]) * updates[name]).sum())
        squares += float((updates[name] ** 2).sum())
    return {"packed_merge_distance": max(apart), "packed_merge_factor": products / squares}


def update_of(layer: Any, method: Method, recipe: Recipe) -> Tensor:
    """What the formula adds to W, (outputs, inputs): the update of each unit vector."""
    weight = weight_of(layer)
    units = torch.eye(weight.shape[1], device=weight.device)
    adapted = AdaptedLayer(units, weight.T, None, parts_of(layer), lambda: weight)
    formula: Any = method.formula  # methods that merge have one
    return formula(adapted, method.scale.of(recipe) if method.scale else 1.0).T
