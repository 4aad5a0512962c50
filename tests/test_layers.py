"""The house has floors: each room's `__init__` says what it may import, and pytest's side stays without torch.

The last paragraph of a room's docstring is "May import: ROOM, ROOM." This file reads it and holds no list of its own.
A folder without that sentence has its parent's. Imports inside functions count too, except where a rule names
module level.
"""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from statistics import median

import pytest

from bench.core.paths import ROOT

BENCH = ROOT / "bench"
DOORS = {"bench": "lorabench's version and map", "bench.__main__": "python -m bench"}  # nothing else lies at the root
HEAVY = {"torch", "transformers", "peft", "datasets", "bitsandbytes", "accelerate", "lm_eval", "fvcore", "sklearn"}
WITH_TORCH = ("worker", "predict/trace")  # the only rooms that import a heavy library, or each other, at module level
UNLOADED = HEAVY | {"numpy", "scipy", "pandas", "pyarrow"}  # by a collection of the suites
MAY_IMPORT = re.compile(r"^May import: (.+)\.\Z", re.MULTILINE | re.DOTALL)
NOTHING, EVERYTHING = "nothing of the house", "every room"
TURNS = 3
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

listing, began = Listing(), time.process_time()  # not of the clock, which other work stretches
code = pytest.main([sys.argv[1], "--collect-only", "-q", "-p", "no:cacheprovider"], plugins=[listing])
seconds = time.process_time() - began
found = {"code": code, "seconds": seconds, "ids": listing.ids, "tests": listing.tests, "modules": sorted(sys.modules)}
print("\\n" + json.dumps(found))
"""


def name_of(path: Path) -> str:
    """A module's dotted name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(BENCH.rglob("*.py"))}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imports(module: str, at_module_level: bool = False) -> set[str]:
    """Dotted names that a module imports; of a name in a module of the house, the module."""
    found, waiting = set(), list(tree_of(module).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            below = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else str(node.module) for name in below.values()}
        elif not (at_module_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return found


def folder_of(module: str) -> str:
    """predict/trace of bench.predict.trace.steps; empty at the root."""
    parent = FILES[module].parent.relative_to(BENCH)
    return "" if parent == Path() else parent.as_posix()


def room_of(module: str) -> str:
    return folder_of(module).split("/")[0]


@cache
def allowed(folder: str) -> tuple[str, ...]:
    """The rooms that a folder's own docstring allows, or else its parent's."""
    module = ".".join(["bench", *folder.split("/")])
    says = MAY_IMPORT.search(ast.get_docstring(tree_of(module)) or "") if module in FILES else None
    if says:
        rooms = " ".join(says.group(1).split())
        return () if rooms == NOTHING else tuple(ROOMS) if rooms == EVERYTHING else tuple(rooms.split(", "))
    return allowed(folder.rpartition("/")[0]) if "/" in folder else ()


ROOMS = sorted({room_of(module) for module in FILES} - {""})
INSIDE = sorted(FILES.keys() - DOORS)


def has_torch(module: str) -> bool:
    return any(f"{folder_of(module)}/".startswith(f"{room}/") for room in WITH_TORCH)


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other in a circle (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in sorted(arrows[module]):
            if other not in order:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == order[module]:
            group = [stack.pop()]
            while group[-1] != module:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(arrows):
        if module not in order:
            visit(module)
    return found


def collected(folder, tests):
    """What pytest says of collecting these in a process of its own."""
    done = subprocess.run([sys.executable, "-c", COLLECT, tests], cwd=folder, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def collection():
    """What a collection of the suites says."""
    return collected(ROOT, "suites")


def test_nothing_lies_at_the_root_but_the_doors():
    assert {module for module in FILES if not folder_of(module)} == set(DOORS), "move it into a room"


@pytest.mark.parametrize("room", ROOMS)
def test_room_says_what_it_may_import(room):
    module = f"bench.{room}"
    assert module in FILES, f"bench/{room} lacks an __init__.py"
    assert MAY_IMPORT.search(ast.get_docstring(tree_of(module)) or ""), f"bench/{room}/__init__.py: May import: …"
    assert set(allowed(room)) <= set(ROOMS), f"no such room, or {NOTHING!r}, or {EVERYTHING!r}"


def test_map_names_every_room():
    named = re.findall(r"^    (\w+)/ ", ast.get_docstring(tree_of("bench")) or "", re.MULTILINE)
    assert sorted(named) == ROOMS


def test_rooms_allow_no_circle():
    doors = {room for room in ROOMS if set(allowed(room)) == set(ROOMS)}
    assert circles({room: set(allowed(room)) - {room} for room in ROOMS if room not in doors}) == []


@pytest.mark.parametrize("module", INSIDE)
def test_module_imports_from_allowed_rooms_alone(module):
    used = {room_of(name) for name in imports(module) if name in FILES and name != "bench"}  # which has a version alone
    may = {*allowed(folder_of(module)), room_of(module)}
    assert used <= may, f"{module} imports {', '.join(sorted(used - may))}; its room allows {', '.join(sorted(may))}"


def test_no_modules_import_each_other_in_a_circle():
    """A package that gathers its own entries, as bench.tasks does, counts for what it defines, not for gathering."""
    arrows = {
        module: {
            name for name in imports(module) if name in FILES and name != module and not name.startswith(f"{module}.")
        }
        for module in FILES
    }
    assert circles(arrows) == []


@pytest.mark.parametrize("module", sorted(module for module in FILES if not has_torch(module)))
def test_only_the_rooms_with_torch_import_heavy_libraries_at_module_level(module):
    found = imports(module, at_module_level=True)
    heavy = {name for name in found if name.split(".")[0] in HEAVY or (name in FILES and has_torch(name))}
    assert heavy == set(), f"import it inside the function that needs it, or move {module} into a room with torch"


def test_only_the_app_imports_streamlit():
    """It is an extra, and takes seconds to import."""
    found = {module for module in FILES if any(name.split(".")[0] == "streamlit" for name in imports(module))}
    assert {room_of(module) for module in found} == {"app"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys, bench.__main__; print(sorted({'streamlit', 'torch', 'pandas'} & sys.modules.keys()))"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n", "python -m bench loads them for every command"


def test_nothing_is_imported_relatively():
    relative = {module for module in FILES for n in ast.walk(tree_of(module)) if getattr(n, "level", 0)}
    assert relative == set()


def test_work_that_is_named_by_a_text_exists():
    """A job names its function as "bench.module:function", which no tool renames with the function."""
    texts = {found for path in (*BENCH.rglob("*.py"), *(ROOT / "suites").glob("*.py"))
             for found in re.findall(r'"(bench[\w.]*:\w+)"', path.read_text(encoding="utf-8"))}  # fmt: skip
    assert len(texts) >= 5
    for module, name in sorted(text.split(":") for text in texts):
        defined = {node.name for node in tree_of(module).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name in defined, f"{module} has no function {name}"


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
    assert UNLOADED & {name.split(".")[0] for name in collection["modules"]} == set()
