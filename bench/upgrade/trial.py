"""Both sides of an upgrade: the same cases run with each set of libraries, stored and compared.

Each side is a session of the suites in a process of its own, whose run is resumed if it was begun before: what was
measured once with the same libraries is not measured again.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from bench.core.case import parse_case
from bench.core.files import write_atomically
from bench.core.paths import FIXTURES, INSTALLED, PACKAGE, RESULTS, RUNS, SUITES
from bench.judge.compare.finding import INCONCLUSIVE, Finding
from bench.judge.compare.runs import Comparison, Options, compare_runs
from bench.judge.compare.sides import read_side, repeats_of
from bench.judge.compare.timing import PROCESSES, compare_processes
from bench.machine.environment import code_digest, distributions_digest
from bench.records.record import TIMED_OUT, read_repeats
from bench.records.tested import FILE as TESTED
from bench.upgrade.overlays import python_path

# test_claims.py judges statements of papers, test_probes.py needs --probes; runs are compared, and timed with --time,
# by the upgrade itself
JUDGING = ("test_libraries.py", "test_methods.py", "test_cost.py", "test_quality.py", "test_predicted.py")
RUNS_CASES = ("test_cost.py",)  # where the figures of cases are wanted, and no more tests than it takes to run them
JUDGES = ("judge", "predict", "plugin")  # rooms that decide whether a test passes, beside the code that measures
MEASURED = "measured.json"  # beside a side's runs
TWO_AT_ONCE = ("--workers", "2")  # small cases leave cores idle; a pair of cases on one thread each takes less time
# The smoke run in two stages: what takes about a second a case and needs no weights, then the rest.
QUICK = "wide or test_libraries"
TINY, REST = (("--devices", "cpu", *TWO_AT_ONCE, "-k", chosen) for chosen in (QUICK, f"not ({QUICK})"))
JUDGED = (0, 1)  # exit codes of a session that came to its end


class Stopped(RuntimeError):
    """A session that did not come to its end; says what to do. code: the session's exit code."""

    def __init__(self, says: str, code: int) -> None:
        super().__init__(says)
        self.code = code


@dataclass(frozen=True)
class Environment:
    """An interpreter and what is put before its environment. name: of the side; entries: what its workers also load."""

    name: str
    python: Path
    overlays: tuple[Path, ...] = ()
    entries: str = ""

    def variables(self, runs: Path) -> dict[str, str]:
        code = [] if INSTALLED else [PACKAGE.parent]
        kept = {name: value for name, value in os.environ.items() if name != "GITHUB_STEP_SUMMARY"}
        more = {"LORABENCH_ENTRIES": self.entries} if self.entries else {}
        return {**kept, "PYTHONPATH": python_path([*self.overlays, *code]), "LORABENCH_RUNS": str(runs), **more}


@dataclass(frozen=True)
class Measured:
    """A side's run whose session came to its end. seconds: of all its sessions; judged_by: the judging_digest then."""

    run: str
    seconds: float
    judged_by: str


@cache
def judging_digest() -> str:
    """A hash of what decides whether a test passes on a record: with another one, stored records are judged anew."""
    files = [*SUITES.rglob("*.py"), *FIXTURES.glob("*.toml"), *(RESULTS / "baselines").glob("*.json")]
    files += [path for room in JUDGES for path in (PACKAGE / room).rglob("*.py")]
    digest = hashlib.sha256(json.dumps(JUDGING).encode())
    for path in sorted(files):
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def folder_of(before: Environment, after: Environment, selection: Sequence[str], versions: Mapping[str, str]) -> Path:
    """Where the runs of this upgrade lie: the same for the same two sides, selection and code that measures.

    A commit that changes only pages or judges keeps what was measured; the session that resumes it judges anew.
    """
    sides = [[str(one.python), *map(str, one.overlays)] for one in (before, after)]
    key = json.dumps([sides, list(selection), dict(versions), code_digest()])
    return RUNS / "upgrades" / hashlib.sha256(key.encode()).hexdigest()[:12]


def run_side(
    side: Environment,
    folder: Path,
    selection: Sequence[str],
    say: Callable[[str], None],
    repeat: int = 0,
    suites: Sequence[str] = JUDGING,
) -> Path:
    """The side's run, begun or resumed, or run once more. Raises Stopped if its session did not come to its end.

    A resumed session judges every case again. What its tests said before is removed, or a test that has another name
    by now would be missing from the side that was not begun yet.
    """
    run = run_session(side, folder, selection, say, repeat, suites)
    there, _ = read_repeats(run / "records.jsonl")
    if not any(number == repeat and record.status == TIMED_OUT for (_, number), record in there.items()):
        return run
    say(f"{side.name}: a case timed out, perhaps because the machine is busy; it runs once more")
    return run_session(side, folder, selection, say, repeat, suites)


