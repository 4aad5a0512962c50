"""Parameter counts of a claim: what a rank means for each method, and the count as a sum that a reader can check.

    by = { calculation = "parameters", what = "trainable", model = "bert_base", method = "lora", rank = 8,
           targets = ["query", "value"], labels = 48 }

targets are the modules, or "default" for the method's own. An encoder has a classifier, which trains too and needs
labels; alone = true counts the adapter without it. A claim also states what its method's count depends on, and nothing
else: rank for LoRA and its relatives; for VeRA the rank of its shared matrices (a multiple of 16 here); initial_rank
for AdaLoRA, which trains at that rank and prunes later; virtual_tokens for prefix and prompt; block_size for OFT and
C3A; nothing for IA3, full and head.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from bench.core.paths import RECIPES
from bench.core.recipe import Recipe
from bench.judge.claims.claim import Claim, check_name, check_registered, refuse
from bench.judge.claims.grounds import check_keys
from bench.methods import ALL, HEAD, METHODS, Method
from bench.methods.adaptive import at_initial_rank
from bench.methods.lora import low_rank, low_rank_and_magnitude
from bench.methods.parameters import formula
from bench.methods.rescaling import VERA_RANK_FACTOR, two_vectors
from bench.methods.tokens import embeddings, keys_and_values
from bench.models import ENCODER, MODELS, ModelEntry
from bench.models.families import Linear
from bench.models.shapes import (
    embedding_parameters,
    head_parameters,
    hidden_size,
    key_value_size,
    layer_count,
    linear_layers,
    norm_parameters,
    target_layers,
    total_parameters,
)
from bench.recipes.files import read_defaults

PARAMETERS = "parameters"
WHATS = ("trainable", "total", "share")
UNITS_OF = {"trainable": "parameters", "total": "parameters", "share": "fraction"}  # dimensions
SIZES = ("rank", "initial_rank", "virtual_tokens", "block_size")
DEFAULT = "default"
NEEDED = {"calculation": (str,), "what": (str,), "model": (str,), "method": (str,)}
OPTIONAL = {
    "labels": (int,), "targets": (list, str), "alone": (bool,), "inferred": (list,), **dict.fromkeys(SIZES, (int,)),
}  # fmt: skip


@cache
def defaults() -> Recipe:
    return read_defaults(RECIPES)[0]


def sizes_of(method: Method, entry: ModelEntry) -> list[str]:
    """Which of SIZES the method's count depends on."""
    recipe = defaults()
    before = formula(entry, method, recipe, 0)
    return [
        name
        for name in SIZES
        if formula(entry, method, replace(recipe, **{name: 2 * getattr(recipe, name)}), 0) != before
    ]


def check(claim: Claim, where: str) -> None:
    """Raises BadFile naming file, id and key."""
    by = claim.by
    check_keys(claim, NEEDED, OPTIONAL)
    check_name(where, "by.what", by["what"], WHATS)
    check_registered(where, "by.method", "method", by["method"])
    check_registered(where, "by.model", "model", by["model"])
    method, entry = METHODS[by["method"]], MODELS[by["model"]]
    if method.count is None:
        raise refuse(where, "by.method", f"{method.name} states no formula of its parameters")
    check_sizes(by, method, entry, where)
    check_head(by, method, entry, where)
    check_targets(by, method, entry, where)
    for name in by.get("inferred", ()):
        check_name(where, "by.inferred", name, by)


def check_sizes(by: Mapping[str, Any], method: Method, entry: ModelEntry, where: str) -> None:
    wanted = sizes_of(method, entry)
    for name in SIZES:
        if name in wanted and name not in by:
            raise refuse(where, "by", f"lacks {name}, on which {method.name}'s count depends")
        if name in by and name not in wanted:
            hint = f"give {' and '.join(wanted)}" if wanted else "leave it out"
            raise refuse(where, f"by.{name}", f"{method.name}'s count does not depend on it; {hint}")
        if by.get(name, 1) < 1:
            raise refuse(where, f"by.{name}", f"{by[name]} must be at least 1")
    if method.count is two_vectors and by["rank"] % VERA_RANK_FACTOR:
        raise refuse(where, "by.rank", f"{by['rank']} is of the shared matrices and must be a multiple of "
                     f"{VERA_RANK_FACTOR}")  # fmt: skip


