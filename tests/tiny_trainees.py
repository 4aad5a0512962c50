"""Tiny models made ready to train, and examples of made-up ids for them: what the tests of the work share."""

import random
from dataclasses import replace

import torch

from bench.core.case import Case
from bench.methods import METHODS
from bench.models import DECODER, ENCODER, MODELS
from bench.recipes.of_case import recipe_for
from bench.sources import find_weights
from bench.tasks import IGNORE, Example
from bench.worker.build.adapter import attach
from bench.worker.build.base import prepare_base
from bench.worker.train.batches import Batching
from bench.worker.train.trainee import Trainee

torch.set_num_threads(1)  # two threads take longer over matrices of 64 x 64 than one

TINY = [entry.name for entry in MODELS if entry.tiny and not entry.default_task]  # the wide ones are no other kind
TINY_DECODERS = [name for name in TINY if MODELS[name].kind == DECODER]
ONE = "tiny_llama"  # for methods that run when named; with -m slow the tests of their lives take the others too
PAIRS = [
    (name, method.name)
    for name in TINY
    for method in METHODS
    if method.suits(MODELS[name]) and (name == ONE or not method.named_only)
]
LABELS = 5  # of the classifier on an encoder
PAD = 0


def labels_of(model):
    """Classes of the model's new head; a decoder keeps its language head."""
    return LABELS if MODELS[model].kind == ENCODER else 0


def tiny_recipe(model="tiny_llama", method="lora", **overrides):
    """A recipe in float32 of three steps of four examples, unless overridden."""
    usual = {"precision": "float32", "batch_size": 4, "max_steps": 3, "max_length": 32, "warmup_fraction": 0.0}
    return recipe_for(Case("toy", model, method, "cpu"), **{**usual, **overrides})


def tagged_example(number, size, order):
    """An encoder's: every third token is not scored."""
    ids = [order.randrange(8, 264) for _ in range(size)]
    return Example(f"e{number}", ids, [IGNORE if at % 3 == 2 else value % LABELS for at, value in enumerate(ids)])


def answered_example(number, size, order):
    """A decoder's: the first third is the prompt."""
    ids = [order.randrange(8, 264) for _ in range(size)]
    return Example(f"d{number}", ids, [IGNORE if at < size // 3 else value for at, value in enumerate(ids)])


def tiny_examples(model="tiny_llama", count=12, seed=0):
    """Examples of 6 to 23 tokens, of the kind that the model is trained on."""
    order = random.Random(seed)
    make = tagged_example if MODELS[model].kind == ENCODER else answered_example
    return [make(number, order.randint(6, 23), order) for number in range(count)]


def tiny_batching(model, recipe):
    entry = MODELS[model]
    return Batching(recipe, PAD, entry.config["vocab_size"], shifted=entry.kind == DECODER)


def tiny_base(model, method, recipe, seed=0):
    """The method's base with random weights, the same each time."""
    entry = MODELS[model]
    weights = find_weights(entry, None)
    return prepare_base(entry, weights, labels_of(model), METHODS[method], recipe, seed, "cpu", to_attach=True)


def bare_trainee(model, method, recipe, seed=0):
    """The base alone, before anything is attached."""
    base = tiny_base(model, method, recipe, seed)
    return Trainee(base, METHODS[method], recipe, tiny_batching(model, recipe), "cpu")


def tiny_trainee(model="tiny_llama", method="lora", recipe=None, seed=0):
    """A model with its method attached, ready for an engine."""
    recipe = recipe or tiny_recipe(model, method)
    bare = bare_trainee(model, method, recipe, seed)
    return replace(bare, model=attach(bare.model, MODELS[model], METHODS[method], recipe, recipe.max_steps, seed))


def silent(event):
    """Takes an engine's progress and says nothing."""
