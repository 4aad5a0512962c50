"""Where things lie: the repository's folders, and the cache for what was fetched.

`LORABENCH_CACHE` moves the cache; otherwise it is `$XDG_CACHE_HOME/lorabench` or `~/.cache/lorabench`.
`LORABENCH_RUNS` moves the folder that runs are written to and named in, results/runs.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
RECIPES = FIXTURES / "recipes"
SAMPLES = FIXTURES / "data"
RESULTS = ROOT / "results"
RUNS = Path(os.environ.get("LORABENCH_RUNS") or RESULTS / "runs").absolute()


def cache_folder() -> Path:
    """The folder for fetched weights; not created here."""
    if chosen := os.environ.get("LORABENCH_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lorabench"
