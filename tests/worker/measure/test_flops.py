"""FLOPs of a step: the count, the formula and what runs agree at every shape, and recomputation is told apart."""

import importlib.util
import math
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import bitsandbytes
import pytest
import torch
from bitsandbytes.autograd._functions import MatMul8bitLt
from tiny_trainees import LABELS, TINY, labels_of, tiny_base, tiny_batching, tiny_examples, tiny_recipe, tiny_trainee
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.core.paths import ROOT, RUNS
from bench.methods import METHODS
from bench.methods.tolerances import FLOPS_AGREEMENT
from bench.models import MODELS
from bench.predict.trace.steps import RANDOM_WEIGHTS
from bench.records.figures import FIGURES
from bench.records.record import Record, read_records
from bench.records.work import HARDWARE, MODEL, counts_of, share_of_peak, utilisation_figures, work_from, works_of
from bench.report.utilisation import HEADS, utilisation_table
from bench.worker.build.adapter import attach
from bench.worker.build.attention import WRITTEN_OUT, attention_by
from bench.worker.build.base import build_base
from bench.worker.figures import rates_of_steps, shapes_of
from bench.worker.measure import flops
from bench.worker.measure.outline import PackedLinear
from bench.worker.train.steps import plan_steps

SHAPES = [(3, 80), (1, 300)]  # between the lengths that are counted for every case, and beyond both
KEPT = "tiny_llama"


def packed_product(left, packed, shape, *rest, out_shape=None, **more):
    """FLOPs of bitsandbytes' product with packed weights of this (outputs, inputs) shape; left is a shape."""
    return 2 * math.prod(left) * shape[0]


def rows_product(left, right, *rest, out_shape=None, **more):
    """FLOPs of left (tokens, inputs) times right (outputs, inputs) in int8."""
    return 2 * math.prod(left) * right[0]


def run_and_count(model, rows, length):
    """FLOPs of forward and backward as torch and bitsandbytes really compute them."""
    known = torch.ops.bitsandbytes
    mapping = {known.gemm_4bit: packed_product, known.int8_scaled_mm: rows_product}
    mapping |= {known.int8_linear_matmul: rows_product}
    ids = torch.ones((rows, length), dtype=torch.long)
    with attention_by(model, WRITTEN_OUT), FlopCounterMode(display=False, custom_mapping=mapping) as counted:
        model(input_ids=ids).logits.float().sum().backward()
    return counted.get_total_flops()


@cache
def counted(model, method, **overrides):
    """The counts of a tiny model's step, and the positions that its method adds."""
    trainee = tiny_trainee(model, method, tiny_recipe(model, method, **overrides))
    trainee.model.train()
    return flops.step_counts(trainee.model, MODELS[model], METHODS[method], trainee.recipe, labels_of(model))


@pytest.mark.parametrize("method", ["full", "lora", "lora_all", "qlora"])
@pytest.mark.parametrize("model", TINY)
def test_formula_of_a_step_is_the_count_at_each_shape(model, method):
    counts, _ = counted(model, method)
    assert {count["length"] for count in counts} == {32, 128}
    assert [count[MODEL] for count in counts] == [count["model_step_formula"] for count in counts]


@pytest.mark.parametrize("model", TINY)
def test_three_routes_to_the_forward_pass_agree_at_each_shape(model):
    recipe = tiny_recipe(model)
    counts, reasons = flops.forward_counts(tiny_base(model, "qlora", recipe), MODELS[model], recipe, labels_of(model))
    assert [count["forward"] for count in counts] == [count["forward_formula"] for count in counts]
    assert counts[-1]["forward_fvcore"] == pytest.approx(counts[-1]["forward_formula"], rel=FLOPS_AGREEMENT)
    assert reasons == []


def test_forward_formula_by_hand():
    tokens, hidden, inner, layers = 2 * 128, 64, 128, 2
    products = layers * (4 * hidden * hidden + 2 * hidden * inner) + hidden * LABELS
    attention = layers * 2 * 2 * tokens * 128 * hidden  # scores and their use, each multiply-add as two
    assert flops.forward_formula(MODELS["tiny_bert"], LABELS, (2, 128)) == 2 * tokens * products + attention


UNLIKE_LORA = ("reslora", "shira")  # whose layers are not alike, or have sparse tensors


