"""The trace on fake tensors gives what the same tracker sees on real ones, to the byte."""

import importlib.util
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from tiny_trainees import TINY, labels_of, tiny_examples, tiny_recipe, tiny_trainee
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import functional
from transformers.models.llama.modeling_llama import LlamaMLP

from bench.core.paths import ROOT
from bench.judge.predictions.growth import WATCHED, judge, measure
from bench.methods import METHODS
from bench.models import ENCODER, MODELS
from bench.predict import terms
from bench.predict.card.replay import replay
from bench.predict.terms import Peaks
from bench.predict.trace import fake_tensors as fake
from bench.predict.trace.as_cuda import as_cuda
from bench.predict.trace.fake_tensors import Answers, fake_tensors
from bench.predict.trace.steps import batch_of, follow, full_extent, trace
from bench.worker.measure.garbage import without_collection
from bench.worker.measure.memory import LiveStorages
from bench.worker.train.backward import backward
from bench.worker.train.batches import pack
from bench.worker.train.optimizer import apply_gradients, make_optimizer

PAIRS = [(model, method.name) for model in TINY for method in METHODS if method.suits(MODELS[model])]
CHECKPOINTED = [
    (model, method) for model in TINY if MODELS[model].family.checkpoints for method in ("lora", "qlora", "full")
]


def traced(model, method, recipe, device="cpu"):
    return trace(MODELS[model], METHODS[method], recipe, labels_of(model), device)


@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
@pytest.mark.parametrize("found", [None, "liger_kernel"])
def test_a_loss_in_chunks_is_traced_as_this_projects_own_whatever_is_installed(monkeypatch, found):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *of: found if "liger" in name else find(name, *of))
    recipe = tiny_recipe("tiny_llama", "qlora_lean")
    traced("tiny_llama", "qlora_lean", recipe, "cuda:0")


def followed(model, method, recipe):
    """Real tensors, made by the same functions that every case is."""
    trainee = tiny_trainee(model, method, recipe)
    trainee.model.train()
    return follow(trainee, batch_of(full_extent(MODELS[model], recipe), recipe))


def assert_alike(found, expected):
    """The same bytes of the same terms, and the same in an allocator's blocks."""
    assert found == expected
    assert replay(found.log) == replay(expected.log)


@pytest.mark.parametrize(("model", "method"), PAIRS)
def test_fake_tensors_hold_the_bytes_of_real_ones(model, method):
    recipe = tiny_recipe(model, method)
    assert_alike(traced(model, method, recipe), followed(model, method, recipe))


@pytest.mark.parametrize(("model", "method"), CHECKPOINTED)
def test_and_so_in_half_precision_with_checkpoints(model, method):
    recipe = tiny_recipe(model, method, precision="bfloat16", gradient_checkpointing=True)
    assert_alike(traced(model, method, recipe), followed(model, method, recipe))


@pytest.mark.parametrize("packing", [False, True], ids=["padded", "packed"])
@pytest.mark.parametrize("model", TINY)
def test_and_so_of_batches_that_are_not_full(model, packing):
    if packing and MODELS[model].kind == ENCODER:
        pytest.skip("only a decoder's rows are packed")
    recipe = tiny_recipe(model, "lora", packing=packing)
    trainee, examples = tiny_trainee(model, "lora", recipe), tiny_examples(model, count=4)
    items = list(pack(examples, recipe.max_length)) if packing else examples
    extent = trainee.batching.extent(items)
    assert not extent.whole
    trainee.model.train()
    seen = follow(trainee, trainee.batching.collate(items))
    assert_alike(trace(MODELS[model], METHODS["lora"], recipe, labels_of(model), "cpu", extent), seen)


@pytest.mark.parametrize("model", ["tiny_mistral", "tiny_gemma3"])
def test_and_so_where_attention_looks_no_further_back_than_a_window(monkeypatch, model):
    """In all layers, or in one of two."""
    entry = replace(MODELS[model], config={**MODELS[model].config, "sliding_window": 16})
    monkeypatch.setitem(MODELS._entries, model, entry)
    recipe = tiny_recipe(model, "lora")
    assert_alike(traced(model, "lora", recipe), followed(model, "lora", recipe))


