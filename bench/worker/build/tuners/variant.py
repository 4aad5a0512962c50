"""A variant of LoRA whose update of W is a known matrix, and its registration with peft.

peft 0.21 refuses a name that is not in its enum PeftType. But what it looks up by that name are three dicts, and their
keys are strings too. peft promises none of this; a test saves, loads and merges a variant, and shows when it ends.
"""

from typing import Any

import bitsandbytes
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.lora import bnb, layer
from peft.tuners.lora.layer import LoraVariant
from peft.tuners.lora.model import LoraModel
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D


class KnownUpdate(LoraVariant):
    """update(module, adapter) is added to W, (outputs, inputs); forward adds the same to the layer's outputs."""

    @staticmethod
    def init(module: Any, adapter_name: str, **more: Any) -> None:
        """A variant with parameters of its own makes them here."""

    @staticmethod
    def update(module: Any, adapter: str) -> Tensor:
        raise NotImplementedError

    @staticmethod
    def merge_safe(module: Any, active_adapter: str, orig_weight: Tensor) -> Tensor:
        return orig_weight + module.get_delta_weight(active_adapter).to(orig_weight.dtype)

    @staticmethod
    def merge_unsafe(module: Any, active_adapter: str, orig_weight: Tensor) -> None:
        orig_weight.data += module.get_delta_weight(active_adapter).to(orig_weight.dtype)

    @staticmethod
    def unmerge(module: Any, active_adapter: str, orig_weight: Tensor) -> Tensor:
        return orig_weight - module.get_delta_weight(active_adapter).to(orig_weight.dtype)


def layers_with(variant: type[KnownUpdate]) -> dict[type[nn.Module], type[nn.Module]]:
    """Base layer -> LoRA layer with this variant, as LoraConfig takes it; the first that fits counts."""

    def resolve_lora_variant(module: Any, **more: Any) -> KnownUpdate:
        return variant()

    def get_delta_weight(module: Any, adapter: str) -> Tensor:
        """What is added to the stored weight, which lies transposed in a Conv1D."""
        update = variant.update(module, adapter)
        return update.T if isinstance(module.get_base_layer(), Conv1D) else update

    def with_variant(own: Any) -> Any:
        return type(own.__name__, (own,), {one.__name__: one for one in (resolve_lora_variant, get_delta_weight)})

    plain = with_variant(layer.Linear)
    return {bitsandbytes.nn.Linear4bit: with_variant(bnb.Linear4bit), nn.Linear: plain, Conv1D: plain}


def register(kind: str, config: type, tuner: type = LoraModel) -> None:
    """Make peft build, save and load adapters of this kind, the peft_type of their configuration."""
    PEFT_TYPE_TO_CONFIG_MAPPING[kind] = config  # type: ignore[index]  # a string is as good as the enum's member
    PEFT_TYPE_TO_TUNER_MAPPING[kind] = tuner  # type: ignore[index]
    PEFT_TYPE_TO_PREFIX_MAPPING[kind] = LoraModel.prefix  # type: ignore[index]