@pytest.fixture
def deep(monkeypatch):
    """A Llama of four layers, of which an outline keeps one and two."""
    entry = replace(MODELS[KEPT], config={**MODELS[KEPT].config, "num_hidden_layers": 4})
    monkeypatch.setitem(MODELS._entries, KEPT, entry)
    return entry


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("method", [
    pytest.param(method.name, marks=[pytest.mark.slow] * (method.named_only and method.name not in UNLIKE_LORA))
    for method in METHODS
])  # fmt: skip
def test_hardware_flops_are_what_runs_at_any_shape(method, checkpointing, deep):
    """The outline of few layers without storage gives what the whole model dispatches, packed weights included."""
    recipe = tiny_recipe(method=method, gradient_checkpointing=checkpointing)
    if checkpointing and not METHODS[method].checkpoints:
        pytest.skip(f"{method} does not train under gradient checkpointing")
    model = tiny_trainee(KEPT, method, recipe).model.train()
    counts, added = flops.step_counts(model, deep, METHODS[method], recipe, 0)
    work = work_from(counts, HARDWARE, added)
    assert [work.of(*shape) for shape in SHAPES] == [run_and_count(model, *shape) for shape in SHAPES]
    assert counts[1][HARDWARE] == run_and_count(model, 2, 32)


def test_counting_leaves_no_gradient_and_the_model_as_it_was():
    recipe = tiny_recipe(gradient_checkpointing=True)
    trainee = tiny_trainee(KEPT, "lora", recipe)
    trainee.model.train()
    before = run_and_count(trainee.model, 2, 32)
    trainee.model.zero_grad(set_to_none=True)
    flops.step_counts(trainee.model, MODELS[KEPT], METHODS["lora"], recipe, 0)
    assert [p.grad for p in trainee.model.parameters() if p.grad is not None] == []
    assert run_and_count(trainee.model, 2, 32) == before


@pytest.mark.parametrize("method", ["full", "lora", "qlora", "dora", "prompt"])
def test_recomputation_is_in_hardware_flops_alone(method):
    plain, _ = counted(KEPT, method)
    again, _ = counted(KEPT, method, gradient_checkpointing=True)
    assert [count[MODEL] for count in again] == [count[MODEL] for count in plain]
    assert [count[HARDWARE] for count in plain] == [count[MODEL] for count in plain]
    assert all(count[HARDWARE] > count[MODEL] for count in again)


def test_recomputation_is_two_fifths_of_tiny_llama():
    counts, _ = counted(KEPT, "lora", gradient_checkpointing=True)
    assert counts[1][HARDWARE] / counts[1][MODEL] == pytest.approx(1.395, abs=0.005)


def test_a_loss_in_chunks_computes_the_head_again():
    trainee = tiny_trainee(KEPT, "lora")
    trainee.model.train()
    arguments = (trainee.model, MODELS[KEPT], METHODS["lora"], trainee.recipe, 0)
    (plain, _), (again, _) = flops.step_counts(*arguments), flops.step_counts(*arguments, head_again=True)
    assert [count[MODEL] for count in again] == [count[MODEL] for count in plain]
    assert again[2][HARDWARE] - plain[2][HARDWARE] == 2 * (2 * 128) * 64 * 264  # tokens, width, words


def test_attention_of_smollm2_at_2048_tokens_is_half_as_much_again():
    """What scaling the count of 2 x 32 tokens by tokens loses."""
    entry, recipe = MODELS["smollm2_135m"], tiny_recipe("smollm2_135m", "lora_all")
    model = build_base(entry, RANDOM_WEIGHTS, 0, 0, torch.float32, "meta").requires_grad_(False)
    model = attach(model, entry, METHODS["lora_all"], recipe, 1, 0)
    counts, added = flops.step_counts(model, entry, METHODS["lora_all"], recipe, 0)
    own = work_from(counts, MODEL, added).of(1, 2048)
    assert own == flops.step_formula(entry, METHODS["lora_all"], recipe, 0, (1, 2048))
    assert own / (counts[1][MODEL] / 64 * 2048) == pytest.approx(1.73, abs=0.02)


def setting_of(model, method, recipe):
    """As much of a case's setting as its rates follow from."""
    return SimpleNamespace(
        recipe=recipe,
        batching=tiny_batching(model, recipe),
        prepared=SimpleNamespace(train=tiny_examples(model, 24)),
        case=SimpleNamespace(seed=0),
        device="cpu",
    )


