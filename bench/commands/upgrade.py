"""`python -m bench upgrade "transformers==5.24.0"`: the same cases with and without an upgrade, compared.

Exit codes are those of `python -m bench compare`.
"""

import argparse
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, show
from bench.commands.compare import SERIOUS, check_timed, write_report
from bench.core.case import parse_case
from bench.core.paths import RUNS
from bench.core.registry import names_in
from bench.judge.compare.finding import RED, SOMETHING_WORSE, exit_code
from bench.judge.compare.runs import Comparison
from bench.judge.compare.timing import MOST_CASES, PROCESSES
from bench.upgrade import trial
from bench.upgrade.blame import MOST_RUNS, Search, blame, choose_targets, not_bisected
from bench.upgrade.overlays import Wanted, import_path, install, resolve
from bench.upgrade.requirements import unmet
from bench.upgrade.trial import REST, TINY, Environment, folder_of, run_stage, selection_of, time_cases

# Means on two quiet cores, by how a model's name begins; of tiny ones by their CPU seconds, two at once.
CASE_SECONDS = {"tiny": 1, "minilm_l6": 11, "smollm2_135m": 24}
SESSION_SECONDS = 40  # beside its cases: it imports the libraries, and tests what they do by themselves
CASE_ID = re.compile(r"\w+-\w+-\w+-\w+-s\d+")
PYTHON = Path(sys.executable)


def add(commands: Commands) -> None:
    parser = add_command(commands, "upgrade", "run the same cases with and without an upgrade, and compare them")
    parser.add_argument("requirements", nargs="+", metavar="REQUIREMENT",
                        help="what is upgraded, as pip takes it: transformers==5.24.0")  # fmt: skip
    parser.add_argument("--from", dest="constraints", type=Path, metavar="FILE", default=None,
                        help="a file of constraints for pip, which hold for everything else")  # fmt: skip
    parser.add_argument("--current", type=Path, metavar="PYTHON", default=PYTHON,
                        help="the interpreter whose environment is upgraded (default: this one)")  # fmt: skip
    parser.add_argument("--select", metavar="OPTIONS", default="",
                        help="cases to run instead of those of the smoke run, as options of pytest suites: "
                        "--select='--tasks pos --methods lora'")  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="run the smoke run's tiny cases and the tests of the libraries alone"
    )
    parser.add_argument("--time", metavar="CASE,...", type=names_in, default=(),
                        help=f"where nothing is worse, also compare seconds, peak memory and energy of at most "
                        f"{MOST_CASES} cases, in {PROCESSES} processes a side that take turns")  # fmt: skip
    parser.add_argument("--bisect", action="store_true", help="where something is worse, find the package and release")
    parser.add_argument("--bisect-runs", type=int, default=MOST_RUNS, metavar="N",
                        help=f"trials that finding it may take (default {MOST_RUNS})")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what would be installed and run, and do neither")
    parser.add_argument("--allow-unmet", action="store_true",
                        help="run although a requirement of a package is not met")  # fmt: skip
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--junit", metavar="FILE", default="", help="also write a JUnit report")
    parser.set_defaults(
        work=judge_upgrade, fail_on=RED, allow_inconclusive=False,
        next="docs/upgrades.md says how to read this and what to do",
    )  # fmt: skip


