"""DyLoRA (arXiv:2210.07558): each step trains the first b rows of A and columns of B, with b drawn from 1 to rank.

    y = W x + alpha / b B[:, :b] A[:b] x        one b for the whole model

Afterwards every smaller rank is an adapter of its own: the first rows and columns are a plain LoRA of rank b and the
same alpha. All b rows get a gradient, the paper's form without `frozen`. In evaluation the rank is the full one, or
the one that is viewed, and never what training drew last: that is in no file.
"""

import random
from dataclasses import dataclass, field
from typing import Any

from peft import LoraConfig
from peft.tuners.lora.layer import LoraLayer
from peft.tuners.lora.model import LoraModel
from torch import Tensor
from torch.nn import functional

from bench.worker.build.tuners.variant import KnownUpdate, layers_with, register

KIND = "DYLORA"
FULL_STEPS = 2
DRAWN, VIEWED = "drawn_rank", "viewed_rank"  # attributes of a layer, absent while its rank is the full one


class FirstRows(KnownUpdate):
    @staticmethod
    def forward(module: Any, active_adapter: str, x: Tensor, result: Tensor, **more: Any) -> Tensor:
        down, up, scale = parts(module, active_adapter, DRAWN if module.training else VIEWED)
        low = functional.linear(module.lora_dropout[active_adapter](x), down)
        return result + scale * functional.linear(low, up)

    @staticmethod
    def update(module: Any, adapter: str) -> Tensor:
        down, up, scale = parts(module, adapter, VIEWED)
        return scale * up.float() @ down.float()


def parts(module: Any, adapter: str, which: str) -> tuple[Tensor, Tensor, float]:
    """A's first rows, B's first columns and their scale, at the layer's rank of this name."""
    full = module.r[adapter]
    rank = min(full, getattr(module, which, full))
    down, up = module.lora_A[adapter].weight, module.lora_B[adapter].weight
    return down[:rank], up[:, :rank], module.scaling[adapter] * full / rank


class DyLoraModel(LoraModel):
    def draw_rank(self, step: int) -> None:
        """Draw the rank of the step after this one, which counts from 0; after the last one it is the full rank.

        It follows from the seed and the step's number alone, so that every engine draws the same. The first two steps
        are of the full rank: they show what the widest step holds.
        """
        config: Any = self.peft_config[self.active_adapters[0]]
        following = step + 1
        full = following < FULL_STEPS or following >= config.total_steps
        drawn = random.Random(f"{config.draw_seed} {following}").randint(1, config.r)
        self.set_ranks(DRAWN, config.r if full else drawn)

    def view_rank(self, rank: int) -> None:
        """Let evaluation and merging see this rank."""
        self.set_ranks(VIEWED, rank)

    def set_ranks(self, name: str, rank: int) -> None:
        for module in self.model.modules():
            if isinstance(module, LoraLayer):
                setattr(module, name, rank)


LAYERS = layers_with(FirstRows)


@dataclass
class DyLoraConfig(LoraConfig):
    total_steps: int = field(default=0, metadata={"help": "Optimizer steps; after the last one the rank is r."})
    draw_seed: int = field(default=0, metadata={"help": "Of the ranks that are drawn."})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = KIND  # type: ignore[assignment]
        self._register_custom_module(LAYERS)


register(KIND, DyLoraConfig, DyLoraModel)
