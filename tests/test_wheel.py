"""The wheel works outside the checkout: from an empty folder, read-only, at a path with a space, beside other tests."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from own_folders import LLAMA, write_model, write_tickets
from page_listings import replay, text_of

from bench import __version__
from bench.core.paths import COMMITTED, ROOT
from bench.records.record import read_records

JOURNEY = "journeys/own-model-and-data.md"
MINUTES = 5  # of computing that the journey may take; what a busy machine adds is not counted
SOURCES = ("bench", "suites", "fixtures", "results", "pyproject.toml", "setup.py", "README.md")
FIRST_ROWS = re.compile(r"\$ head -n 2 tickets\.jsonl\n(.*?)(?=\$|```)", re.DOTALL)
TINY = ("--tasks", "support", "--models", "tiny_llama", "--methods", "lora", "--devices", "cpu")
THEIR_PYTEST = "[pytest]\naddopts = --an-option-of-theirs\nmarkers = theirs\ntestpaths = theirs\n"
THEIR_CONFTEST = "raise RuntimeError('the conftest.py of the current folder was loaded')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel; from a copy, for setuptools writes beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "source").mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / "source" / name)
    isolation = ["--no-build-isolation"] if find_spec("setuptools") else []
    command = [sys.executable, "-m", "pip", "wheel", *isolation, "--no-deps", "-q", "-w", folder, folder / "source"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"pip could not build the wheel: {done.stderr[-2000:]}"
    (found,) = folder.glob("lorabench-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """lorabench's console script in a new environment, read-only and at a path with a space, where pip installed the wheel.

    The heavy libraries are those of this environment, by a path file: installing torch again would take minutes.
    """
    folder = tmp_path_factory.mktemp("installed") / "read only"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "-q", wheel]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True)
    assert done.returncode == 0, f"pip could not install the wheel: {done.stderr[-2000:]}"
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    paths = [path for path in [folder, *folder.rglob("*")] if not path.is_symlink()]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(modes[path] & 0o555)
    yield folder / "bin" / "lorabench"
    for path in paths:
        path.chmod(modes[path])
    now = {path for path in [folder, *folder.rglob("*")] if not path.is_symlink()}
    assert now == set(paths), "something was written into the installation"


def surroundings(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LORABENCH_", "GITHUB_", "PY"))}
    return {
        **kept, "PYTHONDONTWRITEBYTECODE": "1", "LORABENCH_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip


@pytest.fixture
def lorabench(installed, tmp_path):
    """Runs lorabench's console script in a folder that holds only another project's settings of pytest."""
    stands = tmp_path / "stands here"
    stands.mkdir()
    (stands / "pytest.ini").write_text(THEIR_PYTEST, encoding="utf-8")
    (stands / "conftest.py").write_text(THEIR_CONFTEST, encoding="utf-8")
    (stands / "bench").mkdir()
    (stands / "bench" / "__init__.py").write_text("raise RuntimeError('another package')\n", encoding="utf-8")

    def run(*words):
        done = subprocess.run(
            [installed, *words], cwd=stands, env=surroundings(tmp_path), capture_output=True, text=True
        )
        return SimpleNamespace(code=done.returncode, text=done.stdout + done.stderr, out=done.stdout, stands=stands)

    return run


def test_wheel_holds_what_suites_read_and_no_run_of_a_persons_own(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [path for folder in ("suites", "fixtures") for path in (ROOT / folder).rglob("*.*") if path.suffix != ".pyc"]
    runs = list(COMMITTED.glob("[!0-9]*/**/*.json*"))
    assert {f"bench/shipped/{path.relative_to(ROOT)}" for path in [*data, *runs]} <= names
    assert {f"bench/report/template/report.{kind}" for kind in ("html", "css", "js")} <= names
    assert not [name for name in names if name.startswith("bench/shipped/results/runs/2")]
    assert not [name for name in names if name.split("/")[0] not in ("bench", f"lorabench-{__version__}.dist-info")]


def test_version_and_list(lorabench):
    assert lorabench("--version").out == f"lorabench {__version__}\n"
    listed = lorabench("list", "tasks")
    assert listed.code == 0
    assert "support" in listed.out
    assert "next: lorabench test --collect-only -q lists the cases" in listed.text


def test_help_of_test_is_pytests(lorabench):
    done = lorabench("test", "--help")
    assert done.code == 0
    assert done.out.startswith("usage: lorabench test [options]")
    for option in ("--devices", "--durations", "--benchmark-autosave"):
        assert option in done.out


def test_all_suites_are_collected_from_an_empty_folder(lorabench):
    done = lorabench("test", "--collect-only", "-q", "--devices", "cpu", "--methods", "lora", "--probes", "all")
    assert done.code == 0, done.text
    named = {path.name for path in (ROOT / "suites").glob("test_*.py")} - {"test_regression.py"}  # needs --baseline
    assert named == {line.split("::")[0].removeprefix("suites/") for line in done.out.splitlines() if "::" in line}


@pytest.mark.parametrize("named", ["test_speed.py", "suites/test_speed.py::test_training_step"])
def test_a_suite_is_named_by_its_file(named, lorabench):
    done = lorabench("test", named, "--collect-only", "-q", "-k", "cpu")
    found = [line for line in done.out.splitlines() if "::" in line]
    assert found
    assert all(line.startswith("suites/test_speed.py::test_training_step[") for line in found)


def test_exit_code_is_pytests(lorabench):
    assert lorabench("test", "-k", "no_such_case").code == pytest.ExitCode.NO_TESTS_COLLECTED
    refused = lorabench("test", "--methods", "lorra")
    assert refused.code == pytest.ExitCode.USAGE_ERROR
    assert "did you mean lora" in refused.text


def test_a_case_runs_and_its_run_lies_in_the_current_folder(lorabench):
    done = lorabench("test", "test_cost.py", *TINY)
    assert done.code == 0, done.text
    (run,) = (done.stands / "lorabench-runs").iterdir()
    assert f"records: lorabench-runs/{run.name}\n" in done.out
    (record,) = read_records(run / "records.jsonl")[0].values()
    assert record.ok
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert about["command"] == ["lorabench", "test", "test_cost.py", *TINY]
    assert about["machine"]["commit"] is None
    assert record.case in lorabench("table", "latest").out


def test_a_committed_run_is_judged_again(lorabench):
    done = lorabench("test", "--replay", "smoke", "test_quality.py", "-q")
    assert done.code == 0, done.text
    assert " passed" in done.out


def test_what_writes_the_projects_files_is_refused(lorabench):
    done = lorabench("census")
    assert done.code == 2
    assert "run it in a checkout, not in an installation" in done.text


def seconds_of_programs():
    """Seconds of processor time that programs started here have used, and those that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_own_model_and_data_come_to_a_judged_case(installed, tmp_path):
    """The page of the journey, its commands run in a folder that holds a model, rows and the page's file."""
    folder = tmp_path / "own"
    folder.mkdir()
    text = text_of(JOURNEY)
    write_model(folder / "my-model", LLAMA)
    write_tickets(folder)
    assert (folder / "tickets.jsonl").read_text(encoding="utf-8").startswith(FIRST_ROWS.search(text)[1])
    began = seconds_of_programs()
    assert len(replay(text, folder, [installed], surroundings(tmp_path))) >= 4
    assert seconds_of_programs() - began < MINUTES * 60


def test_a_checkout_has_no_copy_of_what_is_shipped():
    assert not (Path(ROOT) / "bench" / "shipped").exists()
