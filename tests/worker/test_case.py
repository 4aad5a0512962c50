"""A case from end to end, in this process: the record it gives, whole, honest and repeating."""

import json
import time as clock
from collections import Counter
from dataclasses import asdict, replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from tiny_trainees import silent, tiny_trainee

from bench.core.case import parse_case
from bench.core.registry import UnknownName
from bench.core.work import CaseWork
from bench.methods import METHODS, Unsupported
from bench.methods.tolerances import reload_tolerance, rounding_tolerance, start_tolerance
from bench.models import MODELS
from bench.recipes.of_case import recipe_for
from bench.records.kept import read_kept
from bench.records.record import Record, parse_record
from bench.tasks import TASKS
from bench.worker import first_method
from bench.worker.ask.probing import Probing
from bench.worker.build import base
from bench.worker.case import run_case
from bench.worker.check import read_back
from bench.worker.figures import inference_figures
from bench.worker.first_method import first_recipe
from bench.worker.stepper import Stepper
from bench.worker.train import loop
from bench.worker.train.optimizer import make_optimizer

TAGGING = "pos-tiny_bert-lora-cpu-s0"
ANSWERING = "support-tiny_llama-lora-cpu-s0"
AFTER_FULL = "pos-tiny_bert-lora_after_full-cpu-s0"
BEHIND_VIRTUAL_TOKENS = "support-tiny_gpt2-prompt-cpu-s0"
PADDED_AFTER_FULL = "pos-tiny_roberta-lora_after_full-cpu-s0"
LONG = {"max_length": 600, "padding": "max_length", "batch_size": 2, "max_steps": 1, "evaluation_examples": 2}
DRAWN_RANKS = "support-tiny_llama-dylora-cpu-s0"
BOTH = pytest.mark.parametrize("case_id", [TAGGING, ANSWERING])
OVERRIDES: dict[str, dict] = {
    TAGGING: {"train_examples": 160, "max_steps": 4},
    ANSWERING: {
        "train_examples": 8,
        "evaluation_examples": 4,
        "max_steps": 4,
        "generated_examples": 2,
        "batch_size": 2,
    },
    AFTER_FULL: {"train_examples": 160, "max_steps": 2},
    BEHIND_VIRTUAL_TOKENS: {**LONG, "virtual_tokens": 20},
    PADDED_AFTER_FULL: LONG,
    DRAWN_RANKS: {"train_examples": 8, "evaluation_examples": 4, "max_steps": 4, "batch_size": 2, "rank": 8},
}
METRICS = {
    TAGGING: {"f1", "accuracy", "macro_f1", "loss", "seqeval_f1", "seqeval_precision", "seqeval_recall"},
    ANSWERING: {"loss", "token_accuracy"},
}
EXACT = {
    "flops_counts", "added_positions", "training_model_flops", "training_hardware_flops", "trainable_parameters", "trainable_parameters_formula", "total_parameters",
    "optimizer_steps", "resting_allocated_bytes", "step_allocated_bytes", "step_shape", "adapter_bytes",
}  # fmt: skip


def work(case_id, **more):
    case = parse_case(case_id)
    return CaseWork(case, recipe_for(case, **OVERRIDES[case_id]), **more)


def run(case_id, say=silent, **more):
    return run_case(work(case_id, **more).to_plain(), say)


@cache
def ran(case_id, time=0):
    """The case's figures; another time runs it again. Lines said come with them."""
    torch.manual_seed(time)  # whatever chance was before must not matter
    said = []
    return {**run(case_id, said.append), "said": said}


def record_of(case_id):
    found = {name: value for name, value in ran(case_id).items() if name not in ("said", "examples", "untrained")}
    return Record(case=case_id, status="ok", **found)


@BOTH
def test_a_case_fills_a_record_that_reads_back(case_id):
    record = record_of(case_id)
    assert parse_record(json.dumps(asdict(record), allow_nan=False)) == record


