"""Both sides of an upgrade: the same cases run with each set of libraries, stored and compared.

Each side is a session of the suites in a process of its own, whose run is resumed if it was begun before: what was
measured once with the same libraries is not measured again.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.paths import INSTALLED, PACKAGE, RUNS
from bench.judge.compare.finding import INCONCLUSIVE
from bench.judge.compare.runs import Comparison, Options, compare_runs
from bench.judge.compare.sides import read_side
from bench.upgrade.overlays import python_path

SUITES = ("test_methods.py", "test_cost.py", "test_quality.py")
TINY = ("--models", "tiny_bert,tiny_llama,tiny_gpt2", "--tasks", "pos,support", "--devices", "cpu", "--max-steps", "4",
        "--methods", "full,lora,dora,adalora,ia3,prefix,prompt,qlora")  # fmt: skip
SMOKE = ("--devices", "cpu")
JUDGED = (0, 1)  # exit codes of a session that came to its end


class Stopped(RuntimeError):
    """A session that did not come to its end; says what to do."""


@dataclass(frozen=True)
class Environment:
    """An interpreter and what is put before its environment. name: of the side."""

    name: str
    python: Path
    overlays: tuple[Path, ...] = ()

    def variables(self, runs: Path) -> dict[str, str]:
        code = [] if INSTALLED else [PACKAGE.parent]
        kept = {name: value for name, value in os.environ.items() if name != "GITHUB_STEP_SUMMARY"}
        return {**kept, "PYTHONPATH": python_path([*self.overlays, *code]), "LORABENCH_RUNS": str(runs)}


def folder_of(before: Environment, after: Environment, selection: Sequence[str], versions: Mapping[str, str]) -> Path:
    """Where the runs of this upgrade lie: the same for the same two sides, selection and version of lorabench."""
    sides = [[str(one.python), *map(str, one.overlays)] for one in (before, after)]
    key = json.dumps([sides, list(selection), dict(versions)])
    return RUNS / "upgrades" / hashlib.sha256(key.encode()).hexdigest()[:12]


def run_side(side: Environment, folder: Path, selection: Sequence[str], say: Callable[[str], None]) -> Path:
    """The side's run, begun or resumed. Raises Stopped if its session did not come to its end."""
    runs = folder / side.name
    earlier = sorted(path.parent for path in runs.glob("*/records.jsonl"))
    resumed = ["--resume", str(earlier[-1])] if earlier else []
    command = [str(side.python), "-P", "-m", "bench", "test", *SUITES, *selection, "--allow-unjudged", "-q", *resumed]
    say(f"{side.name}: pytest suites {' '.join(selection)}")
    done = subprocess.run(command, env=side.variables(runs), check=False, stdout=sys.stderr)
    found = sorted(path.parent for path in runs.glob("*/records.jsonl"))
    if done.returncode not in JUDGED or not found:
        raise Stopped(
            f"the session of {side.name} ended with exit code {done.returncode}; what it measured is kept in {runs}; "
            "the same command continues from there"
        )
    return found[-1]


def run_stage(
    before: Environment, after: Environment, folder: Path, selection: Sequence[str], say: Callable[[str], None]
) -> Comparison:
    """Both sides with this selection, compared; suspects get fresh seeds on both sides."""
    runs = [run_side(side, folder, selection, say) for side in (before, after)]
    sides = [read_side(run) for run in runs]
    comparison = compare_runs(sides[0], sides[1], Options())
    reruns = [one.fresh for one in comparison.findings if one.state == INCONCLUSIVE and one.fresh]
    if not reruns:
        return comparison
    fresh = folder / "fresh"
    for words in reruns:
        say(f"fresh seeds for a suspect: {' '.join(words)}")
        more = [run_side(side, fresh, words, say) for side in (before, after)]
    return compare_runs(sides[0], sides[1], Options(), (read_side(more[0]), read_side(more[1])))
