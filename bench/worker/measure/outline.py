"""An outline of a model: its modules on the device "meta", where an operation has shapes and no arithmetic.

FLOPs are counted on it, so that counting takes no memory and no time of the arithmetic, and works at any shape.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from bench.methods.derived import BEFORE
from bench.models import ModelEntry
from bench.models.shapes import layer_count

ASKS_FOR_GRADIENT = "enable_input_require_grads"  # the method of transformers in which its hook is defined


class PackedProduct(torch.autograd.Function):
    """The product with a packed weight, as bitsandbytes does it.

    The weight is no saved tensor, so checkpointing computes the product again, which it spares of a plain last layer.
    """

    @staticmethod
    def forward(context: Any, inputs: Tensor, weight: Tensor) -> Tensor:
        context.weight = weight
        return inputs @ weight.t()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] @ context.weight, None


class PackedLinear(nn.Linear):
    """A packed layer's outline: the dense product that it stands for."""

    def forward(self, inputs: Tensor) -> Tensor:
        product = PackedProduct.apply(inputs, self.weight)
        return product if self.bias is None else product + self.bias


def bare(tensor: Tensor) -> Tensor:
    """The tensor without storage; every number format is float32, for no format changes a count."""
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return torch.empty(tensor.shape, dtype=dtype, device="meta")


def layers_of(model: Any, entry: ModelEntry) -> nn.ModuleList:
    """The model's list of transformer layers. Raises ValueError where no list has as many as the entry says."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    wanted = layer_count(entry)
    for found in lists:
        if len(found) == wanted:
            return found
    seen = ", ".join(str(len(found)) for found in lists) or "none"
    raise ValueError(
        f"{type(model).__name__} has no list of {wanted} layers (lists of modules: {seen}), which {entry.name} says it "
        "has; correct the number of layers in its entry"
    )


def are_alike(layers: nn.ModuleList) -> bool:
    """Whether all layers are made of the same modules and of parameters of the same shapes, trained alike.

    ResLoRA's are not: the first ones have fewer layers before them.
    """
    made = {
        tuple((name, tuple(p.shape), p.requires_grad) for name, p in one.named_parameters())
        + tuple((name, type(module), len(vars(module).get(BEFORE, ()))) for name, module in one.named_modules())
        for one in layers
    }
    return len(made) == 1


def outline(model: Any, layers: nn.ModuleList, kept: int, packed: type[nn.Linear]) -> Any:
    """A copy of the model on "meta" with the first `kept` of these layers, and packed ones of this class."""
    import bitsandbytes

    memo: dict[int, Any] = {}
    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit | bitsandbytes.nn.Linear8bitLt):
            plain = packed(module.in_features, module.out_features, module.bias is not None, device="meta")
            memo[id(module)] = plain.requires_grad_(False)
        elif isinstance(module, bitsandbytes.nn.Embedding4bit):
            table = nn.Embedding(module.num_embeddings, module.embedding_dim, device="meta")
            memo[id(module)] = table.requires_grad_(False)
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(bare(parameter), parameter.requires_grad and parameter.is_floating_point())
    for buffer in model.buffers():
        memo[id(buffer)] = bare(buffer)
    memo[id(layers)] = nn.ModuleList(copy.deepcopy(layer, memo) for layer in layers[:kept])
    return with_dense_updates(copy.deepcopy(model, memo))


def with_dense_updates(model: Any) -> Any:
    """The outline with dense updates where peft adds sparse ones (SHiRA), which "meta" does not have.

    peft adds them to a dense W, so the products and their gradients are the same.
    """
    for module in model.modules():
        if values := getattr(module, "shira_weight", None):
            shape = (module.out_features, module.in_features)
            module.get_delta_weight = lambda adapter, values=values, shape=shape: values[adapter].sum().expand(shape)
    return model


def without_recomputation(model: Any) -> Any:
    """The outline with gradient checkpointing off, and without the gradient that it makes embeddings require."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    # transformers 5.2x has renamed it
    disable = getattr(base, "activation_checkpointing_disable", None) or base.gradient_checkpointing_disable
    disable()
    hooks = base.get_input_embeddings()._forward_hooks
    for number, hook in list(hooks.items()):
        # made twice, by transformers and by attaching; disable_input_require_grads knows the second alone
        if ASKS_FOR_GRADIENT in getattr(hook, "__qualname__", ""):
            del hooks[number]
    return model
