"""DyLoRA draws ranks by the step's number, and each smaller rank of it is a plain LoRA."""

from dataclasses import replace

import pytest
import torch
from tiny_trainees import silent, tiny_examples, tiny_recipe, tiny_trainee

from bench.methods import ADAPTER_NAME, METHODS
from bench.worker.build.tuners.dylora import DRAWN, FULL_STEPS, VIEWED, parts
from bench.worker.check.rebuilt import fill
from bench.worker.train.loop import train
from bench.worker.train.steps import plan_steps

STEPS = 12


@torch.no_grad()
def logits(model):
    return model.eval()(input_ids=torch.arange(8, 24)[None]).logits


def layers_of(model):
    return [module for module in model.modules() if hasattr(module, "lora_A") and len(module.lora_A)]


def test_a_rank_is_drawn_for_each_step_and_the_last_is_the_full_one():
    recipe = tiny_recipe(method="dylora", max_steps=STEPS)
    trainee, drawn = tiny_trainee(method="dylora", recipe=recipe), []

    def watch(model, step):
        METHODS["dylora"].after_step(model, step)
        drawn.append({getattr(layer, DRAWN) for layer in layers_of(model)})

    watched = replace(trainee, method=replace(trainee.method, after_step=watch))
    train(watched, plan_steps(trainee.batching, tiny_examples(), 0), silent, silent)
    assert all(len(ranks) == 1 for ranks in drawn)  # one for the whole model
    ranks = [ranks.pop() for ranks in drawn]
    assert ranks[: FULL_STEPS - 1] == [recipe.rank] * (FULL_STEPS - 1)
    assert ranks[-1] == recipe.rank
    assert len(set(ranks)) > 3
    assert min(ranks) >= 1
    assert max(ranks) <= recipe.rank


def test_the_seed_decides_the_ranks_that_are_drawn():
    def drawn(seed):
        model = tiny_trainee(method="dylora", recipe=tiny_recipe(method="dylora", max_steps=STEPS), seed=seed).model
        layer, ranks = layers_of(model)[0], []
        for step in range(STEPS):
            METHODS["dylora"].after_step(model, step)
            ranks.append(getattr(layer, DRAWN))
        return ranks

    assert drawn(0) == drawn(0) != drawn(1)


@pytest.mark.parametrize("view", range(4))
def test_a_viewed_rank_is_a_plain_lora_of_that_rank(view):
    recipe = tiny_recipe(method="dylora")
    model = tiny_trainee(method="dylora", recipe=recipe).model
    fill(model, METHODS["dylora"], ADAPTER_NAME, seed=1)
    name, apply = METHODS["dylora"].views(recipe)[view]
    rank = int(name[1:])
    assert rank == 2**view
    plain = tiny_trainee(method="lora_all", recipe=replace(recipe, rank=rank)).model
    with torch.no_grad():
        for own, other in zip(layers_of(model), layers_of(plain), strict=True):
            other.lora_A[ADAPTER_NAME].weight.copy_(own.lora_A[ADAPTER_NAME].weight[:rank])
            other.lora_B[ADAPTER_NAME].weight.copy_(own.lora_B[ADAPTER_NAME].weight[:, :rank])
    apply(model)
    torch.testing.assert_close(logits(model), logits(plain))


def test_a_view_keeps_a_scale_that_was_changed():
    recipe = tiny_recipe(method="dylora")
    layer = layers_of(tiny_trainee(method="dylora", recipe=recipe).model)[0]
    layer.scaling[ADAPTER_NAME] *= 3
    setattr(layer, VIEWED, 2)
    assert parts(layer, ADAPTER_NAME, VIEWED)[2] == pytest.approx(3 * recipe.alpha / 2)


def test_evaluation_sees_the_full_rank_whatever_training_drew_last():
    recipe = tiny_recipe(method="dylora")
    model = tiny_trainee(method="dylora", recipe=recipe).model
    fill(model, METHODS["dylora"], ADAPTER_NAME, seed=1)
    expected = logits(model)
    for layer in layers_of(model):
        setattr(layer, DRAWN, 1)
    assert torch.equal(logits(model), expected)
    with torch.no_grad():
        assert not torch.equal(model.train()(input_ids=torch.arange(8, 24)[None]).logits, expected)
