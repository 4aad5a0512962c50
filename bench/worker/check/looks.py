"""Looks into models: what trains, what is quantised, whether ranks change. No weights are loaded.

Parameters are counted in the real architecture on the meta device, which holds no numbers; everything else is checked
in two-layer models with random weights. `answer` is called in a worker with all questions at once.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.work import LooksWork
from bench.methods import ADAPTER_NAME, METHODS, Attach, Method
from bench.methods.adaptive import ranks_left
from bench.models import MODELS
from bench.worker.build.adapter import attach
from bench.worker.build.base import build_base, prepare_base
from bench.worker.check import starts  # noqa: F401  (registers its looks)
from bench.worker.check.fingerprint import fingerprint
from bench.worker.check.looking import LOOKS, NOTHING, SEED, STEPS, TINY, adapted_layer, adapted_layers, look, recipe_of
from bench.worker.measure.parameters import count_parameters

RANK = 4  # of what a claim gives no rank for


def answer(payload: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Answer the questions of a LooksWork.

    Returns "answers", one for each question in order, None where the look failed, and "failures", which say why.
    """
    from bench.worker.quiet import quiet

    quiet()
    torch.set_num_threads(1)  # the models are tiny: further threads would only wait, and spin on a busy machine
    answers: list[Any] = []
    failures = []
    for question in LooksWork(**payload).questions:
        arguments = dict(question)
        name = arguments.pop("look")
        try:
            answers.append(LOOKS[name](**arguments))
        except Exception as error:  # whatever a library raises at one model must not lose the others' answers
            answers.append(None)
            failures.append(f"{name} of {arguments}: {type(error).__name__}: {error}")
    return {"answers": answers, "failures": failures}


@look
def parameters(model: str, method: str, labels: int = 0, targets: tuple[str, ...] = (), **sizes: Any) -> dict[str, int]:
    """trainable and total parameters of peft's model on the meta device, and those of the adapter alone.

    sizes: fields of the recipe that the method's count depends on.
    """
    entry, chosen = MODELS[model], METHODS[method]
    if targets:
        own = chosen.run

        def attach_narrow(attaching: Any) -> Any:
            config = own(attaching)
            config.target_modules = set(targets)
            return config

        chosen = replace(chosen, run=attach_narrow, targets=lambda _: tuple(targets))
    base = build_base(entry, NOTHING, labels, SEED, torch.float32, "meta").requires_grad_(False)
    recipe = replace(recipe_of(sizes.get("rank", RANK)), **sizes)
    built = attach(base, entry, chosen, recipe, STEPS, SEED)
    counts = count_parameters(built)
    head = sum(p.numel() for name, p in built.named_parameters() if p.requires_grad and "modules_to_save" in name)
    return {
        "trainable": counts["trainable_parameters"],
        "total": counts["total_parameters"],
        "adapter": counts["trainable_parameters"] - head,
    }


def attach_tiny(method: str, model: str, rank: int) -> tuple[dict[str, Tensor], Any]:
    """The weights of a tiny model as loaded, by name, and the model with the method attached."""
    entry, chosen, recipe = MODELS[model], METHODS[method], recipe_of(rank)
    base = prepare_base(entry, NOTHING, 0, chosen, recipe, SEED, "cpu", to_attach=True)
    loaded = {name: tensor.detach().clone() for name, tensor in base.named_parameters()}
    return loaded, attach(base, entry, chosen, recipe, STEPS, SEED)


@cache
def train_tiny(method: str) -> dict[str, Any]:
    """A tiny model after a few steps, with what it was before: its loaded weights, hashes of what is frozen."""
    chosen, vocabulary = METHODS[method], MODELS[TINY].config["vocab_size"]
    ids = torch.randint(8, vocabulary, (2, 16), generator=torch.Generator().manual_seed(SEED))
    loaded, built = attach_tiny(method, TINY, RANK)
    frozen = fingerprint(built, trained=False)
    at_start = {name: tensor.detach().clone() for name, tensor in built.named_parameters() if tensor.requires_grad}
    train_a_little(built, chosen, ids)
    return {"model": built, "ids": ids, "frozen": frozen, "loaded": loaded, "at_start": at_start}


def train_a_little(model: Any, method: Method, ids: Tensor) -> None:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    for step in range(STEPS):
        loss = model(input_ids=ids, labels=ids).loss
        if method.penalty:
            loss = loss + method.penalty(model)
        loss.backward()
        optimizer.step()
        if method.after_step:
            method.after_step(model, step)
        optimizer.zero_grad(set_to_none=True)


def is_packed(parameter: Any) -> bool:
    """Whether bitsandbytes stores it in 4 or 8 bits."""
    return type(parameter).__name__ in ("Params4bit", "Int8Params")


def adapter_parts(model: Any) -> list[nn.Parameter]:
    return [parameter for name, parameter in model.named_parameters() if "lora_" in name]


@look
def base_is_quantised(method: str) -> bool:
    """The linear layers' weights, head and embeddings apart, lie in 4 or 8 bits."""
    model = train_tiny(method)["model"]
    weights = [p for name, p in model.named_parameters() if name.endswith(("proj.weight", "base_layer.weight"))]
    return all(map(is_packed, weights))


@look
def adapter_is_quantised(method: str) -> bool:
    """A and B lie in 4 or 8 bits."""
    return any(is_packed(part) or not part.is_floating_point() for part in adapter_parts(train_tiny(method)["model"]))


