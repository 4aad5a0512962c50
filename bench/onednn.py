"""Linear layers by oneDNN, in the worker, while a model on a processor is only read from.

torch's product of float32 (MKL's) puts a weight into the order that it computes in each time that it is called, which
with few rows takes longer than the product, and for a head of 49,152 words always does. Here that is done once for each
layer, by the operators that torch.compile lowers frozen linear layers to; compiling a model itself takes minutes.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from peft.tuners import lora
from torch import Tensor, nn

MIN_WEIGHTS = 2**16  # of a layer; a call of oneDNN's takes longer than the product of a smaller one


@contextlib.contextmanager
def linear_layers_by_onednn(model: Any) -> Iterator[None]:
    """Within, and without gradients, the large linear layers of float32 on a processor compute by oneDNN.

    A layer with LoRA does so by W + BA. Each keeps a second copy of its weight until then, and trains no further from
    it. Where torch is built without oneDNN nothing changes.
    """
    layers = large_layers(model) if torch.backends.mkldnn.is_available() else []
    try:
        for layer in layers:
            layer.forward = product(layer)  # beside the class's own
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def large_layers(model: Any) -> list[Any]:
    """Plain layers and those with LoRA; not what is inside of these."""
    adapted = [module for module in model.modules() if is_lora(module) and is_large(module.base_layer)]
    inside = {id(module.base_layer) for module in adapted}
    return adapted + [module for module in model.modules() if is_large(module) and id(module) not in inside]


def is_large(module: nn.Module) -> bool:
    if type(module) is not nn.Linear or "forward" in vars(module):  # a subclass, or a hook, computes otherwise
        return False
    weight = module.weight
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.numel() >= MIN_WEIGHTS


def is_lora(module: Any) -> bool:
    """Whether the module computes (W + BA) x in float32, which a variant as DoRA does not."""
    if type(module) is not lora.Linear or module.disable_adapters or module.merged:
        return False
    return not any(
        name in module.lora_variant or module.lora_bias[name] or module.lora_B[name].weight.dtype != torch.float32
        for name in module.active_adapters
    )


def product(layer: Any) -> Callable[[Tensor], Tensor]:
    """The layer's forward over its weight as it is now."""
    base = layer if isinstance(layer, nn.Linear) else layer.base_layer
    weight = base.weight.detach()
    if base is not layer:
        weight = weight + sum(layer.get_delta_weight(name).detach() for name in layer.active_adapters)
    ordered = torch.ops.mkldnn._reorder_linear_weight(weight)

    def forward(input: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(input, ordered, base.bias, "none", [], "")

    return forward
