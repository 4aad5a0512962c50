"""Evidence that merging can be undone, and that merging into packed weights costs no more than packing them again."""

import copy
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
    """How far weights and biases are from the base's after merging and unmerging, at most; the model stays as it is.

    The distance is ||after - before|| over the norm of the merged tensor, or of the base's if that is larger.
    merged_share is how far merging moves a layer's weights, in the layer that it moves least; layers whose adapter adds
    nothing do not count. Where merging moves nothing, undoing it proves nothing. All in copies of the layers in
    float32: in 16 bits a small update is lost in rounding.
    """
    apart, moved = [], []
    for own in one_of_each_kind(model).values():
        layer = copy.deepcopy(own).float().eval()
        acts = adds_something(layer)
        base = layer.get_base_layer()
        before = {name: tensor.detach().clone() for name, tensor in base.named_parameters()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft says of some methods that rounding stays, which is measured here
            layer.merge()
            merged = {name: tensor.detach().clone() for name, tensor in base.named_parameters()}
            layer.unmerge()
        shares = [0.0]
        for name, tensor in base.named_parameters():
            largest = max(torch.linalg.norm(before[name]), torch.linalg.norm(merged[name]))
            if largest > 0:
                apart.append(float(torch.linalg.norm(tensor - before[name]) / largest))
                shares.append(float(torch.linalg.norm(merged[name] - before[name]) / largest))
        if acts:
            moved.append(max(shares))
    return {"unmerge_distance": max(apart, default=0.0), "merged_share": min(moved, default=0.0)}


def adds_something(layer: Any) -> bool:
    """Whether the adapter of a layer in float32 changes what its base gives of random inputs."""
    weight = weight_of(layer)
    inputs = torch.randn(RANDOM_INPUTS, weight.shape[1], generator=torch.Generator().manual_seed(0)).to(weight.device)
    return not torch.equal(layer(inputs), layer.get_base_layer()(inputs))


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
