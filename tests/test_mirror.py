"""tests/ mirrors the rooms: a module is tested in the file of its name, or is listed here with where it is or why not."""

import ast

import pytest

from bench.core.paths import ROOT

# Modules that have no test file of their own -> the files in which they are tested, below tests/.
ELSEWHERE: dict[str, str] = {
    "commands.census": "judge/claims/kinds/test_arithmetic.py",
}
WITHOUT_TESTS: dict[str, str] = {}
MODULES = sorted(
    ".".join(path.relative_to(ROOT / "bench").with_suffix("").parts)
    for path in (ROOT / "bench").rglob("*.py")
    if path.stem not in ("__init__", "__main__") and "shipped" not in path.parts
)
