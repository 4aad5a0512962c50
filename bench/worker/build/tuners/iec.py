"""IEC, the adapter of IR-QLoRA (arXiv:2402.05445): LoRA with two parameter-free connections and a scalar for each.

    u = A x + a P x        P: the means of rank groups of neighbouring inputs
    y = W x + s (B u + b E u)        E: repeats of each of rank, as many as outputs / rank

a and b are 0 at the start, as in the authors' code, so that it starts as the base.
"""

from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor, nn

from bench.worker.build.tuners.variant import KnownUpdate, layers_with, register

KIND = "IEC"


class Connections(KnownUpdate):
    @staticmethod
    def init(module: Any, adapter_name: str, **more: Any) -> None:
        """Two scalars a layer, by adapter, that peft saves and switches as its own."""
        if not hasattr(module, "lora_scalars"):
            module.lora_scalars = nn.ParameterDict({})
            module.adapter_layer_names = (*module.adapter_layer_names, "lora_scalars")
        device = module.lora_A[adapter_name].weight.device
        module.lora_scalars[adapter_name] = nn.Parameter(torch.zeros(2, device=device))

    @staticmethod
    def forward(module: Any, active_adapter: str, x: Tensor, result: Tensor, **more: Any) -> Tensor:
        rank, (inner, outer) = module.r[active_adapter], module.lora_scalars[active_adapter]
        down, up = module.lora_A[active_adapter], module.lora_B[active_adapter]
        means = x.unflatten(-1, (rank, -1)).mean(-1)
        low = down(module.lora_dropout[active_adapter](x)) + inner * means
        repeats = low.repeat_interleave(module.out_features // rank, dim=-1)
        return result + module.scaling[active_adapter] * (up(low) + outer * repeats)

    @staticmethod
    def update(module: Any, adapter: str) -> Tensor:
        rank, (inner, outer) = module.r[adapter], module.lora_scalars[adapter].float()
        down, up = module.lora_A[adapter].weight.float(), module.lora_B[adapter].weight.float()
        one = torch.eye(rank, device=down.device)
        group = module.in_features // rank
        down = down + inner * one.repeat_interleave(group, dim=1) / group
        up = up + outer * one.repeat_interleave(module.out_features // rank, dim=0)
        return module.scaling[adapter] * up @ down


LAYERS = layers_with(Connections)


@dataclass
class IecConfig(LoraConfig):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = KIND  # type: ignore[assignment]
        self._register_custom_module(LAYERS)  # not saved, so it is said anew at every load


register(KIND, IecConfig)
