"""Nothing asks an entry by its name: renamed, it does what it did before."""

import ast
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from bench.core.case import Case
from bench.core.paths import ROOT
from bench.core.work import CaseWork
from bench.executor import Executor
from bench.machine.devices import Card
from bench.methods import METHODS
from bench.methods.parameters import formula
from bench.methods.tolerances import reload_tolerance, rounding_tolerance, start_tolerance
from bench.models import DECODER, ENCODER, MODELS
from bench.models.families import FAMILIES
from bench.models.shapes import positions
from bench.plan.options import Options
from bench.plan.plan import Plan
from bench.plan.room_on_card import too_small
from bench.plan.selection import Selection, all_cases
from bench.predict.formula.closed_form import NoClosedForm, closed_form
from bench.predict.question import Question
from bench.probes import PROBES
from bench.recipes.of_case import recipe_for
from bench.tasks import TASKS

RENAMED = "renamed_{}".format
TINY = {entry.family_name: entry for entry in MODELS if entry.tiny and not entry.default_task}
LABELS = {ENCODER: 5, DECODER: 0}
CARD = Card("Tesla T4", 15_000_000_000, 14_000_000_000, "580")


@contextmanager
def renamed(registry, name, **changes):
    """The registry's entry once more, under another name."""
    new = RENAMED(name)
    registry.put(new, replace(registry[name], name=new, **changes))
    try:
        yield registry[new]
    finally:
        registry.remove(new)


@contextmanager
def renamed_family(name):
    """A tiny model of the family, once more, of a family with another name."""
    FAMILIES[RENAMED(name)] = FAMILIES[name]
    try:
        with renamed(MODELS, TINY[name].name, family_name=RENAMED(name)) as model:
            yield model
    finally:
        del FAMILIES[RENAMED(name)]


def facts_of(model, method):
    """What the formulas make of this pair, without its names."""
    if refusal := method.refusal(model):
        return refusal.replace(method.name, "").replace(model.name, "")
    recipe = recipe_for(Case("support", "tiny_llama", "lora", "cpu"), precision="bfloat16", max_length=64)
    question = Question(model, method, recipe, LABELS[model.kind])
    try:
        bytes_predicted = closed_form(question).phases
    except NoClosedForm as error:
        bytes_predicted = str(error).replace(method.name, "").replace(model.name, "")
    return (
        bytes_predicted,
        formula(model, method, recipe, LABELS[model.kind]),
        method.longest_row(model, recipe),
        positions(model),
        start_tolerance(method, model, "bfloat16", 0.1),
        reload_tolerance(method, model, "bfloat16"),
        rounding_tolerance(method, model, "bfloat16"),
    )


@pytest.mark.parametrize("name", METHODS.names())
def test_a_renamed_method_has_the_same_formulas(name):
    with renamed(METHODS, name) as method:
        for model in TINY.values():
            assert facts_of(model, method) == facts_of(model, METHODS[name]), model.name


@pytest.mark.parametrize("name", FAMILIES)
def test_a_renamed_family_has_the_same_formulas(name):
    with renamed_family(name) as model:
        for method in METHODS:
            assert facts_of(model, method) == facts_of(TINY[name], method), method.name


@pytest.fixture
def all_renamed():
    """A case whose task, model, family, method and probe have other names, and the case it was."""
    with ExitStack() as stack:
        items = [replace(item, family=RENAMED("source003")) for item in PROBES["source003"].run()]
        stack.enter_context(renamed(PROBES, "source003", run=lambda: items))
        model = stack.enter_context(renamed_family("gpt2"))
        method = stack.enter_context(renamed(METHODS, "adalora"))
        task = stack.enter_context(renamed(TASKS, "support", probes=(RENAMED("source003"),)))
        yield (
            Case(task.name, model.name, method.name, "cpu"),
            Case("support", TINY["gpt2"].name, "adalora", "cpu"),
        )


