"""The upgrade gate over a grid of releases: every set of releases run once, and compared with today's.

transformers and peft are paired. Of every other package each release is tried alone, with everything else as it is.
All runs are stored under the environment that they ran in, so that sets which install the same share a run, and an
interrupted command continues.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from bench.core.files import write_atomically
from bench.core.paths import RUNS
from bench.judge.compare.baselines import kind_of
from bench.judge.compare.sides import COMMIT, Side, read_side
from bench.machine.environment import code_digest, distributions_digest
from bench.records.record import Record
from bench.upgrade.compatibility import CONFLICT, OPEN, Cell, Table, compare_cell, failing_tests
from bench.upgrade.overlays import CannotInstall, Conflict, Wanted, import_path, install, resolve, version_of
from bench.upgrade.requirements import unmet
from bench.upgrade.trial import JUDGING, MEASURED, Environment, Stopped, judging_digest, read_measured, run_once

PAIRED = ("transformers", "peft")
PACKAGES = (*PAIRED, "bitsandbytes", "accelerate")
# A method of each kind on tiny models of three architectures, and one case of each embedded model; a few steps show a
# break.
METHODS = ("full", "lora", "dora", "adalora", "ia3", "prefix", "prompt", "qlora")
SELECTION = (
    "--tasks", "pos,support", "--models", "tiny_bert,tiny_llama,tiny_gpt2,minilm_l6,smollm2_135m", "--methods",
    ",".join(METHODS), "--devices", "cpu", "--max-steps", "2", "--workers", "2",
    "-k", "tiny or minilm_l6-lora or smollm2_135m-prefix", "-m", "slow or not slow",
)  # fmt: skip
OWN = "lorabench"
TODAY = "today"  # the name of the side with the environment as it is
MOST_ROUNDS = 3  # in which pip is asked again with the packages whose requirements its answer leaves unmet

Say = Callable[[str], None]
Packages = Mapping[str, str]


class NothingToCompare(RuntimeError):
    """Today's run cannot be compared with; says why."""


@dataclass(frozen=True)
class Grid:
    """The cases that run in every cell, and where the runs are stored."""

    python: Path
    selection: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Planned:
    """A cell with what it installs; problem: why it cannot be run, as (state, reason), or None."""

    packages: Packages
    wanted: tuple[Wanted, ...] = ()
    problem: tuple[str, str] | None = None

    @property
    def side(self) -> str:
        """The name of the folder of its runs: the same for the same environment."""
        lines = "".join(f"{one} {one.sha256}\n" for one in self.wanted)
        return hashlib.sha256(lines.encode()).hexdigest()[:12] if lines else TODAY

    def __str__(self) -> str:
        return ", ".join(f"{name} {version}" for name, version in self.packages.items()) or "today's packages"


def grid_of(python: Path, selection: Sequence[str]) -> Grid:
    """The grid with this environment, these cases and this version of the code that measures."""
    key = json.dumps([str(python), distributions_digest(), list(selection), code_digest()])
    return Grid(python, tuple(selection), RUNS / "matrix" / hashlib.sha256(key.encode()).hexdigest()[:12])


