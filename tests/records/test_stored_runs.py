"""A run is found by folder, name, prefix or `latest`, among a person's own and those of the project."""

import pytest

from bench.records import stored_runs
from bench.records.stored_runs import committed_runs, find_run

OWN = ("20261126T003552-cpu", "20261127T003552-cpu", "mine")
PROJECT = ("smoke", "seeds-1", "seeds-2", "20260101T000000-checkout")


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for place, names in (("RUNS", OWN), ("COMMITTED", PROJECT)):
        for name in names:
            (tmp_path / place / name).mkdir(parents=True)
            (tmp_path / place / name / "records.jsonl").touch()
        monkeypatch.setattr(stored_runs, place, tmp_path / place)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RUNS/mine", "RUNS/mine"),
        ("mine", "RUNS/mine"),
        ("smoke", "COMMITTED/smoke"),
        ("smo", "COMMITTED/smoke"),
        ("20261127", "RUNS/20261127T003552-cpu"),
        ("latest", "RUNS/20261127T003552-cpu"),
    ],
)
def test_a_run_is_found(text, found, folders):
    assert find_run(text).resolve() == folders / found


def test_a_persons_run_comes_before_the_projects_of_the_same_name(folders):
    (folders / "RUNS" / "smoke").mkdir()
    (folders / "RUNS" / "smoke" / "records.jsonl").touch()
    assert find_run("smoke") == folders / "RUNS" / "smoke"


def test_a_whole_name_is_not_taken_for_a_prefix(folders):
    (folders / "RUNS" / "seeds").mkdir()
    (folders / "RUNS" / "seeds" / "records.jsonl").touch()
    assert find_run("seeds") == folders / "RUNS" / "seeds"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds", r"^seeds: 2 runs begin with it, seeds-1, seeds-2; give more of the name$"),
        ("yesterday", r"^yesterday: no run with a records.jsonl there; runs are 20260101T000000-checkout, 20261126"),
    ],
)
def test_what_is_no_run_is_one_sentence(text, says):
    with pytest.raises(ValueError, match=says):
        find_run(text)


def test_latest_without_a_run_of_ones_own_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(stored_runs, "RUNS", tmp_path / "none")
    with pytest.raises(ValueError, match="latest: no run of yours in .*none yet"):
        find_run("latest")


def test_the_projects_runs_are_those_not_named_by_a_time():
    assert [path.name for path in committed_runs()] == ["seeds-1", "seeds-2", "smoke"]