@pytest.mark.parametrize("accumulated", [1, 2])
@pytest.mark.parametrize("method", ["lora", "full", "adalora"])
def test_its_steps_hold_what_two_steps_of_training_do(method, accumulated):
    recipe = tiny_recipe("tiny_llama", method, gradient_accumulation_steps=accumulated)
    seen = followed("tiny_llama", method, recipe).peak_bytes
    trainee = tiny_trainee("tiny_llama", method, recipe)
    trainee.model.train()
    batch = batch_of(full_extent(MODELS["tiny_llama"], recipe), recipe)
    with without_collection(), LiveStorages() as storages:
        for tensor in (*trainee.model.parameters(), *trainee.model.buffers()):
            storages.add(tensor.detach())
        for tensor in (batch.input_ids, batch.labels, batch.attention_mask):
            storages.add(tensor)
        optimizer = make_optimizer(trainee)
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for number in range(2):
            backward(trainee, [batch] * accumulated)
            apply_gradients(recipe, optimizer, trained, None)
            if trainee.method.after_step:
                trainee.method.after_step(trainee.model, number)
            optimizer.zero_grad(set_to_none=True)
    assert seen == pytest.approx(storages.peak_bytes, rel=0.005)


def test_second_step_holds_the_optimizers_states():
    recipe = tiny_recipe("tiny_llama", "lora")
    found = traced("tiny_llama", "lora", recipe)
    trains = sum(p.numel() for p in tiny_trainee("tiny_llama", "lora", recipe).model.parameters() if p.requires_grad)
    assert found.phases[terms.FORWARD][terms.STATES] >= 8 * trains
    assert found.phases[terms.OPTIMIZER][terms.GRADIENTS] >= 4 * trains


def test_peak_is_of_the_highest_phase():
    found = Peaks({"forward": {"a": 1}, "backward": {"a": 2, "b": 3}})
    assert (found.peak_bytes, found.terms) == (5, {"a": 2, "b": 3})


def test_a_card_keeps_less_of_attention_than_a_processor():
    recipe = tiny_recipe("tiny_llama", "lora", precision="bfloat16", max_length=256)
    assert traced("tiny_llama", "lora", recipe, "cuda:0").peak_bytes < traced("tiny_llama", "lora", recipe).peak_bytes


@pytest.mark.parametrize("model", TINY)
def test_every_architecture_is_traced_as_on_a_card(model):
    checkpointing = MODELS[model].family.checkpoints
    recipe = tiny_recipe(model, "qlora", precision="bfloat16", gradient_checkpointing=checkpointing)
    assert set(traced(model, "qlora", recipe, "cuda:0").phases) == set(terms.PHASES)


def test_tracing_leaves_nothing_fake_behind():
    traced("tiny_llama", "qlora", tiny_recipe("tiny_llama", "qlora"))
    trainee = tiny_trainee("tiny_llama", "qlora")
    assert not any(isinstance(parameter, FakeTensor) for parameter in trainee.model.parameters())
    assert not isinstance(torch.ones(1), FakeTensor)
    assert torch.is_autocast_enabled("cpu") is False


def test_what_says_cuda_runs_by_a_cards_rules():
    with fake_tensors(), Answers(), as_cuda(), torch.autocast("cuda", dtype=torch.bfloat16):
        hidden = torch.ones(2, 8, device="cuda:0", dtype=torch.bfloat16)
        assert torch.is_autocast_enabled()
        assert torch.nn.functional.layer_norm(hidden, (8,)).dtype == torch.float32
        assert (hidden @ hidden.T).dtype == torch.bfloat16


OF_A_TENSOR = {
    "rows": lambda tensor: tensor[1:3],
    "row": lambda tensor: tensor[2],
    "transposed": lambda tensor: tensor.t(),
    "permuted": lambda tensor: tensor[None].permute(2, 0, 1),
    "swapped": lambda tensor: tensor.transpose(0, 1),
    "shaped": lambda tensor: tensor.view(2, 12),
    "expanded": lambda tensor: tensor[:1].expand(5, 6),
    "detached": lambda tensor: tensor.detach(),
}