@BOTH
def test_every_field_is_there(case_id):
    found = ran(case_id)
    assert found["quality"].keys() == found["quality_before"].keys() == METRICS[case_id]
    assert found["exact"].keys() >= EXACT
    assert found["weights"] == {"origin": "synthetic", "identity": "synthetic"}
    assert found["environment"]["libraries"]["torch"]
    assert found["data"]["origin"] == "sample"
    assert found["reasons"][0].startswith("weights: ")
    assert found["noisy"]["seconds_per_step"] > 0
    assert found["noisy"]["peak_bytes"] > 0


def test_a_case_of_drawn_ranks_evaluates_each_and_stays_at_the_full_one():
    found = ran(DRAWN_RANKS)
    views = found["tables"]["views"]
    assert list(views) == ["r1", "r2", "r4", "r8"]
    assert views["r8"] == found["quality"]
    assert views["r1"] != views["r8"]
    assert found["evidence"]["reload_distance"] == 0, "what is read back has the full rank"


STAGES = {"set_up", "load", "attach", "evaluate_before", "train", "prepare_training", "data", "evaluate", "check", "count",
          "read_back"}  # fmt: skip


@pytest.mark.parametrize("case_id", [TAGGING, ANSWERING, AFTER_FULL])
def test_every_second_is_in_a_stage(case_id):
    began = clock.perf_counter()
    seconds = run(case_id)["noisy"]["seconds"]
    whole = clock.perf_counter() - began
    assert sum(seconds.values()) == pytest.approx(whole, rel=0.02, abs=0.02)
    assert seconds["other"] < 0.05 * whole
    assert seconds.keys() >= STAGES
    assert ("first_method" in seconds) == (case_id == AFTER_FULL)


@pytest.mark.parametrize(("case_id", "what"), [(TAGGING, "adapter"), (ANSWERING, "merged"), (AFTER_FULL, "merged")])
def test_a_case_keeps_its_weights_when_asked(case_id, what, tmp_path):
    folder = tmp_path / "adapters" / case_id
    found = run(case_id, keep=what, keep_in=folder)
    kept = read_kept(folder)
    assert found["kept"] == kept.of_record()
    assert kept.what == what
    assert kept.facts.quality == found["quality"]
    assert found["noisy"]["seconds"]["keep"] > 0
    again = ran(case_id)
    assert {name: found[name] for name in ("losses", "quality", "exact")} == {
        name: again[name] for name in ("losses", "quality", "exact")
    }


def test_a_case_keeps_nothing_unless_asked():
    assert ran(TAGGING)["kept"] == {}


def test_what_surrounds_a_first_methods_steps_is_in_their_stages_as_in_the_main_training(monkeypatch):
    """Two trainings and two collated epochs, two evaluations before and the building of two bases.

    The clock is put forward instead of waiting, by more than a loaded machine can lose.
    """
    real, ahead = clock.perf_counter, Counter()
    monkeypatch.setattr(clock, "perf_counter", lambda: real() + ahead.total())

    def put_forward(module, name, seconds):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args: (ahead.update([name] * seconds), function(*args))[1])

    put_forward(loop, "make_optimizer", 2_000)
    put_forward(base, "build_base", 3_000)
    put_forward(first_method, "score", 4_000)
    seconds = run(AFTER_FULL)["noisy"]["seconds"]
    assert 2 * 2_000 <= seconds["prepare_training"] < 3 * 2_000
    assert 2 * 3_000 <= seconds["load"] < 3 * 3_000
    assert 2 * 4_000 <= seconds["evaluate_before"] < 3 * 4_000
    assert seconds["first_method"] < 1_000


DROPPED_AFTER_FULL = (
    "support-tiny_gpt2-lora_after_full-cpu-s0",
    {"max_steps": 1, "batch_size": 2, "train_examples": 4, "evaluation_examples": 2},
)


def test_the_record_says_what_becomes_of_the_first_methods_dropout():
    case_id, overrides = DROPPED_AFTER_FULL
    recipe = recipe_for(parse_case(case_id), **overrides)
    reasons = run_case(CaseWork(parse_case(case_id), recipe).to_plain(), silent)["reasons"]
    assert any(reason.startswith("full, trained first: full has no dropout of its own: dropout = 0.1 acts in the base")
               for reason in reasons)  # fmt: skip


