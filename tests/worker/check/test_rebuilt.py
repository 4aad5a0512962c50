"""Faults of a second attaching are seen: a start that no seed fixes, adapters that mix, a sum that is none."""

import pytest
import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from tiny_trainees import tiny_base, tiny_examples, tiny_recipe, tiny_trainee

from bench.methods import METHODS, Attach
from bench.methods.tolerances import TWO_MERGED_AT_TEN_TIMES_THE_SCALE, rounding_tolerance
from bench.models import MODELS
from bench.worker.check.evidence import Probe
from bench.worker.check.fingerprint import fingerprint
from bench.worker.check.rebuilt import differing, fill, rebuilt_evidence, sum_evidence, switching_evidence

SUMS = {"randlora": TWO_MERGED_AT_TEN_TIMES_THE_SCALE}


def evidence_of(method, model="tiny_llama", **overrides):
    recipe = tiny_recipe(model, method, **overrides)
    trainee = tiny_trainee(model, method, recipe)
    probe = Probe(trainee.batching, "cpu", tiny_examples(model, 2)).short()
    started = fingerprint(trainee.model, trained=True)
    return rebuilt_evidence(trainee, MODELS[model], 3, lambda: tiny_base(model, method, recipe), started, probe)


@pytest.mark.parametrize(
    ("model", "method"), [("tiny_llama", method.name) for method in METHODS] + [("tiny_bert", "lora")]
)
def test_a_method_keeps_what_it_states(model, method):
    entry = METHODS[method]
    seen = evidence_of(method, model)
    assert seen["same_seed_changed"] == 0
    assert (seen.get("other_seed_changed", 0) > 0) is (entry.is_adapter and entry.random_start)
    assert ("switching_distance" in seen) is (entry.is_adapter and not entry.alone)
    assert seen.get("switching_distance", 0) == 0
    assert ("two_merged_distance" in seen) is entry.adds_up(MODELS[model])
    assert seen.get("two_merged_distance", 0) <= SUMS.get(method, rounding_tolerance(entry, MODELS[model], "float32"))
    assert all(seen.get(name, True) for name in ("second_adapter_acts", "both_adapters_act"))
    assert ("packed_merge_distance" in seen) is entry.quantised


@pytest.mark.parametrize("method", ["lora", "rslora"])
def test_two_merged_adapters_are_compared_without_the_rounding_of_16_bits(method):
    seen = evidence_of(method, precision="bfloat16", adapter_precision="bfloat16")
    assert 0 < seen["two_merged_distance"] <= 2 * rounding_tolerance(METHODS[method], MODELS["tiny_llama"], "float32")
    assert seen["both_adapters_act"]


def test_a_start_from_another_generator_is_seen(monkeypatch):
    fixed, unseeded = torch.nn.init.kaiming_uniform_, torch.Generator()
    unseeded.seed()
    monkeypatch.setattr(
        torch.nn.init, "kaiming_uniform_", lambda tensor, **more: fixed(tensor, **{**more, "generator": unseeded})
    )
    assert evidence_of("lora")["same_seed_changed"] > 0


def test_a_start_that_ignores_the_seed_is_seen(monkeypatch):
    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", lambda tensor, **more: tensor.data.fill_(0.1))
    assert evidence_of("lora")["other_seed_changed"] == 0


def test_names_that_come_and_go_count_as_changed():
    model = torch.nn.Linear(2, 2)
    now = fingerprint(model, trained=True)
    assert differing(now, model) == 0
    assert differing({"weight": now["weight"], "gone": 1}, model) == 2


@pytest.fixture
def attached():
    """A tiny model with LoRA that acts, what a second adapter is made from, and a probe."""
    trainee = tiny_trainee("tiny_llama", "lora")
    probe = Probe(trainee.batching, "cpu", tiny_examples("tiny_llama", 2)).short()
    return trainee.model, Attach(MODELS["tiny_llama"], trainee.recipe, 3), probe


def test_a_second_adapter_that_overwrites_the_first_is_seen(attached, monkeypatch):
    model, attaching, probe = attached
    right = PeftModel.set_adapter

    def overwriting(self, name, *rest, **more):
        for layer in (module for module in self.modules() if isinstance(module, BaseTunerLayer)):
            if "second" in layer.lora_B:
                layer.lora_B["default"].weight.data.copy_(layer.lora_B["second"].weight)
        return right(self, name, *rest, **more)

    monkeypatch.setattr(PeftModel, "set_adapter", overwriting)
    assert switching_evidence(model, METHODS["lora"], attaching, probe)["switching_distance"] > 1e-3


def test_a_switch_that_is_ignored_is_seen(attached, monkeypatch):
    model, attaching, probe = attached
    monkeypatch.setattr(PeftModel, "set_adapter", lambda *given, **more: None)
    assert switching_evidence(model, METHODS["lora"], attaching, probe)["second_adapter_acts"] is False


def test_layers_that_are_not_switched_are_seen_although_the_new_head_is(monkeypatch):
    trainee = tiny_trainee("tiny_bert", "lora")
    attaching = Attach(MODELS["tiny_bert"], trainee.recipe, 3)
    probe = Probe(trainee.batching, "cpu", tiny_examples("tiny_bert", 2)).short()
    monkeypatch.setattr(BaseTunerLayer, "set_adapter", lambda *given, **more: None)
    assert switching_evidence(trainee.model, METHODS["lora"], attaching, probe)["second_adapter_acts"] is False


def test_a_second_adapter_that_is_not_merged_is_seen(attached, monkeypatch):
    model, attaching, probe = attached
    switching_evidence(model, METHODS["lora"], attaching, probe)
    right = model.merge_adapter
    monkeypatch.setattr(model, "merge_adapter", lambda adapter_names: right(adapter_names=adapter_names[:1]))
    seen = sum_evidence(model, probe)
    assert seen["both_adapters_act"]
    assert seen["two_merged_distance"] > 1e-3


def test_the_seed_decides_the_values_that_are_added():
    weights = {}
    for seed in (1, 1, 2):
        model = tiny_trainee("tiny_llama", "lora").model
        fill(model, METHODS["lora"], "default", seed)
        weights.setdefault(seed, []).append(fingerprint(model, trained=True))
    assert weights[1][0] == weights[1][1]
    assert all(weights[2][0][name] != value for name, value in weights[1][0].items())


def test_values_are_added_to_the_named_adapter_alone(attached):
    model, _, _ = attached
    before = fingerprint(model, trained=True)
    fill(model, METHODS["lora"], "second", seed=1)
    assert fingerprint(model, trained=True) == before
    fill(model, METHODS["lora"], "default", seed=1)
    assert all(fingerprint(model, trained=True)[name] != value for name, value in before.items())