@pytest.mark.parametrize("view", OF_A_TENSOR.values(), ids=OF_A_TENSOR)
def test_a_view_is_as_torch_makes_it(view, monkeypatch):
    real, seen = view(torch.ones(4, 6, dtype=torch.bfloat16)), []
    monkeypatch.setattr(fake, "view", lambda *operation, make=fake.view: seen.append(operation) or make(*operation))
    with fake_tensors(), Answers():
        whole = torch.ones(4, 6, dtype=torch.bfloat16)
        made = view(whole)
        assert made.untyped_storage()._cdata == whole.untyped_storage()._cdata
    assert seen
    assert isinstance(made, FakeTensor)
    assert about(made) == about(real)


def about(tensor):
    return tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype, tensor.device


COMPILING = """
import sys
import bench.predict.trace.steps
from bench.predict.trace.fake_tensors import fake_tensors
with fake_tensors():
    import bitsandbytes
loaded = "torch._inductor.compile_fx" in sys.modules
import torch
from bench.predict.trace.fake_tensors import compiled_when_called
with compiled_when_called():
    plain = torch.compile(lambda number: number + 1, backend="eager")
    options = torch.compile(backend="eager", dynamic=False)(lambda number, plus=0: number + plus)
torch._dynamo.utils.counters.clear()
print(loaded, plain(torch.ones(1)).item(), options(torch.ones(1), plus=4).item(),
      torch._dynamo.utils.counters["frames"]["ok"])
"""


def test_no_compiler_is_loaded_before_something_compiled_is_called():
    found = subprocess.run([sys.executable, "-c", COMPILING], capture_output=True, text=True, cwd=ROOT)
    assert found.stdout.split() == ["False", "2.0", "5.0", "2"], found.stderr


def test_attention_without_a_mask_keeps_no_scores():
    with fake_tensors(), Answers(), as_cuda():
        query = torch.ones(1, 4, 128, 16, dtype=torch.bfloat16, requires_grad=True)
        key = torch.ones(1, 2, 128, 16, dtype=torch.bfloat16)
        with LiveStorages() as storages:
            attended = torch.nn.functional.scaled_dot_product_attention(
                query, key, key, is_causal=True, enable_gqa=True
            )
    assert attended.shape == query.shape
    assert storages.peak_bytes < 4 * 128 * 128  # one byte a score would be more


def test_a_large_model_is_traced_in_little_memory():
    large = replace(MODELS["llama31_8b"], config={**MODELS["llama31_8b"].config, "num_hidden_layers": 1})
    recipe = tiny_recipe("tiny_llama", "qlora", precision="bfloat16", batch_size=1, max_length=64)
    assert trace(large, METHODS["qlora"], recipe).peak_bytes > 2 * 2**30


def test_alarm_sees_what_a_layer_keeps(monkeypatch):
    """A feed-forward that keeps a mask, and what it masked, is red where the layer is not checkpointed."""
    (watched,) = [one for one in WATCHED if one.model == "llama2_7b"]
    assert not watched.checkpoints
    forward = LlamaMLP.forward
    monkeypatch.setattr(LlamaMLP, "forward", lambda self, x: forward(self, functional.dropout(x, 0.5)))
    assert re.search(r"kept for backward \+\d+\.\d MiB", judge(watched, measure(watched.question())))


@pytest.mark.parametrize(("training", "kept"), [(True, [(torch.bool, 64)]), (False, [])])
def test_dropout_keeps_a_byte_an_element_as_on_a_card(training, kept):
    saved = []
    given = torch.ones(64, requires_grad=True)
    with as_cuda(), torch.autograd.graph.saved_tensors_hooks(lambda one: saved.append(one) or one, lambda one: one):
        functional.dropout(given, 0.5, training)
    assert [(one.dtype, one.numel()) for one in saved] == kept
