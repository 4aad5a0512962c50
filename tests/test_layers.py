"""The house has floors: a module imports only from lower ones, and pytest's side stays without torch."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from bench.places import ROOT

LAYERS = (
    "__init__", "places", "outside_text", "tables", "timeline", "registry", "case", "devices", "recipe", "cards", "record", "stored_runs", "basis",  # plain data
    "prompts", "probes", "models", "methods", "case_recipe", "sources", "tasks", "tokenizers",  # entries, and their rows
    "precision", "tolerances", "matrix", "thresholds", "unjudged", "report", "probe_report", "score", "epoch_report", "rescore", "picture",
    "pages", "packing", "lean", "build", "measure", "losses", "chunks", "batches", "train", "trainer_engine", "emulation",
    "evaluate", "generation", "prefix_tree", "caches", "onednn", "decoding", "asking", "lm_evaluation", "probing", "evidence", "setting", "figures",
    "run", "stepper", "late_imports",  # the work
    "predict", "utilisation_report",  # its cost without a card
    "structure", "executor", "engines", "claims", "plugin", "commands", "__main__",  # pytest's side
)  # fmt: skip
HEAVY = {"torch", "transformers", "peft", "datasets", "bitsandbytes", "accelerate", "lm_eval", "fvcore", "sklearn"}
LIGHT = (
    "__init__", "places", "outside_text", "tables", "timeline", "registry", "case", "recipe", "cards", "record", "stored_runs", "basis", "prompts", "probes", "models", "methods",
    "case_recipe", "sources", "devices", "tasks", "tokenizers", "matrix", "thresholds", "unjudged", "report", "probe_report", "score", "epoch_report", "rescore",
    "picture", "pages", "predict", "executor", "engines", "claims", "plugin",
    "commands", "__main__",
)  # fmt: skip
IN_A_WORKER = {  # the heavy part of a light layer
    "predict/trace.py", "predict/following.py", "predict/fake.py", "predict/as_cuda.py", "predict/course.py",
}  # fmt: skip
TURNS = 5
MOST_SECONDS = 2
MOST_TIMES = 2  # as long as pytest takes over as many tests that do nothing, where that takes long
BARE = "import pytest\n@pytest.mark.parametrize('number', range({tests}))\ndef test_nothing(number): pass\n"
COLLECT = """
import json, sys, time
import pytest

class Listing:
    def pytest_collection_finish(self, session):
        self.tests = len(session.items)
        self.ids = [item.callspec.params["case"].id for item in session.items if "case" in item.callspec.params]

listing, began = Listing(), time.perf_counter()
code = pytest.main([sys.argv[1], "--collect-only", "-q", "-p", "no:cacheprovider"], plugins=[listing])
seconds = time.perf_counter() - began
found = {"code": code, "seconds": seconds, "ids": listing.ids, "tests": listing.tests, "modules": sorted(sys.modules)}
print("\\n" + json.dumps(found))
"""


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT / "bench").with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """Full names of what a file imports at module level, in conditions and tries too; not inside functions."""
    names, waiting = set(), list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return names


def named(path: Path) -> str:
    return str(path.relative_to(ROOT / "bench"))


FILES = sorted((ROOT / "bench").rglob("*.py"))
LIGHT_FILES = [path for path in FILES if layer_of(path) in LIGHT and named(path) not in IN_A_WORKER]


def collected(folder, tests):
    """What pytest says of collecting these in a process of its own."""
    done = subprocess.run([sys.executable, "-c", COLLECT, tests], cwd=folder, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def collection():
    """What a collection of the suites says."""
    return collected(ROOT, "suites")


def test_every_module_has_a_layer():
    assert {layer_of(path) for path in FILES} - set(LAYERS) == set(), "name it in LAYERS"
    assert len(set(LAYERS)) == len(LAYERS)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_module_imports_from_lower_layers_alone(path):
    higher = set(LAYERS[LAYERS.index(layer_of(path)) + 1 :])
    used = {name.split(".")[1] for name in imported(path) if name.startswith("bench.")}
    assert used & higher == set()


@pytest.mark.parametrize("path", LIGHT_FILES, ids=named)
def test_pytests_side_imports_nothing_heavy(path):
    assert {name.split(".")[0] for name in imported(path)} & HEAVY == set()


def test_nothing_is_imported_relatively():
    assert not [path for path in FILES if any(name.startswith(".") for name in imported(path))]


def test_suites_collect(collection):
    assert collection["code"] == 0


def test_suites_have_at_least_80_cases(collection):
    assert len(set(collection["ids"])) >= 80


def test_collecting_takes_two_seconds_or_little_longer_than_pytest_itself_does(collection, tmp_path):
    """A slow machine took 1.5 to 2.3 s over 4,456 tests, 1.3 to 1.5 times pytest's own; a quick one 0.9 s, twice its own.

    Measured in turns, for a machine is not always alike.
    """
    (tmp_path / "test_bare.py").write_text(BARE.format(tests=collection["tests"]), encoding="utf-8")
    turns = [(collected(ROOT, "suites"), collected(tmp_path, "test_bare.py")) for _ in range(TURNS)]
    assert {bare["tests"] for _, bare in turns} == {collection["tests"]}
    own, bare = (median(one["seconds"] for one in side) for side in zip(*turns, strict=True))
    assert own <= max(MOST_SECONDS, MOST_TIMES * bare)


def test_collecting_imports_nothing_heavy(collection):
    assert HEAVY & {name.split(".")[0] for name in collection["modules"]} == set()