@look
def base_is_frozen(method: str) -> bool:
    """Training changes no bit of a weight that does not train."""
    seen = train_tiny(method)
    return fingerprint(seen["model"], trained=False) == seen["frozen"]


@look
def only_adapter_trains(method: str) -> bool:
    """Only A and B train, and all of them changed."""
    seen = train_tiny(method)
    names = [name for name, parameter in seen["model"].named_parameters() if parameter.requires_grad]
    moved = [not torch.equal(seen["model"].get_parameter(name), old) for name, old in seen["at_start"].items()]
    return all("lora_A" in name or "lora_B" in name for name in names) and all(moved)


@look
def update_is_low_rank(method: str) -> bool:
    """In every layer the rank of the trained update, by singular values, is at most the adapter's and below the
    matrix's; the adapter's rank counts once for each update that acts in the layer.
    """
    summed = METHODS[method].updates_in_a_layer(recipe_of(RANK))
    layers = adapted_layers(train_tiny(method)["model"])
    updates = [layer.get_delta_weight(ADAPTER_NAME).float() for layer in layers]
    return all(
        int(torch.linalg.matrix_rank(update)) <= summed * layer.r[ADAPTER_NAME] < min(update.shape)
        for layer, update in zip(layers, updates, strict=True)
    )


@look
def rank_adapts(method: str) -> bool:
    """Training leaves layers with different ranks."""
    model = train_tiny(method)["model"]
    if not METHODS[method].prunes:
        widths = {len(module.lora_A[ADAPTER_NAME].weight) for module in model.modules() if hasattr(module, "lora_A")}
        ranks = {int(torch.linalg.matrix_rank(part.float())) for part in adapter_parts(model)}
        return len(widths) > 1 or len(ranks) > 1
    left = ranks_left(model)
    return left["rank_smallest"] < left["rank_largest"]


@look
def product_replaces_base(method: str) -> bool:
    """The layer gives B A x instead of W x + s B A x."""
    layer = adapted_layer(train_tiny(method)["model"])
    inputs = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        low_rank = inputs @ layer.get_delta_weight(ADAPTER_NAME).T.float()
        together = layer.base_layer(inputs) + low_rank
        seen = layer(inputs)
    return torch.allclose(seen, low_rank, atol=1e-4) and not torch.allclose(seen, together, atol=1e-4)


@look
def starts_by_decomposing(method: str) -> bool:
    """Attaching decomposes W: it changes W, or starts B at something other than 0."""
    seen = train_tiny(method)
    layer = adapted_layer(seen["model"])
    started = [tensor for name, tensor in seen["at_start"].items() if "lora_B" in name]
    first = next(tensor for name, tensor in seen["loaded"].items() if tensor.shape == layer.base_layer.weight.shape)
    return bool(any(tensor.any() for tensor in started)) or not torch.equal(first, layer.base_layer.weight)


@look
def merge_gives_plain_model(method: str) -> bool:
    """Merged, the model has no adapter left and gives the same logits."""
    seen = train_tiny(method)
    model = copy.deepcopy(seen["model"]).eval()
    with torch.no_grad():
        before = model(input_ids=seen["ids"]).logits
        merged = model.merge_and_unload()
        after = merged(input_ids=seen["ids"]).logits
    left = [name for name, _ in merged.named_parameters() if "lora_" in name]
    return not left and torch.allclose(before, after, atol=1e-4)


@look
def trains_as_many(method: str, as_method: str, model: str = TINY, rank: int = 4) -> bool:
    """Both methods train the same number of parameters at the same rank."""
    counts = [sum(part.numel() for part in adapter_parts(attach_tiny(name, model, rank)[1]))
              for name in (method, as_method)]  # fmt: skip
    return counts[0] == counts[1]


@look
def trains_fewer(method: str, as_method: str, model: str = TINY, rank: int = 4) -> bool:
    """The first method trains fewer parameters than the second at the same rank."""
    counts = [count_parameters(attach_tiny(name, model, rank)[1])["trainable_parameters"]
              for name in (method, as_method)]  # fmt: skip
    return counts[0] < counts[1]


@look
def adapters_swap(method: str) -> bool:
    """A second adapter on the same base gives other logits, and switching back gives the first's again."""
    seen = train_tiny(method)
    model = copy.deepcopy(seen["model"]).eval()
    config = METHODS[method].run(Attach(MODELS[TINY], recipe_of(4), STEPS))
    model.add_adapter("second", config)
    with torch.no_grad():
        first = model(input_ids=seen["ids"]).logits
        model.set_adapter("second")
        second = model(input_ids=seen["ids"]).logits
        model.set_adapter(ADAPTER_NAME)
        again = model(input_ids=seen["ids"]).logits
    return torch.equal(first, again) and not torch.equal(first, second)


@look
def accumulation_is_exact(method: str) -> bool:
    """The gradients of two half batches, added up, are those of the whole batch."""
    seen = train_tiny(method)
    model = copy.deepcopy(seen["model"])
    whole = gradients(model, [seen["ids"]])
    halves = gradients(model, list(seen["ids"].split(1)))
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(whole, halves, strict=True))


def gradients(model: Any, batches: list[Tensor]) -> list[Tensor]:
    model.zero_grad(set_to_none=True)
    for ids in batches:
        (model(input_ids=ids, labels=ids).loss / len(batches)).backward()
    return [part.grad.clone() for part in model.parameters() if part.grad is not None]