def run_session(
    side: Environment,
    folder: Path,
    selection: Sequence[str],
    say: Callable[[str], None],
    repeat: int,
    suites: Sequence[str],
) -> Path:
    """One session of the side, which resumes the run of an earlier one. Raises Stopped."""
    runs = folder / side.name
    earlier = sorted(path.parent for path in runs.glob("*/records.jsonl"))
    resumed = ["--resume", str(earlier[-1])] if earlier else []
    if earlier:
        (earlier[-1] / TESTED).unlink(missing_ok=True)
    command = [str(side.python), "-P", "-m", "bench", "test", *suites, *selection, "--allow-unjudged", "-q", *resumed]
    command += ["--repeat", str(repeat)] if repeat else []
    say(f"{side.name}: pytest suites {' '.join(selection)}")
    done = subprocess.run(command, env=side.variables(runs), check=False, stdout=sys.stderr)
    found = sorted(path.parent for path in runs.glob("*/records.jsonl"))
    if done.returncode not in JUDGED or not found:
        raise Stopped(
            f"the session of {side.name} ended with exit code {done.returncode}; what it measured is kept in {runs}; "
            "the same command continues from there",
            done.returncode,
        )
    return found[-1]


def run_once(
    side: Environment,
    folder: Path,
    selection: Sequence[str],
    say: Callable[[str], None],
    suites: Sequence[str] = JUDGING,
) -> Path:
    """The side's run, of an earlier command if it came to its end and today's code judged it. Raises Stopped."""
    measured = read_measured(folder / side.name)
    if measured and measured.judged_by == judging_digest():
        return folder / side.name / measured.run
    began = time.monotonic()
    run = run_side(side, folder, selection, say, suites=suites)
    seconds = round((measured.seconds if measured else 0.0) + time.monotonic() - began, 1)
    write_atomically(run.parent / MEASURED, json.dumps(asdict(Measured(run.name, seconds, judging_digest()))) + "\n")
    return run


def read_measured(runs: Path) -> Measured | None:
    """What an earlier command left beside a side's runs; None if no session came to its end."""
    path = runs / MEASURED
    return Measured(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def run_test(side: Environment, folder: Path, test: str, say: Callable[[str], None]) -> int:
    """The exit code of pytest for one test without a case; 1 too if it fails by a known fault."""
    say(f"{side.name}: pytest {test}")
    command = [str(side.python), "-P", "-m", "bench", "test", test, "--runxfail", "-q"]
    done = subprocess.run(command, env=side.variables(folder / side.name), check=False, stdout=sys.stderr)
    if done.returncode in JUDGED:
        write_atomically(exit_code_file(side, folder, test), f"{done.returncode}\n")
    return done.returncode


def known_exit_code(side: Environment, folder: Path, test: str) -> int | None:
    """What run_test returned in an earlier command; None if the test did not come to an end in one."""
    path = exit_code_file(side, folder, test)
    return int(path.read_text(encoding="utf-8")) if path.is_file() else None


def exit_code_file(side: Environment, folder: Path, test: str) -> Path:
    """Where it lies: another place once the suites or the environment change, so that the test runs again."""
    key = json.dumps([test, judging_digest(), distributions_digest()])
    return folder / side.name / f"{hashlib.sha256(key.encode()).hexdigest()[:12]}.exit_code"


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


def time_cases(
    before: Environment,
    after: Environment,
    folder: Path,
    cases: Sequence[str],
    selection: Sequence[str],
    say: Callable[[str], None],
    processes: int = PROCESSES,
) -> list[Finding]:
    """Seconds of these cases in processes that take turns, A B B A. What an interrupted command timed is kept."""
    runs: dict[str, Path] = {}
    for repeat in range(processes):
        for side in (before, after) if repeat % 2 == 0 else (after, before):
            there = run_with_repeat(folder / "time" / side.name, cases, repeat)
            if there is None:
                say(f"time, process {repeat + 1} of {processes} a side")
                there = run_side(side, folder / "time", selection, say, repeat, RUNS_CASES)
            runs[side.name] = there
    sides = [read_side(runs[side.name]) for side in (before, after)]
    return compare_processes({case: (repeats_of(sides[0], case), repeats_of(sides[1], case)) for case in cases})


def run_with_repeat(folder: Path, cases: Sequence[str], repeat: int) -> Path | None:
    """The run of an earlier session that has this repeat of every case; None if there is none."""
    for run in folder.glob("*/records.jsonl"):
        there, _ = read_repeats(run)
        if all((case, repeat) in there for case in cases):
            return run.parent
    return None


def selection_of(cases: Sequence[str]) -> tuple[str, ...]:
    """Options of pytest suites that run these cases; others of the same names may run beside them."""
    parsed = [parse_case(case) for case in cases]
    names = {"tasks": "task", "models": "model", "methods": "method", "devices": "device", "seeds": "seed"}
    words = [
        word for option, part in names.items()
        for word in (f"--{option}", ",".join(dict.fromkeys(str(getattr(case, part)) for case in parsed)))
    ]  # fmt: skip
    return (*words, "-m", "slow or not slow")
