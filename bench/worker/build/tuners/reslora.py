"""ResLoRA's block shortcuts (arXiv:2402.18039, its form bs): the updates of the layers before act in each layer too.

    y = W x + s (B_n A_n + B_{n-1} A_{n-1} + ... ) x        n: the layer, and `shortcuts` of its kind before it

It merges exactly. The paper's other two forms do not and are not here: what they add depends on the inputs of other
layers, and the authors merge an approximation of it.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora.layer import LoraLayer
from peft.tuners.lora.model import LoraModel
from torch import Tensor
from torch.nn import functional

from bench.methods.derived import BEFORE
from bench.worker.build.tuners.variant import KnownUpdate, layers_with, register

KIND = "RESLORA"


class BlockShortcuts(KnownUpdate):
    @staticmethod
    def forward(module: Any, active_adapter: str, x: Tensor, result: Tensor, **more: Any) -> Tensor:
        down, up = joined(module, active_adapter)
        low = functional.linear(module.lora_dropout[active_adapter](x), down)
        return result + module.scaling[active_adapter] * functional.linear(low, up)

    @staticmethod
    def update(module: Any, adapter: str) -> Tensor:
        down, up = joined(module, adapter)
        return module.scaling[adapter] * up.float() @ down.float()


def joined(module: Any, adapter: str) -> tuple[Tensor, Tensor]:
    """All A below each other and all B beside each other: two products in place of two for each layer."""
    layers = (module, *module.__dict__.get(BEFORE, ()))
    down = torch.cat([one.lora_A[adapter].weight for one in layers])
    return down, torch.cat([one.lora_B[adapter].weight for one in layers], dim=1)


class ResLoraModel(LoraModel):
    def _post_injection_hook(self, model: Any, config: Any, adapter_name: str) -> None:
        """Show each layer those of its kind and shape before it."""
        super()._post_injection_hook(model, config, adapter_name)
        kinds: dict[tuple[Any, ...], list[Any]] = {}
        for name, module in model.named_modules():
            if isinstance(module, LoraLayer):
                path = tuple(part for part in name.split(".") if not part.isdigit())  # without the layer's number
                kind = (path, module.in_features, module.out_features)
                before = kinds.setdefault(kind, [])
                module.__dict__[BEFORE] = tuple(before[-config.shortcuts :]) if config.shortcuts else ()
                before.append(module)


LAYERS = layers_with(BlockShortcuts)


@dataclass
class ResLoraConfig(LoraConfig):
    shortcuts: int = field(default=4, metadata={"help": "How many layers before each one act in it too."})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = KIND  # type: ignore[assignment]
        self._register_custom_module(LAYERS)


register(KIND, ResLoraConfig, ResLoraModel)
