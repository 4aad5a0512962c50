"""Where files are: the project's data, the runs, and the cache for fetched files.

In a checkout the data are the folders suites/, fixtures/ and results/ beside bench/. A wheel ships them in
bench/shipped, where setup.py puts them.

`LORABENCH_CACHE` moves the cache; otherwise it is `$XDG_CACHE_HOME/lorabench` or `~/.cache/lorabench`.
`LORABENCH_RUNS` moves the folder that runs are written to. Otherwise it is results/runs in a checkout, or
lorabench-runs in the current folder if lorabench is installed. `LORABENCH_BASELINES` moves the folder of accepted
baselines, which is results/baselines/gate or lorabench-baselines in the same way.
"""

import os
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # bench/
SHIPPED = PACKAGE / "shipped"
INSTALLED = SHIPPED.is_dir()  # a checkout has no such folder
ROOT = SHIPPED if INSTALLED else PACKAGE.parent
SUITES = ROOT / "suites"
FIXTURES = ROOT / "fixtures"
RECIPES = FIXTURES / "recipes"
SAMPLES = FIXTURES / "data"
RESULTS = ROOT / "results"
COMMITTED = RESULTS / "runs"  # the project's own runs; in a checkout also a user's, named by their time
BASELINES = Path(
    os.environ.get("LORABENCH_BASELINES") or ("lorabench-baselines" if INSTALLED else RESULTS / "baselines" / "gate")
).absolute()  # accepted ones
RUNS = Path(os.environ.get("LORABENCH_RUNS") or ("lorabench-runs" if INSTALLED else COMMITTED)).absolute()


def cache_folder() -> Path:
    """The folder for fetched weights; not created here."""
    if chosen := os.environ.get("LORABENCH_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lorabench"


def named_folder(text: str, option: str) -> Path | None:
    """The folder that an option names; None for an empty text. Raises ValueError if it does not exist."""
    if not text:
        return None
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise ValueError(f"{option} {text}: there is no such folder")
    return path


def is_inside(path: Path, folders: Iterable[Path]) -> bool:
    """Whether the path, with all links followed, lies in one of the folders."""
    resolved = path.resolve()
    return any(resolved.is_relative_to(folder.resolve()) for folder in folders)
