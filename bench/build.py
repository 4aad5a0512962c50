"""Building what is trained: the base model from its entry, its storage, and the adapter on it.

`bench.methods` says what a method is; this is where peft and bitsandbytes are told to do it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.lean import move_embeddings_to_host
from bench.methods import ADAPTER, ALL, HEAD, INT8, NF4, PLAIN, Attach, Method, Unsupported
from bench.models import ENCODER, BadEntry, ModelEntry
from bench.models.shapes import targeted
from bench.packing import drawn, materialise, packed_embedding, packed_linear, zeros_unless_real
from bench.precision import adapter_dtype, compute_dtype, storage_dtype
from bench.recipe import Recipe
from bench.sources import Weights

SYNTHETIC_SEED = 0  # a base's random weights are the same for every case of a model
HEAD_NAMES = ("classifier", "score", "lm_head")
# what code raises at numbers that it was not written for
OF_NUMBERS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
# what transformers' configs call the dropout of the architectures here
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "resid_pdrop", "embd_pdrop",
            "attn_pdrop", "attention_dropout")  # fmt: skip
WRITTEN_OUT, FUSED = "eager", "sdpa"  # attention as plain matrix products, or by torch's own kernels


def config_for(entry: ModelEntry, weights: Weights, labels: int) -> Any:
    """transformers' configuration: the folder's where there is one, otherwise the entry's numbers.

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
    """The base's own dropout by the config's names. A None is no rate of its own: it follows another."""
    return {name: getattr(config, name) for name in DROPOUTS if getattr(config, name, None) is not None}


def base_dropout(method: Method, recipe: Recipe) -> float:
    """What the base's own dropout layers drop: nothing where the adapter drops."""
    return 0.0 if method.adapter_dropout else recipe.dropout


def dropout_reasons(entry: ModelEntry, weights: Weights, method: Method, recipe: Recipe) -> list[str]:
    """What becomes of the base's own dropout, in a sentence, if anything does.

    Raises Unsupported for a dropout that there is no layer for.
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
    """Within, what transformers raises at the entry's numbers is a BadEntry in one sentence."""
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
        place = init_empty_weights(include_buffers=False) if device == "meta" else torch.device(device)
        with refusals(entry), place:
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


def attention_of(model: Any) -> str:
    """The implementation by which the model computes attention, as transformers calls it."""
    return model.config._attn_implementation