def sets_of(releases: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The sets of releases, those with the newest first, so that a grid that is not finished has the newest.

    releases: package -> its releases, the newest first.
    """
    paired = [name for name in PAIRED if name in releases]
    ranked = [
        (sum(releases[name].index(version) for name, version in zip(paired, versions, strict=True)), versions)
        for versions in product(*(releases[name] for name in paired)) if paired
    ]  # fmt: skip
    sets = [(rank, dict(zip(paired, versions, strict=True))) for rank, versions in ranked]
    sets += [
        (rank, {name: version})
        for name, versions in releases.items() if name not in PAIRED
        for rank, version in enumerate(versions)
    ]  # fmt: skip
    return [one for _, one in sorted(sets, key=lambda ranked: ranked[0])]


def plan_cell(grid: Grid, packages: Packages) -> Planned:
    """What the cell installs, resolved once and kept. What keeps pip from answering is not kept."""
    path = grid.folder / "resolved" / ("_".join(f"{name}-{version}" for name, version in packages.items()) + ".json")
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Planned(
            packages,
            tuple(Wanted(**one) for one in kept["wanted"]),
            (CONFLICT, kept["conflict"]) if kept["conflict"] else None,
        )
    conflict, wanted = "", []
    try:
        wanted = resolve_together(grid.python, [f"{name}=={version}" for name, version in packages.items()])
    except Conflict as error:
        conflict = str(error)
    except CannotInstall as error:
        return Planned(packages, (), (OPEN, str(error)))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"wanted": [asdict(one) for one in wanted], "conflict": conflict}, indent=1))
    return Planned(packages, tuple(wanted), (CONFLICT, conflict) if conflict else None)


def resolve_together(python: Path, requirements: list[str]) -> list[Wanted]:
    """What these requirements change, so that every package of the environment still has what it needs.

    pip looks at the requirements of what it installs alone. A package that would lack something is added to what pip is
    asked for. lorabench's own bounds are set aside, for the table is about the libraries. Raises Conflict where no
    releases suit each other.
    """
    own = import_path(python)
    asked = requirements
    for _ in range(MOST_ROUNDS):
        wanted = resolve(python, asked)
        overlays = [str(install(python, one)) for one in wanted]
        lacking = sorted(one for one in unmet([*overlays, *own]) - unmet(own) if one.distribution != OWN)
        if not lacking:
            return wanted
        asked = [*asked, *sorted({one.distribution for one in lacking} - set(asked))]
    raise Conflict(f"{' '.join(requirements)} cannot be installed: {lacking[0]}")


def run_cells(grid: Grid, plans: Sequence[Planned], say: Say, write: Callable[[], None]) -> dict[str, str]:
    """Run every environment that no earlier command ran, today's first; why a session did not end, by environment.

    write is called after every run. Raises Stopped if today's session does not come to its end.
    """
    todo: dict[str, Planned] = {}
    for plan in (Planned({}), *plans):
        if plan.problem is None:
            todo.setdefault(plan.side, plan)
    stopped: dict[str, str] = {}
    for number, (side, plan) in enumerate(todo.items(), 1):
        if read_stored(grid, side) is not None:
            continue
        say(f"cell {number} of {len(todo)}: {plan}{time_left(grid, list(todo)[number - 1 :])}")
        try:
            run_once(environment_of(grid, plan), grid.folder, grid.selection, say)
        except Stopped as error:
            if side == TODAY:
                raise
            say(str(error))
            stopped[side] = f"the session of pytest suites ended with exit code {error.code}"
        write()
    return stopped


def environment_of(grid: Grid, plan: Planned) -> Environment:
    return Environment(plan.side, grid.python, tuple(install(grid.python, one) for one in plan.wanted))


def read_stored(grid: Grid, side: str) -> tuple[Side, float] | None:
    """The finished run of an environment and its seconds; None if it has none that today's suites judged."""
    measured = read_measured(grid.folder / side)
    if measured is None or measured.judged_by != judging_digest():
        return None
    return read_side(grid.folder / side / measured.run), measured.seconds


def time_left(grid: Grid, sides: Iterable[str]) -> str:
    """About how long these environments take, by those that are stored; empty if none is."""
    known = [one.seconds for path in grid.folder.glob(f"*/{MEASURED}") if (one := read_measured(path.parent))]
    left = [side for side in sides if read_stored(grid, side) is None]
    return f" (about {len(left) * sum(known) / len(known) / 60:.0f} min left)" if known else ""


def table_of(grid: Grid, plans: Sequence[Planned], stopped: Mapping[str, str], command: str) -> Table:
    """The table of what is stored. Raises NothingToCompare if today's run is missing or has no case that ended well."""
    today = read_stored(grid, TODAY)
    if today is None or not any(record.ok for record in today[0].records.values()):
        raise NothingToCompare("no case ended well with today's packages, so there is nothing to compare with")
    sides = {plan.side: read_stored(grid, plan.side) for plan in plans}
    cells = tuple(cell_of(plan, today[0], sides[plan.side], stopped.get(plan.side, "")) for plan in plans)
    runs = [side for side in (today, *sides.values()) if side is not None]
    return Table(
        command=command,
        date=max(f"{run.folder.name[:4]}-{run.folder.name[4:6]}-{run.folder.name[6:8]}" for run, _ in runs),
        about=about_machine(next(iter(today[0].records.values()))),
        today={name: version_of(grid.python, name) or "none" for name in PACKAGES},
        suites=JUDGING,
        cases=tuple(sorted(today[0].records)),
        failing=failing_tests(today[0]),
        cells=cells,
    )


def cell_of(plan: Planned, today: Side, found: tuple[Side, float] | None, stopped: str) -> Cell:
    if plan.problem:
        return Cell(plan.packages, *plan.problem)
    if found is None:
        return Cell(plan.packages, OPEN, stopped or "the same command continues with it")
    return compare_cell(plan.packages, today, *found)


def about_machine(record: Record) -> dict[str, str]:
    """What a reader must know of the machine and the code, without anything that names the machine."""
    environment = record.environment
    return {
        "torch": environment["libraries"]["torch"],
        "python": environment["python"],
        "processor": environment["processor"],
        "kind": kind_of(record),
        "code": code_digest().removeprefix("sha256:")[:COMMIT],
    }
