"""Faults of libraries, each planted in the workers of a session by replacing one function.

A fault is a file of fixtures/faults. Its docstring says what breaks, and which report it is modelled on. It has

    TARGET             the function that is replaced, as package.module:Class.method
    SELECT             options of pytest suites that run what the fault breaks; suites by name instead of the usual ones
    TIMED              a case whose seconds are compared too; most faults have none
    broken(original)   returns the function that takes its place
    symptom()          what a few lines see of it: another value with the fault than without

A session plants one with `--entries "bench.upgrade.planting:plant NAME"`, and its run can never become a baseline. Only
workers run the file, which may import any library: pytest's own process has no torch, and reads it without running it.
"""

import ast
import hashlib
import importlib
import importlib.util
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.core.files import BadFile
from bench.core.paths import FIXTURES
from bench.core.registry import import_file, unknown
from bench.judge.compare.baselines import PLANTS_A_FAULT

FAULTS = FIXTURES / "faults"
MODEL = "Modelled on "  # how the last paragraph of a fault's docstring begins


@dataclass(frozen=True)
class Fault:
    """What a fault's file says of it. digest: of the file."""

    name: str
    says: str
    modelled_on: str
    target: str
    select: tuple[str, ...]
    timed: str
    digest: str

    @property
    def entry(self) -> str:
        return f"{PLANTS_A_FAULT} {self.name}"


def fault_names() -> list[str]:
    return sorted(path.stem for path in FAULTS.glob("*.py"))


def fault_file(name: str) -> Path:
    """The fault's file. Raises UnknownName, which lists similar names."""
    if name not in (names := fault_names()):
        raise unknown("fault", name, names)
    return FAULTS / f"{name}.py"


def read_fault(name: str) -> Fault:
    """Read a fault without running its file. Raises UnknownName, or BadFile if the file lacks something."""
    path = fault_file(name)
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    paragraphs = (ast.get_docstring(tree) or "").split("\n\n")
    if not paragraphs[-1].startswith(MODEL):
        raise BadFile(f"{path}: the docstring must end with a paragraph that begins with {MODEL.strip()!r}")
    texts = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body if isinstance(node, ast.Assign)
        for target in node.targets if isinstance(target, ast.Name) and target.id in ("TARGET", "SELECT", "TIMED")
    }  # fmt: skip
    for part in ("TARGET", "SELECT"):
        if not isinstance(texts.get(part), str):
            raise BadFile(f"{path}: {part} must be a text; bench/upgrade/planting.py says what it holds")
    says, modelled_on = (" ".join(one.split()) for one in (paragraphs[0], paragraphs[-1].removeprefix(MODEL)))
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Fault(
        name, says, modelled_on, texts["TARGET"], tuple(shlex.split(texts["SELECT"])), texts.get("TIMED", ""), digest
    )


def load_fault(name: str) -> ModuleType:
    """The fault's file as a module."""
    path = fault_file(name)
    import_file(str(path))
    return sys.modules[path.stem]


def find_target(target: str) -> tuple[Any, str, Callable[..., Any]]:
    """(owner, name, function) of package.module:Class.method. Raises AttributeError or ImportError if it is gone."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    return owner, name, getattr(owner, name)


def plant(name: str) -> None:
    """Break the fault's target in a process that has imported torch: a worker's. Elsewhere only check the name."""
    fault_file(name)
    if "torch" not in sys.modules:
        return
    module = load_fault(name)
    owner, attribute, original = find_target(module.TARGET)
    setattr(owner, attribute, module.broken(original))