@contextlib.contextmanager
def attention_by(model: Any, implementation: str) -> Iterator[None]:
    """Within, the model computes attention by this implementation, as transformers calls it."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = attention_of(model)
    base.set_attn_implementation(implementation)
    try:
        yield
    finally:
        base.set_attn_implementation(before)


def is_head(name: str) -> bool:
    return name.split(".")[0] in HEAD_NAMES or any(f".{head}." in f".{name}." for head in HEAD_NAMES)


def quantise(model: Any, storage: str, compute: torch.dtype, device: str = "cpu", head: bool = False) -> Any:
    """Replace every linear layer by bitsandbytes' layer of the same weights on the device, one at a time.

    The head is kept as it is, or (head) packed too and the table of embeddings with it. GPT-2's transposed
    matrices (Conv1D) are turned round, as transformers' own way of quantising does. A layer without storage
    (meta) is drawn at random first, so that a model of random weights never exists unpacked.
    """
    from transformers.pytorch_utils import Conv1D

    for name, layer in list(model.named_modules()):
        parent, _, child = name.rpartition(".")
        if isinstance(layer, nn.Linear | Conv1D) and (head or not is_head(name)):
            weight = drawn(layer.weight, model.config, device).data
            weight = weight.T.contiguous() if isinstance(layer, Conv1D) else weight
            bias = None if layer.bias is None else zeros_unless_real(layer.bias, device).data
            packed = packed_linear(weight, bias, storage, compute, device)
        elif head and layer is model.get_input_embeddings():
            if type(layer) is not nn.Embedding:
                raise Unsupported(f"quantise_head: {type(layer).__name__} does more than look up what would be packed")
            packed = packed_embedding(drawn(layer.weight, model.config, device).data, compute, device)
        else:
            continue
        setattr(model.get_submodule(parent), child, packed)
    # Not is_quantized: transformers.Trainer would ask then for transformers' own quantiser, which had no part in it.
    model.is_loaded_in_4bit, model.is_loaded_in_8bit = storage == NF4, storage == INT8
    return model


def dequantise(model: Any) -> Any:
    """The quantised base with plain linear layers of the very weights that its packed layers stand for.

    An adapter is merged into this: into four bits again, W + BA would be rounded to sixteen levels.
    """
    import bitsandbytes
    from bitsandbytes.functional import dequantize_4bit, int8_vectorwise_dequant

    modules: dict[str, Any] = dict(model.named_modules())
    for name, layer in modules.items():
        packed: Any = layer  # its weight's quantisation state is no attribute that torch declares
        if isinstance(layer, bitsandbytes.nn.Linear4bit):
            weight = dequantize_4bit(packed.weight.data, packed.weight.quant_state).to(layer.compute_dtype)
        elif isinstance(layer, bitsandbytes.nn.Linear8bitLt):
            weight = int8_vectorwise_dequant(packed.weight.CB, packed.weight.SCB).to(model.dtype)
        else:
            continue
        plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device=weight.device)
        plain.weight = nn.Parameter(weight, requires_grad=False)
        plain.bias = layer.bias
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, plain)
    model.is_loaded_in_4bit = model.is_loaded_in_8bit = False
    return model


def prepare_base(entry: ModelEntry, weights: Weights, labels: int, method: Method, recipe: Recipe, seed: int,
                 device: str) -> Any:  # fmt: skip
    """The base as the method stores it, before anything is attached."""
    method.check(entry, recipe)
    plain = method.storage == PLAIN
    first = device if plain else "cpu" if weights.folder else "meta"
    # torch's fused attention for processors is slow in the backward pass: half of a step at 100 tokens
    attention = WRITTEN_OUT if device == "cpu" else FUSED
    dtype = storage_dtype(method, recipe)
    model = build_base(entry, weights, labels, seed, dtype, first, attention, base_dropout(method, recipe))
    if not plain:  # layer by layer, so that the card never holds it whole
        model = quantise(model, method.storage, compute_dtype(recipe), device, recipe.quantise_head)
        model = materialise(model, device)
    if entry.kind == ENCODER and not weights.folder:
        draw_head(model, seed)
    if recipe.embeddings_on_host and device != "cpu":
        move_embeddings_to_host(model)
    return model.to(device).requires_grad_(False)  # until a method says what trains


def attach(model: Any, entry: ModelEntry, method: Method, recipe: Recipe, steps: int, seed: int) -> Any:
    """Freeze what the method freezes and add what it adds; weights that train are kept as the recipe says."""
    torch.manual_seed(seed)
    if method.trains == ADAPTER:
        targeted(entry, method.targets(entry))  # says which target modules the model lacks
        model = add_adapter(model, method.run(Attach(entry, recipe, steps)))
        for name, parameter in model.named_parameters():
            if any(part in name for part in method.frozen_parts):
                parameter.requires_grad_(False)
    else:
        for parameter in model.parameters():
            parameter.requires_grad_(method.trains == ALL)
        if method.trains == HEAD:
            free_head(model)
    kept = adapter_dtype(recipe)
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype != kept:
            parameter.data = parameter.data.to(kept)
    if recipe.gradient_checkpointing:
        # transformers 5.2x has renamed it
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
        model.enable_input_require_grads()
    return model


def free_head(model: Any) -> None:
    """Let the output layer train; a tied one is the embedding's matrix and stays so."""
    head = model.get_output_embeddings() if hasattr(model, "lm_head") else model.classifier
    if head is None:
        raise Unsupported(f"{type(model).__name__} has no output layer to train")
    head.requires_grad_(True)


def add_adapter(model: Any, config: Any) -> Any:
    """peft's model around the base."""
    from peft import get_peft_model

    return get_peft_model(model, config)


def load_adapter(model: Any, folder: Path, kept: torch.dtype = torch.float32) -> Any:
    """A saved adapter on a fresh base, kept in the format it was trained in.

    peft repeats a method's start (PiSSA, OLoRA) before it loads.
    """
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    loaded = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    if kept != torch.float32:  # which is what peft loads it in
        for layer in (module for module in loaded.modules() if isinstance(module, BaseTunerLayer)):
            for name in layer.adapter_layer_names:
                getattr(layer, name).to(kept)
    return loaded
