"""The optimizer, its schedule and the update of the weights."""

import math
from typing import Any

import torch
from torch import nn

from bench.core.recipe import Recipe
from bench.worker.train.galore import GaLore, projected_matrices
from bench.worker.train.trainee import Trainee


def make_optimizer(trainee: Trainee) -> torch.optim.Optimizer:
    """The recipe's optimizer over what trains: norms and biases without weight decay, a new head and B at own rates."""
    recipe = trainee.recipe
    projected = projected_matrices(trainee.model) if recipe.optimizer == "galore_adamw" else set()
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in trainee.model.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate_of(name, recipe), decay, parameter in projected), []).append(parameter)
    if not groups:
        raise ValueError(f"{trainee.method.name} left nothing to train")
    found = [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay, _), members in groups.items()]
    if recipe.optimizer == "galore_adamw":
        ranks = [recipe.rank if projects else 0 for (_, _, projects) in groups]
        return GaLore([{**group, "rank": rank} for group, rank in zip(found, ranks, strict=True)])
    if recipe.optimizer == "paged_adamw_8bit":
        return eight_bit_adamw(found, trainee.device)
    return torch.optim.AdamW(found, fused=trainee.device.startswith("cuda"))


def rate_of(name: str, recipe: Recipe) -> float:
    """The learning rate of the parameter of this name."""
    if "classifier" in name and recipe.head_learning_rate:
        return recipe.head_learning_rate
    return recipe.learning_rate * (recipe.learning_rate_ratio if ".lora_B." in name else 1.0)


def make_scaler(trainee: Trainee, scale: float = 2.0**16) -> Any:
    """The gradient scaler for float16, starting at this scale (torch's default); None for other precisions."""
    if trainee.recipe.precision != "float16":
        return None
    return torch.amp.GradScaler(trainee.device.split(":")[0], init_scale=scale)


def optimized_parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Its parameters, of all groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def eight_bit_adamw(groups: list[dict[str, Any]], device: str) -> torch.optim.Optimizer:
    """bitsandbytes' AdamW: both moments of tensors of 4,096 weights and more in 8 bits; paged on CUDA alone."""
    import bitsandbytes

    make = bitsandbytes.optim.PagedAdamW8bit if device.startswith("cuda") else bitsandbytes.optim.AdamW8bit
    return make(groups)


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> Any:
    """The learning rate's schedule: a linear warm-up, then transformers' schedule of the recipe's name.

    A warm-up of w steps begins at 0, or (warmup_from_zero = false) at 1 / (w + 1) of the rate, so that its first
    step teaches something too. One that covers every step never begins at 0: a single step would teach nothing.
    """
    from transformers import get_scheduler

    name = "constant_with_warmup" if recipe.schedule == "constant" else recipe.schedule
    warm = math.ceil(recipe.warmup_fraction * steps)
    if recipe.warmup_from_zero and warm < steps:
        return get_scheduler(name, optimizer, warm, steps)
    unused = torch.optim.SGD([torch.zeros(1)], lr=1.0)  # making a schedule sets its optimizer's rate
    (course,) = get_scheduler(name, unused, warm, steps).lr_lambdas

    def share(step: int) -> float:
        return (step + 1) / (warm + 1) if step < warm else course(step)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def apply_gradients(recipe: Recipe, optimizer: torch.optim.Optimizer, trained: list, scaler: Any) -> bool:
    """Clip to the recipe's norm and step. False if the scaler skipped the step because gradients overflowed."""
    if scaler:
        scaler.unscale_(optimizer)
    if recipe.max_gradient_norm:
        nn.utils.clip_grad_norm_(trained, recipe.max_gradient_norm)
    if not scaler:
        optimizer.step()
        return True
    scale = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    return bool(scaler.get_scale() >= scale)  # it is lowered where gradients overflowed
