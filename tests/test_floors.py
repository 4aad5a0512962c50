"""The oldest releases that pyproject.toml allows are those of constraints-floors.txt, with which CI runs."""

import re
import tomllib

import pytest

from bench.core.paths import ROOT

DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
FLOOR = re.compile(r"(?P<name>[\w.-]+)>=(?P<version>[\w.]+)")
LINE = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[\w.]+)", re.M)


def constrained(file):
    """Every version that the file of constraints names, by distribution."""
    return dict(LINE.findall((ROOT / file).read_text(encoding="utf-8")))


@pytest.mark.parametrize("dependency", [one for one in DEPENDENCIES if not one.startswith("torch>")])
def test_floor_is_the_release_that_ci_runs(dependency):
    floor = FLOOR.fullmatch(dependency)
    assert floor, f"{dependency} must be NAME>=VERSION: without a floor nobody knows which releases work"
    assert constrained("constraints-floors.txt").get(floor["name"]) == floor["version"], (
        f"pyproject.toml allows {dependency}, and constraints-floors.txt has another release or none; "
        "change both, and run tox run -e floors"
    )


def test_torch_is_the_pinned_one():
    """An older torch is served with CUDA alone, which is gigabytes, so the floors run with the torch of constraints.txt."""
    assert constrained("constraints-floors.txt")["torch"] == constrained("constraints.txt")["torch"]


def test_no_floor_is_above_the_pinned_release():
    pinned, floors = constrained("constraints.txt"), constrained("constraints-floors.txt")
    above = {name for name in floors.keys() & pinned.keys() if numbers_in(floors[name]) > numbers_in(pinned[name])}
    assert not above, f"constraints.txt pins an older release than the floor of {', '.join(sorted(above))}"


def numbers_in(version):
    return [int(number) for number in re.findall(r"\d+", version)]


def test_ci_runs_the_floors():
    assert "tox run -e floors" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