def test_a_first_method_without_a_layer_to_drop_in_is_refused(monkeypatch):
    monkeypatch.setattr("bench.worker.build.base.DROPOUTS", ())
    case_id, overrides = DROPPED_AFTER_FULL
    recipe = recipe_for(parse_case(case_id), **overrides)
    with pytest.raises(Unsupported, match="neither full nor tiny_gpt2 has a dropout to set to 0.1; dropout = 0.0"):
        run_case(CaseWork(parse_case(case_id), recipe).to_plain(), silent)


def test_making_the_optimizer_is_not_making_batches(monkeypatch):
    made = make_optimizer

    def slow(trainee):
        clock.sleep(0.3)
        return made(trainee)

    monkeypatch.setattr(loop, "make_optimizer", slow)
    seconds = run(TAGGING)["noisy"]["seconds"]
    assert seconds["prepare_training"] >= 0.3 > seconds["data"]


@BOTH
def test_random_weights_are_not_judged(case_id):
    assert ran(case_id)["quality_judged"] is False


@BOTH
def test_as_many_steps_as_the_recipe_says(case_id):
    found = ran(case_id)
    assert len(found["losses"]) == found["exact"]["optimizer_steps"] == OVERRIDES[case_id]["max_steps"]


@BOTH
def test_every_held_out_example_has_its_row(case_id):
    found = ran(case_id)
    assert len({row["key"] for row in found["examples"]}) == found["data"]["held_out_examples"]


@BOTH
def test_the_same_case_gives_the_same_figures(case_id):
    first, again = ran(case_id), ran(case_id, 1)
    assert again["exact"] == first["exact"]
    assert again["losses"] == first["losses"]
    assert again["quality"] == first["quality"]
    assert again["quality_before"] == first["quality_before"]
    assert again["examples"] == first["examples"]
    assert again["evidence"] == first["evidence"]


@BOTH
def test_evidence_holds(case_id):
    found, method = ran(case_id)["evidence"], METHODS["lora"]
    arguments = (method, MODELS[parse_case(case_id).model], work(case_id).recipe.precision)
    assert found["start_distance"] <= start_tolerance(*arguments)
    assert found["reload_distance"] <= reload_tolerance(*arguments)
    assert found["merge_distance"] <= rounding_tolerance(
        *arguments, rounding_distance=found.get("rounding_distance", 0.0)
    )
    assert found["off_distance"] == 0
    assert found["base"]["changed"] == found["base_changed_by_attaching"] == 0
    assert found["trained"]["changed"] == found["trained"]["tensors"] > 0
    assert found["trained_without_gradient"] == 0


def test_generating_is_looked_at_where_a_model_generates():
    found = ran(ANSWERING)["evidence"]
    arguments = (METHODS["lora"], MODELS["tiny_llama"], work(ANSWERING).recipe.precision)
    assert found["generation_distance"] <= rounding_tolerance(*arguments)
    assert "generation_distance" not in ran(TAGGING)["evidence"]


@BOTH
def test_exact_figures_are_the_formulas(case_id):
    exact = ran(case_id)["exact"]
    assert exact["trainable_parameters"] == exact["trainable_parameters_formula"]
    for count in exact["flops_counts"]:
        assert count["forward"] == count["forward_formula"]
        assert count["model_step"] == count["hardware_step"] == count["model_step_formula"]
    assert exact["step_allocated_bytes"] >= exact["resting_allocated_bytes"] + 4 * exact["trainable_parameters"]


@BOTH
def test_progress_is_said_step_by_step(case_id):
    steps = [event["step"] for event in ran(case_id)["said"] if "step" in event]
    assert steps == [1, 2, 3, 4]


@BOTH
def test_the_last_epoch_is_the_quality(case_id):
    epochs = ran(case_id)["epochs"]
    assert {name: epochs[-1][name] for name in METRICS[case_id]} == ran(case_id)["quality"]
    assert TASKS[parse_case(case_id).task].metric in epochs[-1]


def test_answers_are_shown_beside_the_actual_ones():
    table = ran(ANSWERING)["tables"]["generated"]
    assert len(table) == 2
    assert all(row.keys() == {"prompt", "actual", "generated"} and row["actual"] for row in table)


