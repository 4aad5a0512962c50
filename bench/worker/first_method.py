"""The base of a method that starts from another method's result, which is trained first."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.core.case import Case
from bench.core.recipe import Recipe
from bench.methods import METHODS
from bench.recipes.of_case import recipe_for
from bench.tasks import Score
from bench.worker.build.adapter import attach
from bench.worker.build.base import dropout_reasons, prepare_base
from bench.worker.setup import Setting
from bench.worker.timeline import EVALUATE_BEFORE, FIRST_METHOD
from bench.worker.train import loop
from bench.worker.train.evaluate import outcomes
from bench.worker.train.steps import plan_steps
from bench.worker.train.trainee import Say, Trainee
from bench.worker.train.trainer import train_with_trainer

ENGINES = {"bench": loop.train, "trainer": train_with_trainer}


def base_maker(setting: Setting, say: Say) -> Callable[..., Any]:
    """A function (to_attach=False) that gives the method's base, the same each time; to_attach as in prepare_base.

    For a method that starts from another's result, that one is trained here first and its weights kept.
    """
    arguments = (setting.entry, setting.weights, setting.labels)

    def fresh(to_attach: bool = False) -> Any:
        return prepare_base(*arguments, setting.method, setting.recipe, setting.case.seed, setting.device, to_attach)

    if not setting.method.after:
        return fresh
    weights = train_first_method(setting, say)

    def tuned(to_attach: bool = False) -> Any:
        base = fresh(to_attach)
        base.load_state_dict(weights)
        return base

    return tuned


def train_first_method(setting: Setting, say: Say) -> dict[str, Any]:
    """Train the method that comes first; returns its weights, on the host.

    The case's quality before training is the quality before this method. Raises Unsupported if the recipe has a dropout
    that no layer applies.
    """
    arguments = (setting.entry, setting.weights, setting.labels)
    first = METHODS[setting.method.after]
    case = replace(setting.case, method=first.name)
    recipe = first_recipe(setting, case)
    said = dropout_reasons(setting.entry, setting.weights, first, recipe)
    setting.reasons += [f"{first.name}, trained first: {reason}" for reason in said]
    say({"line": f"training {first.name} first"})
    with setting.timeline("load"):
        model = prepare_base(*arguments, first, recipe, case.seed, setting.device, to_attach=True)
        model = attach(model, setting.entry, first, recipe, 0, case.seed)
    batching = replace(setting.batching, recipe=recipe)
    trainee = Trainee(model, first, recipe, batching, setting.device, case.seed)
    with setting.timeline(EVALUATE_BEFORE):
        setting.before = score(setting, trainee).quality
    with setting.timeline(FIRST_METHOD):
        steps = plan_steps(trainee.batching, setting.prepared.train, case.seed)
        done = ENGINES[recipe.engine](trainee, steps, say, lambda epoch: None)
    setting.timeline.split_training(FIRST_METHOD, sum(done.seconds), done.data_seconds)
    with setting.timeline(EVALUATE_BEFORE):
        reached = score(setting, trainee).quality[setting.task.metric]
    setting.reasons.append(
        f"started from {first.name}: {len(steps)} steps of recipe {recipe.digest()}, last loss {done.losses[-1]:.4f}, "
        f"{setting.task.metric} {reached:.4f}; the quality before is that of the model before {first.name}"
    )
    with setting.timeline("load"):
        return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def first_recipe(setting: Setting, first: Case) -> Recipe:
    """The recipe of the method that comes first, with the engine, precision and steps that were set for the case."""
    recipe, usual = setting.recipe, recipe_for(setting.case, setting.recipe.data)
    names = ("engine", "precision", "max_steps")
    changes = {name: getattr(recipe, name) for name in names if getattr(recipe, name) != getattr(usual, name)}
    return recipe_for(first, recipe.data, **changes)


def score(setting: Setting, trainee: Trainee) -> Score:
    """The held-out examples' outcomes as metrics."""
    return setting.task.score(setting.prepared, outcomes(trainee, setting.prepared.held_out))
