"""The contract with a worker: what is planned is what arrives."""

import importlib
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bench.core.case import parse_case
from bench.core.work import LOOK_INTO_MODELS, PRELOAD_FOR_CASES, RUN_CASE, STEPPER, CaseWork
from bench.recipes.of_case import recipe_for

CASE = parse_case("support-tiny_llama-lora-cpu-s3")
WORK = CaseWork(
    case=CASE,
    recipe=recipe_for(CASE),
    mirror=Path("a folder/mirror"),
    synthetic=True,
    probes=("decimals", "facts"),
    lm_eval=("arc_easy",),
    threads=2,
    emulate="laptop=7.5",
    keep="adapter",
    keep_in=Path("a run/adapters/its case"),
)


@pytest.mark.parametrize("work", [WORK, CaseWork(CASE, recipe_for(CASE))], ids=["every field", "defaults"])
def test_work_comes_back_from_json_as_it_was(work):
    assert CaseWork.from_plain(json.loads(json.dumps(work.to_plain()))) == work


def test_every_field_of_the_work_travels():
    default = CaseWork(replace(CASE, seed=0), recipe_for(CASE, max_steps=1))
    assert WORK.to_plain().keys() == {field.name for field in fields(CaseWork)}
    assert all(WORK.to_plain()[name] != value for name, value in default.to_plain().items())


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"case": "lora"}, ValueError), ({"recipe": {"rank": 8}}, TypeError), ({"emulates": "t4"}, TypeError)],
)
def test_work_with_a_wrong_field_is_refused(changes, error):
    with pytest.raises(error):
        CaseWork.from_plain({**WORK.to_plain(), **changes})


@pytest.mark.parametrize("function", [RUN_CASE, STEPPER, LOOK_INTO_MODELS])
def test_a_worker_has_the_functions_that_jobs_name(function):
    module, _, name = function.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("function", [RUN_CASE, STEPPER])
def test_modules_that_run_cases_are_imported_once(function):
    assert function.partition(":")[0] in PRELOAD_FOR_CASES