def test_lora_after_full_starts_from_full():
    found = ran(AFTER_FULL)
    assert any(reason.startswith("started from full: ") for reason in found["reasons"])
    assert found["losses"][0] < ran(TAGGING)["losses"][0]
    assert found["evidence"]["start_distance"] == 0
    assert found["evidence"]["reload_distance"] == 0


def test_what_goes_first_has_the_cases_steps_and_precision():
    case, first = parse_case(AFTER_FULL), parse_case("pos-tiny_bert-full-cpu-s0")
    own = recipe_for(case)
    told = SimpleNamespace(case=case, recipe=own)
    assert first_recipe(told, first) == recipe_for(first)
    told.recipe = replace(own, max_steps=2, precision="float16")
    assert first_recipe(told, first) == replace(recipe_for(first), max_steps=2, precision="float16")


def test_inference_is_not_timed_where_a_card_has_no_room(monkeypatch):
    monkeypatch.setattr(read_back, "free_bytes", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    trainee = tiny_trainee()
    setting = SimpleNamespace(method=METHODS["lora"], task=TASKS["medqa_r4"], entry=MODELS["tiny_llama"],
                              device="cuda:0", reasons=[])  # fmt: skip
    assert inference_figures(setting, trainee.model, lambda: pytest.fail("a base was made")) == {}
    assert setting.reasons[0].startswith("inference was not timed: base and merged model take at least ")


def test_small_gradients_of_float16_are_seen():
    case_id = "pos-tiny_bert-lora_all-cpu-s0"
    recipe = recipe_for(parse_case(case_id), train_examples=160, max_steps=8, precision="float16")
    found = run_case(CaseWork(parse_case(case_id), recipe).to_plain(), silent)
    assert found["evidence"]["trained_without_gradient"] == 0


def test_a_stepper_takes_the_first_step_again_and_again():
    stepper = Stepper(work(ANSWERING).to_plain(), silent)
    taken = [stepper.step() for _ in range(6)]  # more than the case has steps
    assert {step["tokens"] for step in taken} == {taken[0]["tokens"]}
    assert taken[-1]["loss"] < taken[0]["loss"]
    assert stepper.describe()["libraries"]["torch"]


def test_probes_are_asked_before_and_after(tmp_path, monkeypatch):
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path))
    found = run(ANSWERING, probes=("source003",))
    assert {row["key"] for row in found["probe_answers"]} == {"source003/en-fibonacci", "source003/en-larger"}
    everything = found["tables"]["probes"][0]
    assert (everything["family"], everything["language"], everything["group"]) == ("source003", "all", "all")
    assert sum(everything[name] for name in ("cured", "kept", "broken", "still_wrong")) == 2
    assert found["noisy"]["seconds"]["probe_before"] > 0
    assert found["losses"] == ran(ANSWERING)["losses"]  # asking left no trace in training
    assert all(row["before_margin"] != row["after_margin"] for row in found["probe_answers"])


@pytest.mark.filterwarnings("ignore")  # lm-eval's imports warn of what is not ours
def test_an_unknown_lm_eval_task_is_told_before_the_base_is_asked(monkeypatch):
    monkeypatch.setattr(Probing, "ask_base", lambda *_: pytest.fail("the base was asked"))
    with pytest.raises(UnknownName, match="no lm-eval task named 'lorabench_decimal'"):
        run(ANSWERING, probes=("source003",), lm_eval=("lorabench_decimal",))


@pytest.mark.parametrize(("case_id", "longest"), [(BEHIND_VIRTUAL_TOKENS, 488), (PADDED_AFTER_FULL, 512)])
def test_no_row_is_longer_than_there_are_positions(case_id, longest):
    found = ran(case_id)
    assert any(reason.startswith(f"rows end at {longest} tokens, the most") for reason in found["reasons"])
    assert found["exact"]["step_shape"] == [2, longest]


def test_virtual_tokens_that_leave_no_room_are_refused():
    recipe = recipe_for(parse_case(BEHIND_VIRTUAL_TOKENS), virtual_tokens=505)
    with pytest.raises(Unsupported, match="505 virtual tokens leave less than 8 of"):
        run_case(CaseWork(parse_case(BEHIND_VIRTUAL_TOKENS), recipe).to_plain(), silent)
