"""The base model, built from its entry, with real or random weights and in its storage."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from bench.core.recipe import Recipe
from bench.methods import PLAIN, Method, Unsupported
from bench.models import ENCODER, BadEntry, ModelEntry
from bench.sources import Weights
from bench.worker.build.attention import FUSED, attention_for
from bench.worker.build.host_embedding import move_embeddings_to_host
from bench.worker.build.packed_layers import materialise
from bench.worker.build.precision import compute_dtype, storage_dtype
from bench.worker.build.quantise import quantise

SYNTHETIC_SEED = 0  # a base's random weights are the same for every case of a model
# what code raises at numbers that it was not written for
OF_NUMBERS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
# what transformers' configs call the dropout of the architectures here
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "resid_pdrop", "embd_pdrop",
            "attn_pdrop", "attention_dropout", "dropout")  # fmt: skip


def config_for(entry: ModelEntry, weights: Weights, labels: int) -> Any:
    """transformers' configuration: the folder's if there is one, else from the entry's numbers.

    Raises BadEntry for numbers that transformers refuses.
    """
    from transformers import AutoConfig

    if weights.folder:
        config = AutoConfig.from_pretrained(weights.folder, local_files_only=True)
    else:
        with refusals(entry):
            config = AutoConfig.for_model(**{"model_type": entry.family.model_type, **entry.config})
    config.use_cache = False
    if labels:
        config.num_labels = labels
    return config


def own_dropout(config: Any) -> dict[str, float]:
    """The base's own dropout by the config's names. None is not a rate: it follows another one."""
    return {name: getattr(config, name) for name in DROPOUTS if getattr(config, name, None) is not None}


def base_dropout(method: Method, recipe: Recipe) -> float:
    """What the base's own dropout layers drop: nothing where the adapter drops."""
    return 0.0 if method.adapter_dropout else recipe.dropout


def dropout_reasons(entry: ModelEntry, weights: Weights, method: Method, recipe: Recipe) -> list[str]:
    """A sentence on what the base's own dropout is set to; none for a base without dropout.

    Raises Unsupported if the recipe has a dropout that no layer applies.
    """
    own = own_dropout(config_for(entry, weights, 0))
    rate = base_dropout(method, recipe)
    if rate and not own:
        raise Unsupported(f"neither {method.name} nor {entry.name} has a dropout to set to {rate}; dropout = 0.0")
    stated = ", ".join(f"{name} {value}" for name, value in own.items())
    if rate:
        return [f"{method.name} has no dropout of its own: dropout = {rate} acts in the base (its config has {stated})"]
    if not any(own.values()):
        return []
    why = f"dropout = {recipe.dropout} acts in the adapter" if recipe.dropout else "the recipe has dropout = 0"
    return [f"the base's own dropout ({stated}) is off: {why}"]


@contextlib.contextmanager
def refusals(entry: ModelEntry) -> Iterator[None]:
    """Inside, an error of transformers about the entry's numbers becomes a BadEntry with one sentence."""
    from huggingface_hub.errors import StrictDataclassError

    try:
        yield
    except (StrictDataclassError, *OF_NUMBERS) as error:
        said = " ".join(str(error).split())
        raise BadEntry(f"transformers refuses the config of {entry.name}: {type(error).__name__}: {said}") from None


def build_base(entry: ModelEntry, weights: Weights, labels: int, seed: int, dtype: torch.dtype, device: str,
               attention: str = FUSED, dropout: float = 0.0) -> Any:  # fmt: skip
    """The model with a new classifier over labels, or (labels = 0) with its language head, on the device.

    dropout is what the base's own layers drop in training. On the device "meta" a model of random weights has
    shapes and buffers alone. Raises BadEntry for numbers of which transformers can build none.
    """
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM, AutoModelForTokenClassification
    from transformers.initialization import no_init_weights

    auto = AutoModelForTokenClassification if entry.kind == ENCODER else AutoModelForCausalLM
    config = config_for(entry, weights, labels)
    for name in own_dropout(config):
        setattr(config, name, dropout)
    if weights.folder:
        torch.manual_seed(seed)  # of the new head
        model: Any = auto.from_pretrained(
            weights.folder, config=config, dtype=dtype, local_files_only=True, attn_implementation=attention
        )
    else:
        torch.manual_seed(SYNTHETIC_SEED)
        with contextlib.ExitStack() as around:
            around.enter_context(refusals(entry))
            if device == "meta":
                around.enter_context(init_empty_weights(include_buffers=False))
                around.enter_context(no_init_weights())  # there is nothing to fill
            else:
                around.enter_context(torch.device(device))
            model = auto.from_config(config, dtype=dtype, attn_implementation=attention)
        if device == "meta":
            model.tie_weights()  # parameters made without storage are new ones, and a tied head is one no longer
            return model.train()
    return model.to(device).train()


def draw_head(model: Any, seed: int) -> None:
    """Random values of this seed for a new classifier, as transformers starts one."""
    torch.manual_seed(seed)
    with torch.no_grad():
        model._init_weights(model.classifier)


def prepare_base(entry: ModelEntry, weights: Weights, labels: int, method: Method, recipe: Recipe, seed: int,
                 device: str, to_attach: bool = False) -> Any:  # fmt: skip
    """The base as the method stores it, before anything is attached.

    to_attach: the method is attached next, so keep what its adapter starts from, where that is what packing rounds off.
    """
    method.check(entry, recipe)
    plain = method.storage == PLAIN
    first = device if plain else "cpu" if weights.folder else "meta"
    attention = attention_for(entry, device)
    dtype = storage_dtype(method, recipe)
    model = build_base(entry, weights, labels, seed, dtype, first, attention, base_dropout(method, recipe))
    if not plain:  # layer by layer, so that the card never holds it whole
        rounded_rank = recipe.rank if method.starts_from_rounding and to_attach else 0
        model = quantise(model, method.storage, compute_dtype(recipe), device, recipe.quantise_head, rounded_rank)
        model = materialise(model, device)
    if entry.kind == ENCODER and not weights.folder:
        draw_head(model, seed)
    if recipe.embeddings_on_host and device != "cpu":
        move_embeddings_to_host(model)
    return model.to(device).requires_grad_(False)  # until a method says what trains
