"""Linear layers by oneDNN, in the worker, while a model on a processor is only read from.

torch's product of float32 (MKL's) puts a weight into the order that it computes in whenever it is called, which takes
long beside a product with few rows. Here that is done once for each layer, by the operators that torch.compile puts in
the place of frozen linear layers for batches of any size; to compile a model itself takes minutes.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from peft.tuners import lora
from torch import Tensor, nn

MIN_WEIGHTS = 2**18  # of a layer without LoRA; of fewer, a call of oneDNN's takes as long or longer


@contextlib.contextmanager
def linear_layers_by_onednn(model: Any) -> Iterator[None]:
    """Within, and without gradients, linear layers of float32 on a processor compute by oneDNN where that is quicker.

    A layer with LoRA does so by W + BA. Each holds a second copy of its weight, and what is trained, switched off or
    merged within is not seen. Where torch is built without oneDNN nothing changes.
    """
    layers = replaceable(model) if torch.backends.mkldnn.is_available() else []
    try:
        for layer in layers:
            layer.forward = product(layer)  # beside the class's own
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def replaceable(model: Any) -> list[Any]:
    """Layers with LoRA and large plain ones; not what is inside of these, nor what holds a merged adapter."""
    modules = list(model.modules())
    adapted = [module for module in modules if is_lora(module)]
    merged = [module for module in modules if getattr(module, "merged", False)]  # peft unmerges what is switched off
    inside = {id(part) for module in adapted + merged for part in module.modules()}
    large = [module for module in modules if is_plain(module) and module.weight.numel() >= MIN_WEIGHTS]
    return adapted + [module for module in large if id(module) not in inside]


def is_plain(module: nn.Module) -> bool:
    if type(module) is not nn.Linear or has_own_forward(module):  # a subclass computes otherwise
        return False
    return module.weight.device.type == "cpu" and module.weight.dtype == torch.float32


def has_own_forward(module: nn.Module) -> bool:
    """As accelerate's hooks give it, or the like of what is done here."""
    return "forward" in vars(module)


def is_lora(module: Any) -> bool:
    """Whether the module computes (W + BA) x in float32 by one adapter, and no variant of it, as DoRA is."""
    if type(module) is not lora.Linear or has_own_forward(module) or not is_plain(module.base_layer):
        return False
    if module.disable_adapters or module.merged or len(module.active_adapters) != 1:
        return False
    name = module.active_adapters[0]
    if name not in module.lora_A or name in module.lora_variant or module.lora_bias[name]:
        return False
    return module.lora_A[name].weight.dtype == module.lora_B[name].weight.dtype == torch.float32


@torch.no_grad()
def product(layer: Any) -> Callable[[Tensor], Tensor]:
    """The layer's forward over its weight as it is now."""
    if isinstance(layer, nn.Linear):
        weight, bias = layer.weight, layer.bias
    else:
        weight = layer.base_layer.weight + layer.get_delta_weight(layer.active_adapters[0])
        bias = layer.base_layer.bias
    ordered = torch.ops.mkldnn._reorder_linear_weight(weight)

    def forward(input: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(input, ordered, bias, "none", [], "")

    return forward
