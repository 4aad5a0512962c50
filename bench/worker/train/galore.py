"""GaLore: AdamW that keeps its moments in a low-rank projection of each matrix's gradient (arXiv:2403.03507).

The package of the authors has had no release since March 2024 and asks for its own transformers classes, so its few
lines of mathematics stand here. Matrices keep rank x larger side twice and their projection, rank x smaller side.
"""

import math
from typing import Any

import torch
from torch import Tensor

# The authors' README fine-tunes RoBERTa with these two; it pre-trains with 200 and 0.25.
STEPS_BETWEEN_PROJECTIONS = 500
SCALE = 4.0  # of what is projected back, so it multiplies the learning rate; the paper's alpha


def project(gradient: Tensor, directions: Tensor) -> Tensor:
    """The gradient in these directions of its smaller side: (rows, rank) if it is tall, (rank, columns) if wide."""
    return gradient @ directions.T if gradient.shape[0] >= gradient.shape[1] else directions.T @ gradient


def project_back(low: Tensor, directions: Tensor, shape: torch.Size) -> Tensor:
    return low @ directions if shape[0] >= shape[1] else directions @ low


def leading_directions(gradient: Tensor, rank: int) -> Tensor:
    """The singular vectors of the gradient's smaller side: (rank, columns) if it is tall, (rows, rank) if wide."""
    left, _, right = torch.linalg.svd(gradient.float(), full_matrices=False)
    found = right[:rank] if gradient.shape[0] >= gradient.shape[1] else left[:, :rank]
    return found.clone(memory_format=torch.contiguous_format).to(gradient.dtype)  # a view would keep the whole


class GaLore(torch.optim.Optimizer):
    """Groups with a "rank" above 0 are matrices to project; the others are AdamW's."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "rank": 0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.update(weight, group)

    def update(self, weight: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None  # step leaves the others out
        projected = 0 < group["rank"] < min(weight.shape)
        number = state.get("step", 0)
        if projected and number % STEPS_BETWEEN_PROJECTIONS == 0:
            state["directions"] = leading_directions(gradient, group["rank"])
        low = project(gradient, state["directions"]) if projected else gradient
        if not number:
            state["mean"], state["square"] = torch.zeros_like(low), torch.zeros_like(low)
        state["step"] = number + 1
        first, second = group["betas"]
        state["mean"].lerp_(low, 1 - first)
        state["square"].mul_(second).addcmul_(low, low, value=1 - second)
        root = state["square"].sqrt().div_(math.sqrt(1 - second ** state["step"])).add_(group["eps"])
        update = state["mean"] / root
        rate = group["lr"] / (1 - first ** state["step"])
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        if projected:
            update, rate = project_back(update, state["directions"], weight.shape), rate * SCALE
        weight.add_(update, alpha=-rate)


def projected_matrices(model: Any) -> set[Tensor]:
    """The weights of the model's linear layers, without its output layer."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    return {module.weight for name, module in layers if module is not head and "classifier" not in name}
