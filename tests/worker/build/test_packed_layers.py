"""A base of random weights is packed a layer at a time: bitsandbytes' own layers, and little memory meanwhile."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import bitsandbytes
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from tiny_trainees import TINY, tiny_base, tiny_recipe
from torch import nn

from bench.methods import METHODS, NF4
from bench.models import MODELS
from bench.sources import Weights
from bench.worker.build import base as build
from bench.worker.build.base import build_base
from bench.worker.build.packed_layers import INITIAL_DEVIATION, packed_embedding, packed_linear
from bench.worker.build.quantise import is_head

PAIRS = [(model, method.name) for model in TINY for method in METHODS
         if method.quantised and method.suits(MODELS[model])]  # fmt: skip
DRAWS = 4096
DEVIATION_CLOSE = 0.05  # of the standard deviation of so many normal draws, four times its own; NF4 keeps it
BYTES_A_WEIGHT = 32  # of the layer that is packed: bfloat16, and what bitsandbytes' kernel for processors takes
NF4_DISTANCE = 0.12  # relative: of normal weights NF4 keeps a little over three bits
# glibc keeps freed blocks once it has learnt their size, and a peak would tell of its heap; so it gives back all
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
MIDDLE = """
import json, sys
sys.path.insert(0, "tests")
from dataclasses import replace
from tiny_trainees import tiny_base, tiny_recipe
from bench.worker.measure.memory import reset_resident_peak, resident_peak_bytes
from bench.models import MODELS

tiny_base("tiny_llama", "qlora", tiny_recipe(method="qlora"))  # what is imported and compiled is no part of it
config = {**MODELS["tiny_llama"].config, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 8,
          "num_attention_heads": 8, "num_key_value_heads": 8}
MODELS.put("toy_middle", replace(MODELS["tiny_llama"], name="toy_middle", config=config))
resettable = reset_resident_peak()
before = resident_peak_bytes()
base = tiny_base("toy_middle", "qlora", tiny_recipe("toy_middle", "qlora", precision="bfloat16"))
weights = sum(p.quant_state.shape.numel() for p in base.parameters() if getattr(p, "quant_state", None))
print(json.dumps({"resettable": resettable, "grown": resident_peak_bytes() - before, "weights": weights}))
"""


def packed_layers(base):
    return [module for module in base.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]


@pytest.mark.parametrize("model", TINY)
def test_layers_are_bitsandbytes_own_with_double_quantisation(model):
    for layer in packed_layers(tiny_base(model, "qlora", tiny_recipe(model, "qlora"))):
        state = layer.weight.quant_state
        assert layer.weight.dtype == torch.uint8
        assert layer.weight.numel() * 2 == layer.in_features * layer.out_features
        assert (state.quant_type, state.blocksize, state.nested, state.state2.blocksize) == ("nf4", 64, True, 256)
        assert state.absmax.dtype == torch.uint8
        assert tuple(state.shape) == (layer.out_features, layer.in_features)


@pytest.mark.parametrize("model", TINY)
def test_dequantised_weights_are_as_transformers_starts(model):
    for layer in packed_layers(tiny_base(model, "qlora", tiny_recipe(model, "qlora"))):
        weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        assert float(weight.std()) == pytest.approx(INITIAL_DEVIATION, rel=DEVIATION_CLOSE)
        assert abs(float(weight.mean())) < INITIAL_DEVIATION * 4 / weight.numel() ** 0.5
        assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize(("model", "name"), PAIRS)
def test_nothing_is_left_without_storage_and_the_rest_is_as_a_plain_base(model, name):
    """Norms, shapes and rotary frequencies are a plain base's, and a tied head is tied."""
    recipe = tiny_recipe(model, name)
    base, plain = tiny_base(model, name, recipe), tiny_base(model, "lora", recipe)
    assert not [path for path, tensor in (*base.named_parameters(), *base.named_buffers()) if tensor.is_meta]
    assert {path for path, _ in base.named_parameters()} == {path for path, _ in plain.named_parameters()}
    for path, buffer in plain.named_buffers():
        assert torch.equal(base.get_buffer(path), buffer)
    for path, parameter in plain.named_parameters():
        if "norm" in path.lower() or "ln_" in path:
            assert torch.equal(base.get_parameter(path), parameter)
        elif "embed" in path and parameter.numel() >= DRAWS:
            assert base.get_parameter(path).std() == pytest.approx(float(parameter.std()), rel=DEVIATION_CLOSE)
    assert [path for path, module in base.named_modules() if type(module) is nn.Linear and not is_head(path)] == []


