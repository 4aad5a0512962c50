"""The adapter on a base model: attached, or loaded from files.

`bench.methods` defines the methods; peft applies them here.
"""

from pathlib import Path
from typing import Any

import torch

from bench.core.recipe import Recipe
from bench.methods import ADAPTER, ADAPTER_NAME, ALL, HEAD, Attach, Method, Unsupported
from bench.models import ModelEntry
from bench.models.shapes import target_layers
from bench.worker.build.precision import adapter_dtype
from bench.worker.build.quantise import ROUNDED


def attach(model: Any, entry: ModelEntry, method: Method, recipe: Recipe, steps: int, seed: int) -> Any:
    """Freeze what the method freezes and add what it adds; weights that train are kept as the recipe says."""
    torch.manual_seed(seed)
    if method.trains == ADAPTER:
        target_layers(entry, method.targets(entry))  # says which target modules the model lacks
        model = add_adapter(model, configuration(method, Attach(entry, recipe, steps, seed)))
        if method.starts_from_rounding:
            start_from_rounding(model)
        for name, parameter in model.named_parameters():
            if any(part in name for part in method.frozen_parts):
                parameter.requires_grad_(False)
    else:
        for parameter in model.parameters():
            parameter.requires_grad_(method.trains == ALL)
        if method.trains == HEAD:
            free_head(model)
    kept = adapter_dtype(recipe)
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype != kept:
            parameter.data = parameter.data.to(kept)
    if recipe.gradient_checkpointing:
        # transformers 5.2x has renamed it
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
        model.enable_input_require_grads()
    return model


@torch.no_grad()
def start_from_rounding(model: Any) -> None:
    """Give each layer's A and B what packing has kept for them, so that the model is nearer to the unpacked one.

    What was kept is dropped then, of layers without an adapter too. The base is one of prepare_base(to_attach=True).
    """
    from peft.tuners.lora.layer import LoraLayer

    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            down, up = vars(layer.get_base_layer()).pop(ROUNDED)
            own_down: Any = layer.lora_A[ADAPTER_NAME].weight
            own_up: Any = layer.lora_B[ADAPTER_NAME].weight
            own_down.copy_(down)
            own_up.copy_(up / layer.scaling[ADAPTER_NAME])
    for module in model.modules():
        vars(module).pop(ROUNDED, None)


def configuration(method: Method, attaching: Attach) -> Any:
    """The configuration of peft that the method gives. Raises Unsupported for anything else, as a module."""
    from peft import PeftConfig

    from bench.worker.build import tuners  # noqa: F401  (registers its configurations with peft, whose import is slow)

    found = method.run(attaching)
    if isinstance(found, PeftConfig):
        return found
    raise Unsupported(
        f"{method.name} gives {found if found is None else f'a {type(found).__name__}'} where a configuration of peft "
        "is expected, as LoraConfig; a module of your own becomes a method through peft.utils.register_peft_method"
    )


def free_head(model: Any) -> None:
    """Make the output layer trainable; a tied one stays tied to the embeddings."""
    head = model.get_output_embeddings() if hasattr(model, "lm_head") else model.classifier
    if head is None:
        raise Unsupported(f"{type(model).__name__} has no output layer to train")
    head.requires_grad_(True)


def add_adapter(model: Any, config: Any) -> Any:
    """peft's model around the base."""
    from peft import get_peft_model

    return get_peft_model(model, config)


def load_adapter(model: Any, folder: Path, kept: torch.dtype = torch.float32, name: str = ADAPTER_NAME) -> Any:
    """A saved adapter on a fresh base, or beside the adapters of a model that has some, under peft's name for it.

    It is kept in the format it was trained in, which must be that of the adapters beside it. peft repeats a method's
    start (PiSSA, OLoRA) before it loads.
    """
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    from bench.worker.build import tuners  # noqa: F401  (registers its adapters with peft)

    if isinstance(model, PeftModel):
        model.load_adapter(str(folder), adapter_name=name)
        loaded: Any = model
    else:
        loaded = PeftModel.from_pretrained(model, str(folder), name, is_trainable=False)
    if kept != torch.float32:  # which is what peft loads it in
        for layer in (module for module in loaded.modules() if isinstance(module, BaseTunerLayer)):
            for part in layer.adapter_layer_names:
                getattr(layer, part).to(kept)
    return loaded
