"""The closed form: counts by hand, agreement with the trace, and a sentence where there is none."""

from dataclasses import replace

import pytest

from bench.methods import ADAPTER, METHODS, Unsupported
from bench.methods.parameters import formula
from bench.models import MODELS
from bench.predict import terms
from bench.predict.formula import layers
from bench.predict.formula.closed_form import NoClosedForm, closed_form, weights
from bench.predict.question import ask
from bench.predict.trace.steps import trace

AGREEMENT = 0.03  # a layer's working set is a sum of its largest tensors, and small ones are left out
ALIKE = ("rslora", "olora", "pissa", "lora_after_full")  # LoRA, but for how its matrices begin or are scaled
LLAMA_8B_LINEAR = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)


def has_closed_form(method):
    return method.trains != ADAPTER or method.thin_products


@pytest.fixture
def qlora_8b():
    return ask("llama31_8b", "qlora", batch_size=2, max_length=2048)


def test_weights_of_8b_in_nf4_by_hand(qlora_8b):
    found = weights(qlora_8b)
    assert found[terms.PACKED] == LLAMA_8B_LINEAR // 2
    assert found[terms.EMBEDDINGS] == 2 * 128256 * 4096 * 2
    assert sum(found.values()) / 2**30 == pytest.approx(5.31, abs=0.01)


def test_double_quantisation_saves_three_bits_in_eight_of_a_scale(qlora_8b):
    single, double = weights(qlora_8b, double=False)[terms.SCALES], weights(qlora_8b)[terms.SCALES]
    assert single - double == pytest.approx(LLAMA_8B_LINEAR / 64 * (4 - 1 - 4 / 256), rel=1e-3)


def test_optimizer_holds_two_states_and_a_gradient_of_what_trains(qlora_8b):
    trains = 4 * formula(qlora_8b.entry, qlora_8b.method, qlora_8b.recipe, 0)
    assert trains == 4 * 41_943_040  # source 003's count
    step = closed_form(qlora_8b).phases[terms.OPTIMIZER]
    assert (step[terms.ADAPTER], step[terms.GRADIENTS], step[terms.STATES]) == (trains, trains, 2 * trains)


def test_plain_qlora_of_8b_needs_more_than_9_gb(qlora_8b):
    assert closed_form(qlora_8b).peak_bytes / 1e9 == pytest.approx(13.82, abs=0.05)


def test_a_loss_in_chunks_brings_it_near_9_gb(qlora_8b):
    assert closed_form(qlora_8b, chunk=1024).peak_bytes / 2**30 == pytest.approx(8.1, abs=0.4)


def test_70b_does_not_fit_a_t4_by_its_weights_alone():
    assert sum(weights(ask("llama31_70b", "qlora")).values()) / 2**30 > 36


def with_config(asked, **changes):
    return replace(asked, entry=replace(asked.entry, config={**asked.entry.config, **changes}))


NARROW = {  # two layers of a true width, with an own head or a tied one: what differs by layer is in both
    "llama31_8b": {"num_hidden_layers": 2, "vocab_size": 32000},
    "smollm2_135m": {"num_hidden_layers": 2},
    "mistral_7b": {"num_hidden_layers": 2, "vocab_size": 32000, "head_dim": 160, "sliding_window": 128},
    "qwen25_7b": {  # of the two layers the second looks no further back than its window
        "num_hidden_layers": 2,
        "vocab_size": 32000,
        "use_sliding_window": True,
        "sliding_window": 128,
        "max_window_layers": 1,
    },
    "qwen3_06b": {"num_hidden_layers": 2, "vocab_size": 32000},
    "gemma3_1b": {"num_hidden_layers": 2, "vocab_size": 32000, "sliding_window": 128, "sliding_window_pattern": 2},
    "gpt2": {"n_layer": 2},
    "bert_base": {"num_hidden_layers": 2},
}
LATER = ("loraplus", "loftq", "galore")  # LoRA, QLoRA, and full but for its states
METHODS_TRACED = [name for name in METHODS.names() if has_closed_form(METHODS[name]) and name not in (*ALIKE, *LATER)]


