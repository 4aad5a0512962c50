"""Looks into how a method starts: what its paper says of a layer before it trains, of its scale and what it shares.

Seen in a two-layer model with random weights, attached and not trained.
"""

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from bench.methods import ADAPTER_NAME, METHODS
from bench.models import MODELS
from bench.worker.build.adapter import attach
from bench.worker.build.base import prepare_base
from bench.worker.check.looking import NOTHING, SEED, STEPS, TINY, adapted_layer, look, recipe_of

RANK = 4
CLOSE = 1e-4  # of logits and weights of order 1 in float32


@cache
def attach_tiny(method: str) -> dict[str, Any]:
    """A tiny model with the method's adapter, the base's logits before, and the logits after."""
    entry, chosen, recipe = MODELS[TINY], METHODS[method], recipe_of(RANK)
    base = prepare_base(entry, NOTHING, 0, chosen, recipe, SEED, "cpu", to_attach=True).eval()
    ids = random_ids()
    weights = {name: tensor.detach().clone() for name, tensor in base.named_parameters()}
    with torch.no_grad():
        before = base(input_ids=ids).logits
        model = attach(base, entry, chosen, recipe, STEPS, SEED).eval()
        after = model(input_ids=ids).logits
    return {"model": model, "weights": weights, "before": before, "after": after, "recipe": recipe}


def random_ids() -> Tensor:
    """A batch of (2, 16) token ids."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.randint(8, MODELS[TINY].config["vocab_size"], (2, 16), generator=generator)


def trainable(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


@look
def adapts_every_layer(method: str) -> bool:
    """No transformer layer is without something that trains."""
    names = [name for name, _ in trainable(attach_tiny(method)["model"])]
    return all(any(f".layers.{index}." in name for name in names) for index in range(layers_of(method)))


def layers_of(method: str) -> int:
    return len(
        {name.split(".layers.")[1].split(".")[0] for name in attach_tiny(method)["weights"] if ".layers." in name}
    )


@look
def starts_as_base(method: str) -> bool:
    """Attached and untrained, the model gives the base's logits."""
    seen = attach_tiny(method)
    return seen["after"].shape == seen["before"].shape and torch.allclose(seen["after"], seen["before"], atol=CLOSE)


@look
def shrinks_input(method: str) -> bool:
    """An adapted layer reads fewer numbers from the same batch than without the adapter, or passes fewer to A."""
    model = attach_tiny(method)["model"]
    layer, sizes = adapted_layer(model), []
    handle = layer.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].numel()))
    with torch.no_grad():
        model(input_ids=random_ids())
        with model.disable_adapter():
            model(input_ids=random_ids())
    handle.remove()
    adapted, plain_base = sizes
    return adapted < plain_base or layer.lora_A["default"].weight.shape[1] < layer.in_features


@look
def scales_by_root_of_rank(method: str) -> bool:
    """B A is multiplied by alpha / sqrt(rank), and not by alpha / rank."""
    seen = attach_tiny(method)
    return math.isclose(adapted_layer(seen["model"]).scaling[ADAPTER_NAME], seen["recipe"].alpha / math.sqrt(RANK))


@look
def magnitude_is_norm(method: str) -> bool:
    """Each adapted layer trains a magnitude for each output, which starts as the norm of that row of W."""
    model = attach_tiny(method)["model"]
    layers = [module for module in model.modules() if hasattr(module, "lora_magnitude_vector")]
    kept = [layer for layer in layers if len(layer.lora_magnitude_vector)]
    return bool(kept) and all(
        torch.allclose(
            layer.lora_magnitude_vector[ADAPTER_NAME].weight, layer.base_layer.weight.norm(dim=1), atol=CLOSE
        )
        for layer in kept
    )


@look
def holds_principal_part(method: str) -> bool:
    """B A has W's largest singular values, and what is left in the layer is W less B A."""
    seen = attach_tiny(method)
    name, layer = next((n, m) for n, m in seen["model"].named_modules() if len(getattr(m, "lora_A", ())))
    loaded = next(weight for own, weight in seen["weights"].items() if own == f"{plain(name)}.weight")
    update = layer.get_delta_weight(ADAPTER_NAME).detach()
    rest_is_kept = torch.allclose(layer.base_layer.weight + update, loaded, atol=CLOSE)
    largest = torch.linalg.svdvals(loaded)[:RANK]
    return rest_is_kept and torch.allclose(torch.linalg.svdvals(update)[:RANK], largest, rtol=1e-2)


def plain(name: str) -> str:
    """A module's name in the base, without what peft puts before it."""
    return name.removeprefix("base_model.model.")


@look
def shares_frozen_matrices(method: str) -> bool:
    """All adapted layers hold the same pair of matrices, which do not train."""
    model = attach_tiny(method)["model"]
    layers = [module for module in model.modules() if hasattr(module, "vera_A") or len(getattr(module, "lora_A", ()))]
    own = [
        layer.vera_A[ADAPTER_NAME] if hasattr(layer, "vera_A") else layer.lora_A[ADAPTER_NAME].weight
        for layer in layers
    ]
    return len({part.data_ptr() for part in own}) == 1 < len(own) and not any(part.requires_grad for part in own)


@look
def trains_only_vectors(method: str) -> bool:
    """Everything that trains has one axis longer than 1."""
    return all(part.numel() == max(part.shape) for _, part in trainable(attach_tiny(method)["model"]))


@look
def vectors_start_at_one(method: str) -> bool:
    """Everything that trains starts at 1."""
    return all(bool((part == 1).all()) for _, part in trainable(attach_tiny(method)["model"]))


@look
def only_virtual_tokens_train(method: str) -> bool:
    """What trains is peft's prompt, at the input or as keys and values, and nothing else."""
    names = [name for name, _ in trainable(attach_tiny(method)["model"])]
    return bool(names) and all("prompt_encoder" in name for name in names)
