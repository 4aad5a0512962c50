"""Adapted layers of a model: one of each kind, with the tensors that a method's formula is about.

A fault is in a kind of layer, so the last layer of each kind stands for all of them: with seven kinds a model of 32
transformer layers costs as much to check as one of two.
"""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from bench.methods import ADAPTER_NAME
from bench.methods.derived import BEFORE
from bench.methods.formulas import AdaptedLayer
from bench.worker.build.quantise import plain_weight


def one_of_each_kind(model: Any) -> dict[str, Any]:
    """The last adapted layer of each kind, by name; layers whose names differ in their numbers alone are of one kind.

    Empty for a method that adapts no layers.
    """
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer) and hasattr(module, "base_layer"):
            found[re.sub(r"\d+", "", name)] = (name.removeprefix("base_model.model."), module)
    return dict(found.values())


def parts_of(layer: Any, adapter: str = ADAPTER_NAME) -> dict[str, Tensor]:
    """The adapter's tensors in this layer in float32, by the names of peft's attributes.

    Those of layers before it that act in it too (ResLoRA) have a number after their names.
    """
    found: dict[str, Tensor] = {}
    for number, before in enumerate(vars(layer).get(BEFORE, ()), 1):
        found |= {f"{name}_{number}": part for name, part in own_parts(before, adapter).items()}
    return found | own_parts(layer, adapter)


def own_parts(layer: Any, adapter: str) -> dict[str, Tensor]:
    found = {}
    for name in (*layer.adapter_layer_names, *layer.other_param_names):
        held: Any = getattr(layer, name, None)
        if hasattr(held, "keys") and adapter in held.keys():  # noqa: SIM118  (peft's BufferDict has no other way)
            part = held[adapter]
            part = getattr(part, "weight", None) if isinstance(part, nn.Module) else part
            if isinstance(part, Tensor):
                found[name] = part.detach().float()
    return found


def weight_of(layer: Any) -> Tensor:
    """W of the layer's base in float32, (outputs, inputs)."""
    base = layer.get_base_layer()
    weight = plain_weight(base)
    weight = base.weight.detach() if weight is None else weight
    return (weight.T if isinstance(base, Conv1D) else weight).float()


@torch.no_grad()
def inputs_of(layers: Mapping[str, Any], forward: Callable[[], Any]) -> dict[str, Tensor]:
    """What each layer reads while forward() runs, by name: (tokens, inputs), in float32."""
    read: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[Any, tuple[Tensor, ...]], None]:
        def hook(layer: Any, given: tuple[Tensor, ...]) -> None:
            read[name] = given[0].detach().flatten(0, -2).float()

        return hook

    hooks = [layer.register_forward_pre_hook(keep(name)) for name, layer in layers.items()]
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return read


@torch.no_grad()
def at_work(layer: Any, inputs: Tensor) -> tuple[Tensor, AdaptedLayer]:
    """What the layer gives of these inputs, and the layer as its formula sees it.

    Computed in float32, because bfloat16 would round a small update away; a packed base computes as it always does.
    """
    parts, plain = parts_of(layer), layer.get_base_layer()
    if plain.weight.is_floating_point() and plain.weight.dtype != torch.float32:
        layer = copy.deepcopy(layer).float()
    base = layer.get_base_layer()
    bias = None if base.bias is None else base.bias.detach().float()
    seen = layer(inputs).float()
    return seen, AdaptedLayer(inputs, base(inputs).float(), bias, parts, lambda: weight_of(layer))