def judge_upgrade(arguments: argparse.Namespace) -> int:
    """Resolve, check, run stage after stage until something is worse, and print what all of them found."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else pip or a session would go on without the command
    check_timed(arguments.time)
    import_path(arguments.current)  # before pip is asked, so that what is no interpreter is named
    say(f"asking pip what {' '.join(arguments.requirements)} changes")
    wanted = resolve(arguments.current, arguments.requirements, arguments.constraints)
    if not wanted:
        raise Mistake(f"{' '.join(arguments.requirements)} changes nothing: the environment has it already")
    stages = stages_of(arguments)
    if arguments.dry_run:
        print_plan(wanted, stages, arguments.time, arguments.current)
        return 0
    before = Environment("before", arguments.current)
    after = Environment("after", arguments.current, tuple(install_side(arguments.current, one) for one in wanted))
    check_requirements(after, arguments.allow_unmet)
    found: list[Comparison] = []
    for number, selection in enumerate(stages, 1):
        say(f"stage {number} of {len(stages)}")
        folder = folder_of(before, after, selection, {one.name: one.version for one in wanted})
        found.append(run_stage(before, after, folder, selection, say))
        if is_worse(found[-1]):
            break
    if arguments.time and not is_worse(found[-1]):
        times = time_cases(before, after, folder, arguments.time, selection_of(arguments.time), say)
        found[-1] = replace(found[-1], findings=(*found[-1].findings, *times))
    code = max((exit_code(one.findings) for one in found), key=SERIOUS.index)
    write_report(join_stages(found), arguments, code)
    if arguments.bisect and is_worse(found[-1]):
        show("\n".join(find_causes(found[-1], arguments, folder)), sys.stderr if arguments.json else sys.stdout)
    return code


def is_worse(comparison: Comparison) -> bool:
    return exit_code(comparison.findings) == SOMETHING_WORSE


def join_stages(stages: Sequence[Comparison]) -> Comparison:
    """All stages as one comparison, named after the runs of the last; no case is in two of them."""
    last = stages[-1]
    before = replace(last.before, records={case: one for stage in stages for case, one in stage.before.records.items()})
    after = replace(last.after, records={case: one for stage in stages for case, one in stage.after.records.items()})
    return Comparison(before, after, tuple(one for stage in stages for one in stage.findings))


def find_causes(comparison: Comparison, arguments: argparse.Namespace, folder: Path) -> list[str]:
    """For each suspect a sentence that names the guilty package; and what was not bisected, with the reason."""
    targets = choose_targets(comparison)
    said: list[str] = []
    spent = 0
    for target in targets:
        search = Search(
            arguments.current, comparison.before, target, folder / "trials", say, arguments.bisect_runs - spent,
            arguments.constraints,
        )  # fmt: skip
        said.append(f"to blame for {blame(search, arguments.requirements)} ({search.spent} trials)")
        spent += search.spent
    return [*said, *not_bisected(comparison, targets)]


def stages_of(arguments: argparse.Namespace) -> list[tuple[str, ...]]:
    """The selections that are run in turn; the first in which something is worse is the last.

    Raises Mistake for a selection with a quote that is not closed.
    """
    if arguments.select:
        try:
            return [tuple(shlex.split(arguments.select))]
        except ValueError as error:
            raise Mistake(f"--select {arguments.select}: {error}; quote it as in a shell") from None
    return [TINY] if arguments.quick else [TINY, REST]


def print_plan(
    wanted: Sequence[Wanted], stages: Sequence[tuple[str, ...]], timed: Sequence[str] = (), python: Path = PYTHON
) -> None:
    """What would be installed and run, and for how long. Raises Mistake for a selection that pytest refuses."""
    show("would install, each into a folder of its own:")
    for one in wanted:
        show(f"  {one}" + (" (there already)" if one.folder.is_dir() else ""))
    show("would run with the environment as it is, and again with these:")
    suites = " ".join(f"suites/{name}" for name in trial.JUDGING)
    for selection in stages:
        show(f"  pytest {suites} {shlex.join(selection)}  ({duration(selected_cases(python, selection), 2)})")
    if timed:
        show(f"would then time, if nothing is worse, in {PROCESSES} processes a side:")
        show(f"  {', '.join(timed)}  ({duration(timed, 2 * PROCESSES)})")


def selected_cases(python: Path, selection: Sequence[str]) -> list[str]:
    """The cases that pytest collects. Raises Mistake with its reason if it refuses the selection."""
    command = [
        str(python),
        "-P",
        "-m",
        "bench",
        "test",
        *trial.JUDGING,
        "-m",
        "not slow",
        *selection,
        "--collect-only",
        "-q",
    ]
    variables = Environment("plan", python).variables(RUNS)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["pytest said nothing"]
        raise Mistake(f"{shlex.join(selection)} cannot be run: {said[0].removeprefix('ERROR: ')}")
    return list(dict.fromkeys(CASE_ID.findall(done.stdout)))


def duration(cases: Sequence[str], sessions: int) -> str:
    """How many cases, and about how many minutes so many sessions of them take one after the other."""
    number = f"{len(cases)} case{'s' * (len(cases) != 1)}"
    known = [seconds for case in cases if (seconds := case_seconds(case))]
    if len(known) < len(cases):
        return f"{number}; how long {len(cases) - len(known)} of them take is not known"
    minutes = round(sessions * (sum(known) + SESSION_SECONDS) / 60)
    return f"{number}, about {minutes} minute{'s' * (minutes != 1)} on two quiet cores"


def case_seconds(name: str) -> int:
    """The usual seconds of a case on a processor; 0 if they are not known."""
    case = parse_case(name)
    return next((seconds for model, seconds in CASE_SECONDS.items() if case.model.startswith(model)), 0) * (
        case.device == "cpu"
    )


def install_side(python: Path, wanted: Wanted) -> Path:
    say(f"installing {wanted}" if not wanted.folder.is_dir() else f"{wanted} is there")
    return install(python, wanted)


def check_requirements(after: Environment, allowed: bool) -> None:
    """Raises Mistake for requirements that the upgrade leaves unmet, and the environment before did not."""
    own = import_path(after.python)
    found = sorted(unmet([*map(str, after.overlays), *own]) - unmet(own))
    for one in found:
        say(str(one))
    if found and not allowed:
        raise Mistake(
            f"{found[0]}{f' (and {len(found) - 1} more)' if found[1:] else ''}; upgrade that too, or give --allow-unmet"
        )


def say(text: str) -> None:
    show(text, sys.stderr)