@pytest.mark.parametrize("method", ["lora", "prompt", "hira"])
def test_rates_are_the_work_of_the_timed_batches_over_their_seconds(method):
    """Virtual tokens and what is computed once a pass are in the work of a batch, whatever its shape."""
    recipe = tiny_recipe(method=method, max_steps=6, gradient_accumulation_steps=2, batch_size=2)
    model = tiny_trainee(KEPT, method, recipe).model.train()
    setting = setting_of(KEPT, method, recipe)
    counts, added = flops.step_counts(model, MODELS[KEPT], METHODS[method], recipe, 0)
    assert added == (recipe.virtual_tokens if method == "prompt" else 0)
    steps = plan_steps(setting.batching, setting.prepared.train, 0)
    timed = shapes_of(setting, steps[2:])
    seconds = 0.5
    noisy = {"warm_up_steps": 2, "padded_tokens_per_second": sum(math.prod(shape) for shape in timed) / seconds}
    found = rates_of_steps(setting, steps, {"flops_counts": counts, "added_positions": added}, noisy)
    expected = sum(run_and_count(model, *shape) for shape in timed) / seconds
    assert len(set(timed)) > 1
    assert found["model_flops_per_second"] == pytest.approx(expected, rel=1e-9)
    assert found["hardware_flops_per_second"] == pytest.approx(expected, rel=1e-9)
    assert found["model_flops_utilisation"] is None


def test_product_of_llm_int8_on_a_card_is_the_outlines(monkeypatch):
    def on_a_card(left, right, out=None, state=None, threshold=0.0, bias=None):
        return MatMul8bitLt.apply(left, right, out, bias, state)

    monkeypatch.setattr(bitsandbytes, "matmul", on_a_card)
    recipe = tiny_recipe(method="lora_int8")
    outlines = flops.Outlines(tiny_base(KEPT, "lora_int8", recipe), MODELS[KEPT], PackedLinear)
    assert outlines.count(flops.count_forward, (2, 32)) == flops.forward_formula(MODELS[KEPT], 0, (2, 32))


def test_layers_that_differ_are_counted_whole(deep):
    recipe = tiny_recipe(method="lora_all")
    model = tiny_trainee(KEPT, "lora_all", recipe).model.train()
    third = next(module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == 4)[2]
    third.requires_grad_(False)
    outlines = flops.Outlines(model, deep, PackedLinear)
    assert len(outlines.models) == 1
    assert outlines.count(flops.count_step, (2, 32)) == run_and_count(model, 2, 32)


def test_utilisation_is_the_share_of_the_peak():
    found = utilisation_figures(60.5e12, 90.75e12, 1.0, "NVIDIA L4", "bfloat16")
    assert (found["model_flops_per_second"], found["hardware_flops_per_second"]) == (60.5e12, 90.75e12)
    assert found["model_flops_utilisation"] == pytest.approx(0.5)
    assert found["hardware_flops_utilisation"] == pytest.approx(0.75)


@pytest.mark.parametrize("model_flops", [1e14, 1.3e14])
def test_more_than_the_peak_is_an_error(model_flops):
    """Of the hardware's FLOPs too."""
    with pytest.raises(ArithmeticError, match=r"FLOP/s is 1\d\d% of the peak of NVIDIA L4; a count is wrong"):
        utilisation_figures(model_flops, 1.3e14, 1.0, "NVIDIA L4", "bfloat16")


@pytest.mark.parametrize(("name", "peak"), [
    ("NVIDIA L40S", 362e12), ("NVIDIA L4", 121e12), ("Tesla T4", 65e12), ("NVIDIA H100 PCIe", 756e12),
    ("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA GeForce RTX 4090", 165e12),
])  # fmt: skip
def test_a_card_has_its_own_peak(name, peak):
    assert share_of_peak(peak / 4, name, "float16") == pytest.approx(0.25)


