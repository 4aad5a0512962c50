"""The options for a person's own files: what they register, which thresholds they name, and what pytest's header says."""

from types import SimpleNamespace

import pytest

from bench.core.files import BadFile
from bench.judge.thresholds import OWN_FILE, read_thresholds
from bench.plan.own import FILE, Own
from bench.plugin.own import header_of, read_own, thresholds_of
from bench.tasks import TASKS

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