def grid(*settings, every):
    """Parameters (model, method, checkpointing, precision) of each pair that suits, with each of the settings.

    A pair takes every `every`-th setting by default and the others with -m slow; its neighbours take others, so that
    each method meets each setting on some model, and each model with some method.
    """
    return [
        pytest.param(model, method, *setting, marks=[pytest.mark.slow] * bool((one + other + number) % every))
        for one, model in enumerate(NARROW)
        for other, method in enumerate(METHODS_TRACED)
        if METHODS[method].suits(MODELS[model])
        for number, setting in enumerate(settings)
    ]


@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
@pytest.mark.parametrize(
    ("model", "method", "checkpointing", "precision"),
    grid((False, "float32"), (False, "bfloat16"), (True, "float32"), (True, "bfloat16"), every=3),
)
def test_agrees_with_the_trace(model, method, checkpointing, precision):
    changes = {"batch_size": 4, "max_length": 256, "gradient_checkpointing": checkpointing, "precision": precision}
    asked = ask(model, method, **changes)
    asked = with_config(asked, **NARROW[model])
    found = trace(asked.entry, asked.method, asked.recipe, asked.labels)
    assert closed_form(asked).peak_bytes / found.peak_bytes == pytest.approx(1, rel=AGREEMENT)


@pytest.mark.parametrize("model", ["bert_base", "smollm2_135m"])
def test_galores_states_agree_with_the_trace(model):
    asked = with_config(ask(model, "galore", batch_size=4, max_length=64, precision="float32"), **NARROW[model])
    found = trace(asked.entry, asked.method, asked.recipe, asked.labels).phases[terms.OPTIMIZER][terms.STATES]
    assert closed_form(asked).phases[terms.OPTIMIZER][terms.STATES] == pytest.approx(found, rel=1e-3)
    full = ask(model, "full", batch_size=4, max_length=64, precision="float32")
    assert found < closed_form(with_config(full, **NARROW[model])).phases[terms.OPTIMIZER][terms.STATES]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_agrees_with_the_trace_of_layers_without_positions(method, checkpointing):
    """SmolLM3 turns queries and keys by their positions in three layers of four; what it keeps is Llama's."""
    asked = ask("smollm3_3b", method, batch_size=4, max_length=256, gradient_checkpointing=checkpointing)
    asked = with_config(asked, num_hidden_layers=4, vocab_size=32000, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    found = trace(asked.entry, asked.method, asked.recipe, asked.labels)
    assert closed_form(asked).peak_bytes / found.peak_bytes == pytest.approx(1, rel=AGREEMENT)


@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
@pytest.mark.parametrize(
    ("model", "method", "checkpointing", "precision"), grid((False, "bfloat16"), (True, "float32"), every=2)
)
def test_agrees_with_the_trace_where_the_recipe_drops(model, method, checkpointing, precision):
    """In the adapter, or in the base's own layers."""
    changes = {"batch_size": 4, "max_length": 256, "gradient_checkpointing": checkpointing, "precision": precision}
    asked = with_config(ask(model, method, dropout=0.1, **changes), **NARROW[model])
    found = trace(asked.entry, asked.method, asked.recipe, asked.labels)
    assert closed_form(asked).peak_bytes / found.peak_bytes == pytest.approx(1, rel=AGREEMENT)


def test_each_adapted_layer_keeps_what_dropout_left_of_its_input_and_a_mask():
    """Seven layers of Llama, whose queries, keys and values share an input without dropout, as gate and up do."""
    plain, drops = (ask("llama31_8b", "qlora", precision="bfloat16", dropout=rate) for rate in (0.0, 0.1))
    hidden, inner = 4096, 14336
    assert layers.kept_inputs(plain) == 2 * (2 * hidden + inner)
    assert layers.kept_inputs(drops) == (2 + 1) * (6 * hidden + inner)


@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
@pytest.mark.parametrize("method", ["qlora", "qlora_lean"])
@pytest.mark.parametrize("model", ["gemma3_1b", "qwen3_06b"])
def test_agrees_with_the_trace_of_a_whole_model_and_long_rows(model, method):
    """Of which Gemma's window hides the most."""
    asked = ask(model, method, batch_size=4, max_length=2048, gradient_checkpointing=True)
    found = trace(asked.entry, asked.method, asked.recipe)
    assert closed_form(asked).peak_bytes / found.peak_bytes == pytest.approx(1, rel=AGREEMENT)


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_has_one_or_says_why_not(method):
    if METHODS[method].no_trace:
        with pytest.raises(Unsupported, match=f"^{method} cannot be predicted: it has no closed form, and peft finds"):
            ask("tiny_llama", method, max_length=64)
        return
    asked = ask("tiny_llama", method, max_length=64)
    if not has_closed_form(METHODS[method]):
        with pytest.raises(NoClosedForm, match=f"{method} has no closed form: .*; the trace has its figure"):
            closed_form(asked)
    else:
        assert closed_form(asked).peak_bytes > 0


@pytest.mark.parametrize(("model", "changes", "masked"), [
    ("tiny_mistral", {"sliding_window": 32}, 2),
    ("tiny_mistral", {"sliding_window": 33}, 0),
    ("tiny_mistral", {"sliding_window": None}, 0),
    ("tiny_qwen2", {"sliding_window": 32, "use_sliding_window": True, "max_window_layers": 1}, 1),
    ("tiny_qwen2", {"sliding_window": 32, "use_sliding_window": True}, 0),
    ("tiny_qwen2", {"sliding_window": 32, "max_window_layers": 0}, 0),
    ("tiny_qwen3", {"sliding_window": 32, "use_sliding_window": True, "layer_types": ["sliding_attention"] * 2}, 2),
    ("tiny_qwen3", {"sliding_window": 32, "use_sliding_window": True, "max_window_layers": 0,
                    "layer_types": ["full_attention"] * 2}, 0),
    ("tiny_gemma3", {"sliding_window": 32}, 1),
    ("tiny_gemma3", {"sliding_window": 32, "sliding_window_pattern": 3}, 2),
])  # fmt: skip
def test_layers_are_masked_whose_window_is_no_longer_than_a_row(model, changes, masked):
    """As transformers has it: by its kinds of layers, and by whether the trace of a card keeps a mask."""
    asked = with_config(ask(model, "lora", max_length=32, precision="bfloat16"), **changes)
    assert layers.masked_layers(asked) == masked
    free = with_config(asked, sliding_window=64)
    peaks = [trace(one.entry, one.method, one.recipe).peak_bytes for one in (asked, free)]
    assert (peaks[0] > peaks[1]) == (masked > 0)


def test_none_where_heads_are_wider_than_what_is_fed_forward():
    asked = with_config(ask("tiny_qwen3", "lora", max_length=32), head_dim=34)
    with pytest.raises(
        NoClosedForm, match="tiny_qwen3 has no closed form: its heads are 136 wide together and its feed"
    ):
        closed_form(asked)


def test_larger_batches_need_more(qlora_8b):
    peaks = [closed_form(qlora_8b.at(batch_size=size)).peak_bytes for size in (1, 2, 4)]
    assert peaks == sorted(set(peaks))


def test_a_pair_that_cannot_work_says_why():
    with pytest.raises(Unsupported, match="olora does not suit gpt2"):
        ask("gpt2", "olora")
    with pytest.raises(Unsupported, match="prefix cannot train llama31_8b under gradient checkpointing"):
        ask("llama31_8b", "prefix", gradient_checkpointing=True)
    assert not ask("llama31_8b", "prefix").recipe.gradient_checkpointing
