"""AdaLoRA: the ranks of all layers share a budget, which training moves to the layers where it matters."""

from typing import Any

from bench.core.recipe import Recipe
from bench.methods import ADAPTER_NAME, METHODS, Attach, Method, Unsupported
from bench.methods.formulas import ALPHA_OVER_INITIAL_RANK, singular_value_update
from bench.methods.targets import all_linear
from bench.models import ModelEntry
from bench.models.families import Linear

ORTHOGONALITY = 0.5  # gamma, the weight of the penalty; peft's default
LEAST_STEPS = 2


def at_initial_rank(layers: list[Linear], model: ModelEntry, recipe: Recipe) -> int:
    """initial_rank (inputs + outputs + 1) a layer: P, Q and the singular values. Pruning sets values to 0."""
    return sum(recipe.initial_rank * (layer.inputs + layer.outputs + 1) for layer in layers)


def orthogonality(model: Any) -> Any:
    """gamma times the mean of ||P'P - I|| and ||QQ' - I|| over all layers, as peft adds it to its own loss."""
    import torch

    terms = []
    for name, factor in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            gram = factor @ factor.T if "lora_A" in name else factor.T @ factor
            terms.append(torch.linalg.norm(gram.float() - torch.eye(len(gram), device=gram.device)))
    return ORTHOGONALITY * torch.stack(terms).mean()


def move_budget(model: Any, step: int) -> None:
    """Let peft score the singular values and prune to this step's budget; step counts from 0."""
    model.base_model.update_and_allocate(step)


def ranks_left(model: Any) -> dict[str, Any]:
    """The number of singular values that are not pruned: in all layers, and the least and the most in one layer."""
    pattern = model.base_model.peft_config[ADAPTER_NAME].rank_pattern or {}
    kept = [int(sum(flags)) for flags in pattern.values()]
    return {
        "rank_total": sum(kept),
        "rank_smallest": min(kept, default=0),
        "rank_largest": max(kept, default=0),
        "adapted_layers": len(kept),
    }


@METHODS.add(
    "adalora",
    Method,
    paper="arXiv:2303.10512",
    count=at_initial_rank,
    targets=all_linear,
    adapter_dropout=True,
    formula=singular_value_update,
    scale=ALPHA_OVER_INITIAL_RANK,  # of the authors' code; the paper's formula has none
    alone="peft 0.21 refuses a second AdaLoRA adapter that can train",
    penalty=orthogonality,
    after_step=move_budget,
    report=ranks_left,
    frozen_parts=(".ranknum.",),  # peft 0.21 gives it a gradient but does not save it
    prunes=True,
    stores_more="AdaLoRA's file holds what is left after pruning",
    no_closed_form="AdaLoRA keeps sensitivities beside each weight and a penalty's graph",
)
def adalora(attach: Attach) -> Any:
    """LoRA as P diag(s) Q; the least important s are pruned from initial_rank to rank on average."""
    from peft import AdaLoraConfig

    if attach.steps < LEAST_STEPS:
        raise Unsupported(f"adalora learns in one step what it prunes in the next; max_steps = {LEAST_STEPS} or more")
    # the schedule of the paper's experiments: a tenth of the steps before pruning, a third after it
    after = max(1, attach.steps // 3)
    before = min(max(1, attach.steps // 10), attach.steps - after - 1)
    return AdaLoraConfig(
        task_type=attach.peft_task,
        init_r=attach.recipe.initial_rank,
        target_r=attach.recipe.rank,
        lora_alpha=attach.recipe.alpha,  # type: ignore[arg-type]  # annotated int, used as a float
        lora_dropout=attach.recipe.dropout,
        target_modules=list(all_linear(attach.model)),
        total_step=attach.steps,
        tinit=before,
        tfinal=after,
        deltaT=max(1, attach.steps // 50),
        orth_reg_weight=ORTHOGONALITY,
    )