def check_head(by: Mapping[str, Any], method: Method, entry: ModelEntry, where: str) -> None:
    """An encoder's count needs its labels, unless the adapter alone is counted; a decoder has none."""
    alone = by.get("alone", False)
    if alone and not (method.is_adapter and by["what"] == "trainable"):
        raise refuse(where, "by.alone", 'is for what = "trainable" of a method with an adapter')
    if entry.kind == ENCODER and not alone and by.get("labels", 0) < 1:
        raise refuse(where, "by.labels", f"{entry.name} is an encoder, whose classifier counts; give its labels, or "
                     "alone = true for the adapter without it")  # fmt: skip
    if entry.kind != ENCODER and "labels" in by:
        raise refuse(where, "by.labels", f"{entry.name} is a decoder and has no classifier here")


def check_targets(by: Mapping[str, Any], method: Method, entry: ModelEntry, where: str) -> None:
    """A method with targets states them; its own targets are stated only as "default"."""
    own = method.targets(entry)
    if not own:
        if "targets" in by:
            raise refuse(where, "by.targets", f"{method.name} adapts no modules; leave it out")
        return
    if "targets" not in by:
        raise refuse(where, "by", f"lacks targets: modules such as {', '.join(own)}, or {DEFAULT!r} for "
                     f"{method.name}'s own")  # fmt: skip
    if by["targets"] != DEFAULT and (isinstance(by["targets"], str) or not by["targets"]):
        raise refuse(where, "by.targets", f"{by['targets']!r} must be a list of modules or {DEFAULT!r}")
    try:
        target_layers(entry, targets_of(by))
    except (ValueError, AttributeError) as error:
        raise refuse(where, "by.targets", str(error)) from None


def targets_of(by: Mapping[str, Any]) -> tuple[str, ...]:
    if by.get("targets", DEFAULT) == DEFAULT:
        return METHODS[by["method"]].targets(MODELS[by["model"]])
    return tuple(by["targets"])