@pytest.mark.parametrize(
    "name", ["NVIDIA T1000", "", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 3090 Ti"]
)
def test_an_unknown_card_and_a_processor_have_no_utilisation(name):
    assert share_of_peak(1e30, name, "bfloat16") is None


def test_products_in_float32_have_no_peak_here():
    assert share_of_peak(1e30, "NVIDIA L4", "float32") is None


def test_a_hook_of_the_embeddings_own_stays_in_the_outline():
    """Only that which asks for their gradient goes with the checkpoints."""
    recipe = tiny_recipe(gradient_checkpointing=True)
    model = tiny_trainee(KEPT, "lora", recipe).model.train()
    embeddings = model.get_input_embeddings()
    embeddings.register_forward_hook(torch.nn.Identity())
    before = list(embeddings._forward_hooks.values())
    outline = flops.Outlines(model, MODELS[KEPT], PackedLinear, spare=True).models[0].model
    kept = list(outline.get_base_model().get_input_embeddings()._forward_hooks.values())
    assert [type(hook) for hook in kept] == [torch.nn.Identity]
    assert list(embeddings._forward_hooks.values()) == before


def test_a_model_without_a_list_of_its_layers_says_so():
    model = tiny_base(KEPT, "lora", tiny_recipe())
    entry = replace(MODELS[KEPT], config={**MODELS[KEPT].config, "num_hidden_layers": 5})
    with pytest.raises(ValueError, match=r"LlamaForCausalLM has no list of 5 layers \(lists of modules: 2\)"):
        flops.Outlines(model, entry, PackedLinear)


@pytest.mark.parametrize(("tokens", "left"), [(511, 1), (600, 0)])
def test_virtual_tokens_that_leave_nothing_to_count_say_so(tokens, left):
    recipe = tiny_recipe("tiny_gpt2", virtual_tokens=tokens)
    with pytest.raises(ValueError, match=rf"virtual_tokens = {tokens} leaves {left} of tiny_gpt2's 512 positions, and"):
        flops.shapes(MODELS["tiny_gpt2"], recipe)


@pytest.fixture
def cost_suite():
    spec = importlib.util.spec_from_file_location("suite_of_cost", ROOT / "suites" / "test_cost.py")
    suite = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(suite)
    return suite


@pytest.mark.parametrize(("checkpointing", "says"), [
    (True, "the record is older than the distinction between model and hardware FLOPs"),
    (False, "lora has no closed form for a step's FLOPs"),
])  # fmt: skip
def test_why_a_step_of_an_older_record_is_not_compared(cost_suite, checkpointing, says):
    record = old_record(gradient_checkpointing=checkpointing)
    record.exact["step_flops_formula"] = None
    with pytest.raises(pytest.skip.Exception, match=says):
        cost_suite.test_step_flops(record)


def old_record(**recipe):
    exact = {
        "flops_shape": [2, 32], "forward_flops": 10, "forward_flops_formula": 10, "step_flops": 31,
        "step_flops_formula": 30,
    }  # fmt: skip
    return Record("pos-tiny_bert-lora-cpu-s0", "ok", exact=exact, recipe=recipe)


def test_an_older_record_under_checkpointing_has_hardware_flops_alone():
    plain, again = (old_record(gradient_checkpointing=flag) for flag in (False, True))
    (one,), (two,) = counts_of(plain.exact, plain.recipe), counts_of(again.exact, again.recipe)
    assert (one[MODEL], one[HARDWARE], one["model_step_formula"], one["forward"]) == (31, 31, 30, 10)
    assert (two.get(MODEL), two[HARDWARE], two["forward"]) == (None, 31, 10)
    figure = FIGURES["step_flops"]
    assert (figure.value(plain), figure.value(again)) == (31, None)


def test_step_flops_of_a_claim_are_model_flops_of_the_common_shape():
    counts, _ = counted(KEPT, "lora", gradient_checkpointing=True)
    record = Record("alpaca-tiny_llama-lora-cpu-s0", "ok", exact={"flops_counts": counts})
    assert FIGURES["step_flops"].value(record) == counts[1][MODEL]


def test_table_counts_an_older_record_of_a_card_again():
    """The H200's 35.9 % was of hardware FLOPs scaled from 2 x 32 tokens."""
    records, _ = read_records(RUNS / "h200" / "records.jsonl")
    record = records["alpaca_worst-llama31_8b-lora-cuda-s0"]
    heads, line = utilisation_table([record])
    cells = dict(zip(heads, line, strict=True))
    assert heads == HEADS
    assert cells["batch"] == "2 × 2048"
    assert (cells["MFU"], cells["HFU"], cells["stated before"]) == ("29.6%", "39.7%", "35.9%")
    recipe = SimpleNamespace(rank=record.recipe["rank"])
    step = flops.step_formula(MODELS["llama31_8b"], METHODS["lora"], recipe, 0, (2, 2048))
    rate = step / 4096 * record.noisy["padded_tokens_per_second"]
    assert cells["model TFLOP/s"] == f"{rate / 1e12:.3f}"


def test_table_takes_what_a_record_states():
    noisy = {"model_flops_per_second": 2e12, "hardware_flops_per_second": 3e12, "model_flops_utilisation": None,
             "hardware_flops_utilisation": None}  # fmt: skip
    record = replace(old_record(padding="longest"), noisy=noisy, exact={"step_shape": [4, 8]})
    assert utilisation_table([record])[1][2:] == ["4 × 8", "2.000", "–", "3.000", "–", "–"]


def test_works_of_a_record_are_those_of_its_counts():
    counts, added = counted(KEPT, "prompt", gradient_checkpointing=True)
    model, hardware = works_of(counts, added)
    for count in counts:
        shape = (count["rows"], count["length"])
        assert (model.of(*shape), hardware.of(*shape)) == (count[MODEL], count[HARDWARE])
