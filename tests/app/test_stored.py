"""Runs for pages: read again only when they change, whatever is damaged, and nothing from outside their folder."""

import json
import shutil
import time
from dataclasses import replace

import pytest
from compared_runs import committed, run_of
from kept_manifests import KEPT
from run_files import append_record

from bench.app import stored
from bench.app.stored import kept_folders, run_folders, stored_runs
from bench.core.paths import COMMITTED, is_inside
from bench.records.kept import MANIFEST
from bench.records.run_progress import FILE as PROGRESS

POS = "pos-minilm_l6-lora-cpu-s0"
TWENTY, SECONDS = 20, 1.0


@pytest.fixture
def folder(tmp_path):
    """A folder with one run."""
    run_of(tmp_path / "runs" / "mine", [committed()[POS]])
    return tmp_path / "runs"


def test_a_run_is_read_again_when_a_file_of_it_has_changed(folder, monkeypatch):
    read = []
    real = stored.read_files
    monkeypatch.setattr(stored, "read_files", lambda *args: (read.append(args[0]), real(*args))[1])
    first = stored_runs((folder,))["mine"]
    assert stored_runs((folder,))["mine"] is first
    append_record(folder / "mine" / "records.jsonl", replace(committed()[POS], case=POS.replace("s0", "s1")))
    assert len(stored_runs((folder,))["mine"].records) == 2
    (folder / "mine" / "claims.json").write_text("[]", encoding="utf-8")
    stored_runs((folder,))
    assert read == ["mine"] * 3


def test_twenty_runs_are_read_within_a_second(tmp_path):
    for number in range(TWENTY):
        shutil.copytree(COMMITTED / "smoke", tmp_path / f"run{number:02}")
    began = time.process_time()
    assert len(stored_runs((tmp_path,))) == TWENTY
    assert time.process_time() - began < SECONDS


def test_the_newest_run_of_a_time_is_on_top_and_the_others_follow_by_name(folder):
    for name in ("b", "a", "20260102T000000-x", "20260103T000000-x"):
        run_of(folder / name, [])
    assert list(stored_runs((folder,))) == ["20260103T000000-x", "20260102T000000-x", "a", "b", "mine"]


def test_what_is_damaged_is_a_complaint_and_the_rest_is_shown(folder):
    with (folder / "mine" / "records.jsonl").open("a", encoding="utf-8") as file:
        file.write("{\n")
    for name in ("run.json", "tests.json", "claims.json"):
        (folder / "mine" / name).write_text("{", encoding="utf-8")
    run = stored_runs((folder,))["mine"]
    assert list(run.records) == [POS]
    assert [next(name for name in ("records", "run.json", "tests", "claims") if name in one) for one in run.complaints] == [
        "records", "run.json", "tests", "claims"
    ]  # fmt: skip


def test_a_run_that_has_only_begun_has_no_records(folder):
    (folder / "begun").mkdir()
    (folder / "begun" / "run.json").write_text("{}", encoding="utf-8")
    assert stored_runs((folder,))["begun"].records == {}


@pytest.mark.parametrize("linked", ["run", "records.jsonl", "run.json", PROGRESS])
def test_a_link_that_leads_out_of_the_folder_is_no_run(linked, folder, tmp_path):
    elsewhere = run_of(tmp_path / "elsewhere", [committed()[POS]])
    if linked == "run":
        (folder / "linked").symlink_to(elsewhere)
    else:
        shutil.copytree(elsewhere, folder / "linked")
        (tmp_path / "secret").write_text("{}", encoding="utf-8")
        (folder / "linked" / linked).unlink(missing_ok=True)
        (folder / "linked" / linked).symlink_to(tmp_path / "secret")
    assert list(run_folders((folder,))) == ["mine"]


def test_kept_adapters_are_those_of_runs_and_those_copied_beside_them(folder, tmp_path):
    outside = tmp_path / "outside"
    for place in (folder / "mine" / "adapters" / "case", folder / "copied", outside):
        place.mkdir(parents=True)
        (place / MANIFEST).write_text(KEPT.to_text(), encoding="utf-8")
    (folder / "mine" / "adapters" / "linked").symlink_to(outside)
    assert list(kept_folders((folder,))) == ["mine/case", "copied"]


@pytest.mark.parametrize(
    ("path", "inside"), [("mine", True), ("mine/../mine", True), ("..", False), ("../../etc", False), ("/etc", False)]
)
def test_a_path_is_inside_only_if_it_lies_there(path, inside, folder):
    assert is_inside(folder / path, (folder,)) is inside


def test_a_record_that_names_predictions_elsewhere_is_refused(folder, tmp_path):
    (tmp_path / "secret").write_text(json.dumps({"secret": 1}), encoding="utf-8")
    record = replace(committed()[POS], predictions="../../secret")
    append_record(folder / "mine" / "records.jsonl", record)
    (one,) = stored_runs((folder,))["mine"].stored
    with pytest.raises(ValueError, match="its predictions are outside the run's folder"):
        _ = one.examples


@pytest.mark.parametrize(
    ("file", "part"), [("", "examples"), (".probes", "probe_answers"), (".before", "predictions_before")]
)
def test_predictions_that_are_a_link_out_of_the_run_are_refused(file, part, folder, tmp_path):
    (tmp_path / "secret").write_text(json.dumps({"secret": 1}), encoding="utf-8")
    place = folder / "mine" / "predictions" / f"{POS}{file}.jsonl"
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(tmp_path / "secret")
    (one,) = stored_runs((folder,))["mine"].stored
    with pytest.raises(ValueError, match="its predictions are outside the run's folder"):
        getattr(one, part)