def test_random_weights_are_the_same_each_time():
    recipe = tiny_recipe(method="qlora")
    first, again = (tiny_base("tiny_llama", "qlora", recipe).state_dict() for _ in range(2))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("bias", [True, False])
def test_packed_layer_is_what_bitsandbytes_makes_of_the_weight(bias):
    weight = torch.randn(128, 64, generator=torch.Generator().manual_seed(0))
    layer = packed_linear(weight.clone(), torch.arange(128.0) if bias else None, NF4, torch.float32, "cpu")
    codes, state = quantize_4bit(weight, quant_type="nf4", blocksize=64, compress_statistics=True)
    assert torch.equal(layer.weight.data, codes)
    assert torch.equal(layer.weight.quant_state.absmax, state.absmax)
    rows = torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    expected = rows @ dequantize_4bit(codes, state).T + (torch.arange(128.0) if bias else 0)
    assert torch.allclose(layer(rows), expected, rtol=1e-4, atol=1e-4)


def test_packed_embedding_is_near_the_table():
    table = torch.randn(50, 64, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[0, 49, 7]])
    rows = packed_embedding(table.clone(), torch.float32, "cpu")(ids)
    assert rows.shape == (1, 3, 64)
    assert torch.linalg.norm(rows - table[ids]) <= NF4_DISTANCE * torch.linalg.norm(table[ids])


def test_building_never_holds_the_model_unpacked():
    """A model of 134 million weights, 268 MB in bfloat16: its codes, and one layer at a time."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MIDDLE], capture_output=True, text=True,
        cwd=Path(__file__).resolve().parents[3], check=True, env={**os.environ, **GIVES_BACK},
    )  # fmt: skip
    seen = json.loads(done.stdout.splitlines()[-1])
    if not seen["resettable"]:
        pytest.skip("this kernel does not let a process start its peak again")
    assert seen["weights"] == 8 * (4 * 1024**2 + 3 * 1024 * 4096)
    codes, largest = seen["weights"] / 2, 1024 * 4096
    assert codes <= seen["grown"] < codes + BYTES_A_WEIGHT * largest


@pytest.mark.parametrize(("name", "tied"), [("tiny_gpt2", True), ("tiny_llama", False)])
def test_model_without_storage_keeps_its_head_tied(name, tied):
    weights = Weights(None, "synthetic", "made for this test", "synthetic")
    model = build_base(MODELS[name], weights, 0, 0, torch.float32, "meta")
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) is tied


@pytest.mark.parametrize(("device", "attention"), [("cpu", "eager"), ("cuda:0", "sdpa")])
@pytest.mark.parametrize("folder", [None, Path("weights")])
@pytest.mark.parametrize("method", ["lora", "qlora", "lora_int8"])
def test_attention_is_that_of_the_device_that_the_base_is_for(monkeypatch, method, folder, device, attention):
    """Wherever it is built first, to be packed."""

    class Built(Exception):
        pass

    def build_base(*arguments):
        raise Built(inspect.signature(own).bind(*arguments).arguments["attention"])

    own = build.build_base
    monkeypatch.setattr(build, "build_base", build_base)
    weights = Weights(folder, "mirror", "", "")
    entry, recipe = MODELS["tiny_llama"], tiny_recipe(method=method)
    with pytest.raises(Built, match=attention):
        build.prepare_base(entry, weights, 0, METHODS[method], recipe, 0, device)