def sizes_for(by: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's fields for the claim's sizes."""
    sizes = {name: by[name] for name in SIZES if name in by}
    if METHODS[by["method"]].count is two_vectors:
        sizes["rank"] //= VERA_RANK_FACTOR
    if "initial_rank" in sizes:
        sizes.setdefault("rank", sizes["initial_rank"])  # the rank after pruning changes no count
    return sizes


def question(by: Mapping[str, Any]) -> dict[str, Any]:
    """The question to ask about peft's model."""
    return {
        "look": PARAMETERS, "model": by["model"], "method": by["method"], "labels": by.get("labels", 0),
        "targets": list(targets_of(by)), **sizes_for(by),
    }  # fmt: skip


def by_formula(by: Mapping[str, Any]) -> dict[str, int]:
    """trainable, total and the adapter's parameters, computed from the architecture's numbers."""
    entry, method, labels = MODELS[by["model"]], METHODS[by["method"]], by.get("labels", 0)
    recipe, targets = replace(defaults(), **sizes_for(by)), targets_of(by)
    method = replace(method, targets=lambda model: targets)
    if by.get("alone"):
        return {"adapter": own_count(method, target_layers(entry, targets), entry, recipe)}
    trainable = formula(entry, method, recipe, labels)
    # peft keeps an encoder's original head next to the copy that trains, so it counts twice
    return {"trainable": trainable, "total": total_parameters(entry, labels) + trainable * method.is_adapter}


def figure(by: Mapping[str, Any], counts: Mapping[str, int]) -> float:
    if by.get("alone"):
        return counts["adapter"]
    return counts["trainable"] / counts["total"] if by["what"] == "share" else counts[by["what"]]


def how(by: Mapping[str, Any]) -> str:
    """What is counted, then the sum behind the figure."""
    entry, method, labels = MODELS[by["model"]], METHODS[by["method"]], by.get("labels", 0)
    recipe = replace(defaults(), **sizes_for(by))
    trained = trained_sum(by, entry, method, recipe)
    everything = f"{base_sum(entry, labels)}{' + ' + trained if method.is_adapter else ''}"
    told = {"trainable": trained, "total": everything, "share": f"({trained}) / ({everything})"}[by["what"]]
    return f"{configuration_text(by)}: {told}"


def configuration_text(by: Mapping[str, Any]) -> str:
    """lora at rank 8 on query and value of bert_base with a classifier of 48 labels"""
    sizes = [f"{name.replace('_', ' ')} {by[name]}" for name in SIZES if name in by]
    text = by["method"] + (f" at {' and '.join(sizes)}" if sizes else "")
    targets = targets_of(by)
    text += f" on {' and '.join(targets)} of {by['model']}" if targets else f" on {by['model']}"
    if by.get("alone"):
        return f"{text}, the adapter alone"
    return text + (f" with a classifier of {by['labels']} labels" if by.get("labels") else "")


def trained_sum(by: Mapping[str, Any], entry: ModelEntry, method: Method, recipe: Recipe) -> str:
    labels = by.get("labels", 0)
    if method.trains == ALL:
        return base_sum(entry, labels)
    head = head_sum(entry, labels)
    if method.trains == HEAD:
        return head
    own = adapter_sum(target_layers(entry, targets_of(by)), entry, method, recipe)
    return f"{own} + {head}" if entry.kind == ENCODER and not by.get("alone") else own


def adapter_sum(layers: list[Linear], entry: ModelEntry, method: Method, recipe: Recipe) -> str:
    if method.count is keys_and_values:
        return f"{recipe.virtual_tokens} tokens × {layer_count(entry)} layers × 2 × {key_value_size(entry)}"
    if method.count is embeddings:
        return f"{recipe.virtual_tokens} tokens × {hidden_size(entry)}"
    counts = Counter(layer_term(layer, entry, method, recipe) for layer in layers)
    return " + ".join(f"{count} × {term}" for term, count in counts.items())


def layer_term(layer: Linear, entry: ModelEntry, method: Method, recipe: Recipe) -> str:
    """The parameters that the method trains for one layer, as a term of the sum."""
    inputs, outputs = layer.inputs, layer.outputs
    terms: dict[Any, str] = {
        low_rank: f"{recipe.rank} × ({inputs} + {outputs})",
        low_rank_and_magnitude: f"({recipe.rank} × ({inputs} + {outputs}) + {outputs})",
        at_initial_rank: f"{recipe.initial_rank} × ({inputs} + {outputs} + 1)",
        two_vectors: f"({VERA_RANK_FACTOR * recipe.rank} + {outputs})",
    }
    return terms.get(method.count) or f"{own_count(method, [layer], entry, recipe)}"


def own_count(method: Method, layers: list[Linear], entry: ModelEntry, recipe: Recipe) -> int:
    """The adapter's parameters, without a head."""
    assert method.count is not None  # check refused the claim otherwise
    return method.count(layers, entry, recipe)


def head_sum(entry: ModelEntry, labels: int) -> str:
    hidden = hidden_size(entry)
    return f"{hidden} × {labels} + {labels}" if labels else f"{hidden} × {entry.config['vocab_size']}"


def base_sum(entry: ModelEntry, labels: int) -> str:
    """All parameters of the model: embeddings, linear layers, norms, and the head unless it is tied."""
    linear = sum(one.inputs * one.outputs + one.outputs * one.biased for one in linear_layers(entry))
    embedding, norms = embedding_parameters(entry), norm_parameters(entry)
    text = f"{embedding:,} of embeddings + {linear:,} of linear layers + {norms:,} of norms"
    untied = total_parameters(entry, labels) - embedding - linear - norms
    return f"{text} + {head_sum(entry, labels)}" if untied == head_parameters(entry, labels) else text
