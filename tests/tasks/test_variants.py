"""Variants: a table in a recipe file is a task with the difference, slow, of LoRA alone, and with ids of its own."""

from pathlib import Path

import pytest

from bench.core.case import Case, parse_case
from bench.core.files import BadFile
from bench.core.paths import RECIPES
from bench.plan.selection import Selection, all_cases, is_smoke
from bench.recipes.files import variants_of
from bench.recipes.of_case import recipe_for
from bench.tasks import TASKS

VARIANTS = [task for task in TASKS if task.variant_of]


def test_variants_are_those_of_the_recipe_files():
    named = {
        f"{path.stem}_{name}"
        for path in RECIPES.glob("*.toml")
        if path.stem in TASKS
        for name in variants_of(path.stem)
    }
    assert {task.name for task in VARIANTS} == named
    assert {"support_1x8", "support_8x1", "medqa_r4", "alpaca_500"} <= named


def test_variant_differs_from_its_parent_in_its_table_alone():
    parent = recipe_for(parse_case("support-gpt2-lora-cpu-s0"), "full")
    own = recipe_for(parse_case("support_2x4-gpt2-lora-cpu-s0"), "full")
    changed = {name for name in vars(own) if getattr(own, name) != getattr(parent, name)}
    assert changed == {"batch_size", "gradient_accumulation_steps", "max_steps", "length_bucketing",
                       "evaluation_examples"}  # fmt: skip
    assert (own.batch_size, own.gradient_accumulation_steps) == (2, 4)


def test_batch_variants_share_the_effective_batch():
    cases = [Case(f"support_{name}", "gpt2", "lora", "cpu") for name in ("1x8", "2x4", "4x2", "8x1")]
    recipes = [recipe_for(case, size) for case in cases for size in ("sample", "full")]
    assert {recipe.batch_size * recipe.gradient_accumulation_steps for recipe in recipes} == {8}


def test_variants_run_lora_and_only_when_asked_for():
    cases = [case for case in all_cases(Selection()) if TASKS[case.task].variant_of]
    assert {case.method for case in cases} == {"lora"}
    assert not any(is_smoke(case, Selection()) for case in cases)
    named = Selection(tasks=("support_1x8",), devices=("cpu",), models=("smollm2_135m", "gpt2"))
    assert [case.id for case in all_cases(named)] == [
        "support_1x8-smollm2_135m-lora-cpu-s0",
        "support_1x8-gpt2-lora-cpu-s0",
    ]
    assert all(is_smoke(case, named) for case in all_cases(named))


def write(folder, text):
    for path in RECIPES.glob("*.toml"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "pos.toml").write_text(text, encoding="utf-8")
    return folder


def test_mistake_in_a_variant_names_file_and_table(tmp_path: Path):
    folder = write(tmp_path, "[variants.long]\nepoch = 9\n")
    with pytest.raises(BadFile, match=r"pos.toml \[variants\].long: no hyperparameter 'epoch'; did you mean epochs"):
        recipe_for(parse_case("pos_long-minilm_l6-lora-cpu-s0"), "sample", folder)


def test_what_is_no_variant_has_the_defaults(tmp_path: Path):
    folder = write(tmp_path, "[variants.long]\nepochs = 9\n")
    assert recipe_for(parse_case("pos_long-minilm_l6-lora-cpu-s0"), "sample", folder).epochs == 9
    assert recipe_for(parse_case("pos_short-minilm_l6-lora-cpu-s0"), "sample", folder).epochs == 3
