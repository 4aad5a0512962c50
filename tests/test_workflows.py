"""The GitHub Actions workflows of docs/workflows: what their steps run works outside GitHub too, on a tiny case."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bench.core.paths import ROOT
from bench.records.record import read_records

FOLDER = ROOT / "docs" / "workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yml"))}
TINY = "--devices cpu --tasks pos --models tiny_bert --methods lora -k test_re"  # all of test_regression.py, and test_reads_back
EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")
KNOWN = {"inputs.device": "cpu", "inputs.upgrade": "nothing"}


def steps_of(workflow):
    """The steps with an id, which run lorabench; others install, or are actions of GitHub."""
    return {step["id"]: step for job in workflow["jobs"].values() for step in job["steps"] if "id" in step}


def environment_of(workflow, folder):
    """The workflow's environment with its expressions evaluated, as GitHub gives it to a step."""
    values = {**KNOWN, "github.workspace": str(folder)}
    return {name: EXPRESSION.sub(lambda found: values[found[1]], str(value)) for name, value in workflow["env"].items()}


def run_step(workflow, step, folder, **more):
    """The step as GitHub's runner runs it: by bash, which ends at the first error."""
    environment = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("LORABENCH_", "GITHUB_", "OMP_", "PYTEST_"))
    } | environment_of(workflow, folder) | more  # fmt: skip
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT / "tests")])  # lorabench is installed there
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like the checkout and that steps may write to."""
    for path in ROOT.iterdir():
        if path.name in ("bench", "suites", "fixtures", "results", "conftest.py", "pyproject.toml"):
            (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.mark.parametrize("name", WORKFLOWS)
def test_steps_that_run_lorabench_have_an_id_by_which_they_are_tested(name):
    for job in WORKFLOWS[name]["jobs"].values():
        for step in job["steps"]:
            assert ("id" in step) is bool(
                re.search(r"^\s*(pytest|python -m bench|lorabench)\b", step.get("run", ""), re.M)
            )


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_is_written_as_github_reads_it(name):
    actionlint = shutil.which("actionlint", path=str(Path(sys.executable).parent)) or shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint is not installed")
    done = subprocess.run([actionlint, "-no-color", FOLDER / f"{name}.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_upgrade_is_judged(checkout):
    workflow = WORKFLOWS["upgrade"]
    steps = steps_of(workflow)
    assert list(steps) == ["before", "after", "compare"]
    assert "--allow-inconclusive" not in steps["compare"]["run"]  # a suspect that points to a loss must not pass
    for name, step in steps.items():
        done = run_step(workflow, step, checkout, SELECTION=TINY)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    runs = sorted((checkout / "lorabench-runs").iterdir())
    assert [run.name.partition("-")[2] for run in runs] == ["before", "after"]
    assert [list(read_records(run / "records.jsonl")[0]) for run in runs] == [["pos-tiny_bert-lora-cpu-s0"]] * 2
    assert (checkout / "lorabench.xml").exists()


def test_machines_are_compared(checkout):
    """Of stored records, for the steps of an upgrade train already."""
    said = ""
    for step in steps_of(WORKFLOWS["compare-machines"]).values():
        done = run_step(WORKFLOWS["compare-machines"], step, checkout, PYTEST_ADDOPTS="-p stored_benchmarks",
                        LORABENCH_RUNS=str(checkout / "runs"))  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
    assert "memory, work and quality: then 0001_first" in said
    assert len(list((checkout / "benchmarks").rglob("*.json"))) == 2
