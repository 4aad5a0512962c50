"""The checked command line: which cases run, where weights and data come from, how they run."""

from dataclasses import dataclass
from pathlib import Path

from bench.executor.cluster.opening import HERE, PATIENCE_SECONDS, Place
from bench.machine.cards import CardKind
from bench.plan.selection import Selection
from bench.records.kept import NONE


@dataclass(frozen=True)
class Options:
    """The command line, checked."""

    selection: Selection
    entries: tuple[str, ...]
    mirror: Path | None
    data: str
    engine: str
    synthetic: bool
    probes: tuple[str, ...]
    lm_eval: tuple[str, ...]
    resume: Path | None
    replay: Path | None
    case_timeout: float | None  # seconds; None: as long as the data's size allows
    workers: int
    emulate: CardKind | None = None
    attempt: bool = False
    max_steps: int = 0  # 0: the recipe decides
    allow_unjudged: bool = False
    baseline: Path | None = None
    allow_commit: bool = False
    keep: str = NONE  # what is kept of each case's weights
    repeat: int = 0  # the number of this process, if each case runs in several
    place: Place = HERE  # where cases run
    send_environment: tuple[str, ...] = ()  # names of variables that cases on other machines get
    placement_timeout: float = PATIENCE_SECONDS  # for which a case may wait for a machine that can take it
    run_name: str = ""  # of a new run, after its time; empty: the machine and the versions of the libraries
    own_entries: frozenset[str] = frozenset()  # names of tasks, models and methods that a user's modules registered
    header: str = ""  # a line of pytest's header that names a user's own files
