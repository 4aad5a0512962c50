"""Formulas from an architecture's numbers give what transformers builds and what peft adapts."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_trainees import LABELS, TINY
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification
from transformers.models.auto.modeling_auto import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES as CLASSIFYING
from transformers.pytorch_utils import Conv1D

from bench.core.case import Case
from bench.core.registry import UnknownName
from bench.methods import METHODS
from bench.methods.parameters import formula
from bench.models import DECODER, MODELS, BadEntry
from bench.models.shapes import head_parameters, linear_layers, stack_parameters, target_layers, total_parameters
from bench.recipes.of_case import recipe_for
from bench.sources import Weights
from bench.worker.build.base import config_for

ENTRIES = MODELS.names()
CLASSIFIERS = [entry.name for entry in MODELS if entry.family.model_type in CLASSIFYING]
DECODERS = [entry.name for entry in MODELS if entry.kind == DECODER]
TAGS = 48
NO_WEIGHTS = Weights(None, "synthetic", "", "synthetic")
CHOICES = sorted({method.targets for method in METHODS}, key=lambda choose: choose.__name__)
TARGETS = [
    pytest.param(name, choose(MODELS[name]), id=f"{name}-{choose.__name__}")
    for name in TINY
    for choose in CHOICES
    if choose(MODELS[name])
]


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name in TINY for number in MODELS[name].family.numbers]
)
def test_an_entry_that_lacks_a_number_is_refused(name, number):
    entry = MODELS[name]
    config = {key: value for key, value in entry.config.items() if key != number}
    for lacking in (config, {**config, number: None}):
        with pytest.raises(BadEntry, match=f"^the config of {name} lacks {number}; add it there$"):
            replace(entry, config=lacking)


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("tiny_llama", {"head_dim": 0}, "head_dim = 0; it must be a whole number of at least 1"),
        ("tiny_llama", {"attention_bias": "yes"}, "attention_bias = 'yes'; it must be True or False"),
        ("tiny_llama", {"mlp_bias": None}, "mlp_bias = None; it must be True or False"),
        ("tiny_qwen2", {"layer_types": 5}, "layer_types = 5; it must be a list"),
        ("tiny_qwen2", {"use_sliding_window": 1}, "use_sliding_window = 1; it must be True or False"),
        ("tiny_llama", {"hidden_act": "gelu"}, "hidden_act = 'gelu'; llama's formulas here are for silu"),
        ("tiny_qwen3", {"hidden_act": "relu"}, "hidden_act = 'relu'; qwen3's formulas here are for silu"),
        (
            "tiny_gemma3",
            {"hidden_activation": "silu"},
            "hidden_activation = 'silu'; gemma3_text's formulas here are for gelu_pytorch_tanh",
        ),
        ("tiny_bert", {"hidden_act": "relu"}, "hidden_act = 'relu'; bert's formulas here are for gelu"),
        ("tiny_mpnet", {"pad_token_id": 0}, "pad_token_id = 0; mpnet's formulas here are for 1"),
        (
            "tiny_mpnet",
            {"relative_attention_num_buckets": 64},
            "relative_attention_num_buckets = 64; mpnet's formulas here are for 32",
        ),
        (
            "tiny_gpt2",
            {"activation_function": "relu"},
            "activation_function = 'relu'; gpt2's formulas here are for gelu_new",
        ),
        ("tiny_gpt2", {"n_inner": 100}, "n_inner = 100; gpt2's formulas here are for 256"),
        ("tiny_gpt2", {"add_cross_attention": True}, "add_cross_attention = True; gpt2's formulas here are for False"),
        ("tiny_llama", {"model_type": "phi"}, "model_type = 'phi'; that is not of the family llama"),
        (
            "tiny_llama",
            {"model_type": "qwen2", "hidden_size": None},
            "model_type = 'qwen2'; that is not of the family llama",
        ),
        ("tiny_llama", {"hidden_size": 66}, "hidden_size = 66; it must be a multiple of num_attention_heads = 4"),
        (
            "tiny_llama",
            {"num_key_value_heads": 3},
            "num_attention_heads = 4; it must be a multiple of num_key_value_heads = 3",
        ),
        (
            "tiny_llama",
            {"num_key_value_heads": 8},
            "num_attention_heads = 4; it must be a multiple of num_key_value_heads = 8",
        ),
        ("tiny_gpt2", {"n_head": 3}, "n_embd = 64; it must be a multiple of n_head = 3"),
        ("tiny_llama", {"tie_word_embeddings": "false"}, "tie_word_embeddings = 'false'; it must be True or False"),
        ("tiny_llama", {"num_attention_heads": 0}, "num_attention_heads = 0; it must be a whole number of at least 1"),
        ("tiny_bert", {"vocab_size": -1}, "vocab_size = -1; it must be a whole number of at least 1"),
        ("tiny_gpt2", {"n_embd": "64"}, "n_embd = '64'; it must be a whole number of at least 1"),
        ("tiny_llama", {"hidden_size": 64.0}, "hidden_size = 64.0; it must be a whole number of at least 1"),
    ],
)
def test_an_entry_with_other_values_is_refused(name, changes, sentence):
    with pytest.raises(BadEntry, match=f"^the config of {name} has {sentence}$"):
        replace(MODELS[name], config={**MODELS[name].config, **changes})


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("tiny_llama", {"head_dim": 16, "attention_bias": False, "mlp_bias": False, "hidden_act": "silu"}),
        ("tiny_llama", {"head_dim": None}),
        ("tiny_llama", {"head_dim": 40, "num_key_value_heads": 1}),
        ("tiny_llama", {"attention_bias": True}),
        ("tiny_llama", {"mlp_bias": True}),
        ("tiny_mistral", {"head_dim": 8, "sliding_window": None}),
        ("tiny_qwen2", {"use_sliding_window": False, "sliding_window": 64, "max_window_layers": 2}),
        ("tiny_qwen3", {"attention_bias": True, "head_dim": 16}),
        ("tiny_gpt2", {"n_inner": 256, "add_cross_attention": False}),
        ("tiny_gpt2", {"n_inner": None}),
    ],
)
def test_an_entry_may_state_what_its_formulas_are_for(name, stated):
    entry = replace(MODELS[name], config={**MODELS[name].config, **stated})
    assert numbers(on_meta(entry, 0)) == total_parameters(entry, 0)


def test_an_entry_of_a_family_that_is_not_there_is_refused():
    with pytest.raises(UnknownName, match=r"no family named 'mixtral'; did you mean mistral\?"):
        replace(MODELS["tiny_llama"], family_name="mixtral")


def on_meta(entry, labels):
    """The model on the meta device; its tensors hold nothing."""
    auto = AutoModelForTokenClassification if labels else AutoModelForCausalLM
    with torch.device("meta"):
        return auto.from_config(config_for(entry, NO_WEIGHTS, labels))


@pytest.fixture(scope="module")
def built():
    """Models on the meta device by name and number of labels, each built once."""
    made = {}

    def build(name, labels):
        if (name, labels) not in made:
            made[name, labels] = on_meta(MODELS[name], labels)
        return made[name, labels]

    return build


def numbers(model):
    return sum(parameter.numel() for parameter in model.parameters())


def inside_layer(path):
    """What follows the layer's number in a module's path; empty for what is in no layer."""
    parts = path.split(".")
    numbered = [at for at, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[numbered[0] + 1 :]) if numbered else ""


def real_linears(model):
    """(name inside its layer, inputs, outputs) of every linear layer of the stack."""
    linear = [(inside_layer(path), m.in_features, m.out_features) for path, m in model.named_modules()
              if isinstance(m, nn.Linear)]  # fmt: skip
    transposed = [(inside_layer(path), *m.weight.shape) for path, m in model.named_modules() if isinstance(m, Conv1D)]
    return Counter(found for found in linear + transposed if found[0])


def adapted(model, targets):
    """Names inside their layers of the modules that peft puts LoRA on."""
    tuned = get_peft_model(model, LoraConfig(target_modules=list(targets), fan_in_fan_out=True))
    return Counter(inside_layer(path) for path, module in tuned.named_modules() if hasattr(module, "lora_A"))


@pytest.mark.parametrize("name", ENTRIES)
def test_stack_has_the_formulas_parameters(name, built):
    assert numbers(built(name, TAGS * (name in CLASSIFIERS)).base_model) == stack_parameters(MODELS[name])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier_has_the_formulas_parameters(name, built):
    model = built(name, TAGS)
    assert numbers(model) == total_parameters(MODELS[name], TAGS)
    assert numbers(model) - numbers(model.base_model) == head_parameters(MODELS[name], TAGS)


@pytest.mark.parametrize("name", DECODERS)
def test_language_model_has_the_formulas_parameters(name, built):
    assert numbers(built(name, 0)) == total_parameters(MODELS[name])


@pytest.mark.parametrize("name", DECODERS)
def test_language_head_has_the_formulas_parameters(name, built):
    assert built(name, 0).get_output_embeddings().weight.numel() == head_parameters(MODELS[name], 0)


@pytest.mark.parametrize("name", ENTRIES)
def test_linear_layers_are_the_real_modules(name, built):
    expected = Counter((layer.name, layer.inputs, layer.outputs) for layer in linear_layers(MODELS[name]))
    assert real_linears(built(name, TAGS * (name in CLASSIFIERS)).base_model) == expected


@pytest.mark.parametrize(("name", "targets"), TARGETS)
def test_targeted_layers_are_those_peft_adapts(name, targets):
    entry = MODELS[name]
    labels = 0 if entry.kind == DECODER else LABELS
    auto = AutoModelForTokenClassification if labels else AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(config_for(entry, NO_WEIGHTS, labels))
    assert adapted(model, targets) == Counter(layer.name for layer in target_layers(entry, targets))


@pytest.mark.parametrize("name", ENTRIES)
def test_a_config_may_say_its_familys_own_type(name):
    """As one does that is copied whole from a config.json."""
    entry = MODELS[name]
    typed = replace(entry, config={**entry.config, "model_type": entry.family.model_type})
    assert config_for(typed, NO_WEIGHTS, LABELS).to_dict() == config_for(entry, NO_WEIGHTS, LABELS).to_dict()


@pytest.mark.parametrize("name", ENTRIES)
def test_missing_target_is_named(name):
    with pytest.raises(ValueError, match=f"{name} has no module 'no_such_proj' to adapt; its linear layers are .+"):
        target_layers(MODELS[name], (*MODELS[name].family.query_value, "no_such_proj"))


@pytest.mark.parametrize(
    ("model", "method", "rank", "labels", "expected"),
    [
        pytest.param("bert_base", "lora", 8, TAGS, 294_912 + 36_912, id="source_001_bert"),
        pytest.param("gpt2", "lora", 8, 0, 811_008, id="source_002_gpt2"),
        pytest.param("llama31_8b", "lora_all", 16, 0, 41_943_040, id="source_003_llama31_8b"),
        pytest.param("qwen3_8b", "lora_all", 16, 0, 43_646_976, id="tinyllm_qwen3_8b"),
        pytest.param("llama2_7b", "lora_all", 16, 0, 39_976_960, id="source_000_llama2_7b"),
    ],
)
def test_trainable_parameters_are_the_sources(model, method, rank, labels, expected):
    recipe = recipe_for(Case("toy", model, method, "cpu"), rank=rank)
    assert formula(MODELS[model], METHODS[method], recipe, labels) == expected