def test_a_renamed_method_is_refused_by_the_same_card():
    recipe = recipe_for(Case("alpaca", "llama31_70b", "qlora", "cuda"))
    with renamed(METHODS, "qlora") as method:
        cases = [Case("alpaca", "llama31_70b", name, "cuda") for name in (method.name, "qlora")]
        whys = [too_small(case, recipe, (CARD,)) for case in cases]
    assert whys[0] == whys[1] != ""


def test_renamed_entries_are_planned_alike(all_renamed):
    case, before = all_renamed
    selection = Selection(tasks=(case.task,), models=(case.model,), methods=(case.method,), devices=("cpu",))
    options = Options(selection=selection, entries=(), mirror=None, data="sample", engine="bench", synthetic=False,
                      probes=("facts",), lm_eval=(), resume=None, replay=None, case_timeout=None, workers=1)  # fmt: skip
    assert all_cases(selection) == [case]
    plan = Plan(options, Executor.resources)
    assert plan.probes(case) == ("facts", RENAMED("source003"))
    assert plan.work(case).threads == plan.work(before).threads


def test_a_renamed_case_gives_the_same_figures(all_renamed, tmp_path, monkeypatch):
    from bench.worker.case import run_case

    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path))
    case, before = all_renamed
    recipe = recipe_for(before, max_steps=3, train_examples=8, evaluation_examples=2, batch_size=2)
    found, expected = (
        run_case(CaseWork(one, recipe, probes=probes).to_plain(), lambda said: None)
        for one, probes in ((case, (RENAMED("source003"),)), (before, ()))  # asking leaves no trace in what is compared
    )
    for part in ("exact", "losses", "quality", "quality_before", "evidence", "examples"):
        assert found[part] == expected[part], part
    assert [reason.replace(RENAMED(""), "") for reason in found["reasons"]] == expected["reasons"]
    assert {row["family"] for row in found["probe_answers"]} == {RENAMED("source003")}


# Text that is compared with an entry's name and is none of it, or must be: (module, the name) -> why.
ALLOWED = {
    ("bench.models.of_config", "llama"): "transformers' model_type",
    ("bench.models.of_config", "gemma3"): "transformers' model_type",
    ("bench.sources.tokenizer", "roberta"): "transformers' model_type",
    ("bench.worker.ask.decoding", "mistral"): "transformers' model_type",
    ("bench.records.record", "pos"): "records of that task have kept metrics under names that mean another thing today",
    ("suites.test_speed", "lora"): "selects the cases that are timed, as -k would",
    ("suites.test_speed", "pos"): "selects the cases that are timed, as -k would",
    ("suites.test_speed", "support"): "selects the cases that are timed, as -k would",
    ("suites.test_probes", "smollm2_135m"): "the suite asserts what this task cures in this model",
    ("suites.test_probes", "numbers"): "the suite asserts what this task cures in this model",
    ("suites.test_probes", "facts"): "the suite asserts what this family of probes must keep",
}
SIZES_TOO = {"full"}  # a method, and a size of data
NAMES = {*METHODS.names(), *MODELS.names(), *FAMILIES, *TASKS.names(), *PROBES.names()} - SIZES_TOO


def compared_names(path):
    """Names of entries that the module compares something with, or looks something up by."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            parts = [part for one in operands for part in (one.elts if isinstance(one, ast.Tuple | ast.Set) else [one])]
            yield from (part.value for part in parts if isinstance(part, ast.Constant) and part.value in NAMES)


def test_no_module_compares_with_the_name_of_an_entry():
    files = [*(ROOT / "bench").rglob("*.py"), *(ROOT / "suites").glob("*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}
    found = {(module, name) for module, path in modules.items() for name in compared_names(path)}
    assert found - ALLOWED.keys() == set(), "state a fact on the entry and ask that"
    assert ALLOWED.keys() - found == set(), "it is not compared any more; take it out of ALLOWED"
