"""pytest's command-line options for lorabench, and their checks."""

import os
import re
from pathlib import Path

import pytest

from bench.core.paths import named_folder
from bench.core.registry import UnknownName, first_few, names_in
from bench.executor.cluster.opening import LOCAL, PATIENCE_SECONDS, read_place
from bench.machine.cards import CARDS, CardKind, read_card
from bench.machine.devices import cards
from bench.methods import METHODS
from bench.models import MODELS
from bench.plan.options import Options
from bench.plan.selection import Selection, all_cases, why_none
from bench.plugin.own import add_own_options, header_of, read_own
from bench.probes import PROBES
from bench.recipes.files import CHOICES
from bench.records.kept import KEEP, MERGED, NONE
from bench.records.stored_runs import LATEST, find_run
from bench.tasks import TASKS

LISTS = {
    "tasks": "tasks to run, for example pos,support, or your own data: FILE.jsonl, FILE.parquet or owner/name",
    "models": "models to run, for example minilm_l6, or your own: ./FOLDER or owner/name; a model of a source runs on "
    "a processor only when named",
    "methods": "methods to run, for example lora,dora",
    "devices": "devices to run on, for example cpu,cuda",
    "seeds": "seeds to run, for example 0,1,2 (default 0)",
}

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def add_options(parser: pytest.Parser) -> None:
    """Add lorabench's options to pytest's."""
    group = parser.getgroup("lorabench", "cases of fine-tuning")
    for name, says in LISTS.items():
        group.addoption(f"--{name}", metavar="A,B", default="", help=says)
    group.addoption("--mirror", metavar="DIR", default=os.environ.get("LORABENCH_MIRROR", ""),
                    help="a folder with models/ and datasets/ in the Hub's layout (or LORABENCH_MIRROR)")  # fmt: skip
    group.addoption("--entries", metavar="A,B", default=os.environ.get("LORABENCH_ENTRIES", ""),
                    help="your modules and files that add methods, models or tasks: my_module, my_file.py, my.toml "
                    "(or LORABENCH_ENTRIES)")  # fmt: skip
    add_own_options(group)
    group.addoption("--data", choices=["auto", "sample", "full"], default="auto",
                    help="the project's samples or the full data sets; auto: full where the mirror has it")  # fmt: skip
    group.addoption(
        "--engine", choices=CHOICES["engine"], default="bench", help="train with our loop or with transformers.Trainer"
    )
    group.addoption(
        "--synthetic", action="store_true", help="random weights for every model: cost is real, quality is not judged"
    )
    group.addoption("--probes", metavar="A,B", default="",
                    help="families of probes to ask every decoder before and after tuning, or all")  # fmt: skip
    group.addoption("--lm-eval", metavar="A,B", default="",
                    help="lm-evaluation-harness tasks to evaluate every decoder on, before and after")  # fmt: skip
    group.addoption("--run-name", metavar="NAME", default="",
                    help="name the new run, for example before (default: machine and library versions)")  # fmt: skip
    group.addoption("--resume", metavar="RUN", default="",
                    help="continue a run: run cases that it lacks or that would run otherwise today")  # fmt: skip
    group.addoption("--replay", metavar="RUN", default="", help="judge the records of a run again and run nothing")
    group.addoption("--report", metavar="FILE", default="",
                    help="at the end, write the session as one HTML page with charts, for a browser")  # fmt: skip
    group.addoption("--baseline", metavar="RUN", default="",
                    help="compare every case with this run too: a test for each kind of figure, no worse")  # fmt: skip
    group.addoption("--allow-commit", action="store_true",
                    help="with --baseline: compare although lorabench itself has another version there")  # fmt: skip
    group.addoption("--keep", choices=KEEP, default=NONE,
                    help="keep each case's adapter, or it merged into its base, in the run's folder")  # fmt: skip
    group.addoption("--repeat", metavar="N", type=int, default=0,
                    help="with --resume: run every case once more, stored as its N-th repeat, for --time")  # fmt: skip
    group.addoption("--allow-unjudged", action="store_true",
                    help="skip instead of fail where no threshold judges a case, as without its weights")  # fmt: skip
    group.addoption("--emulate", metavar="CARD", default="",
                    help=f"run GPU cases as on a smaller card: {', '.join(CARDS.names())}, or NAME=GiB")  # fmt: skip
    group.addoption("--attempt", action="store_true", help="run GPU cases even if they are predicted not to fit")
    group.addoption("--max-steps", metavar="N", type=int, default=None,
                    help="optimizer steps of every case, instead of its recipe's: cost in little time")  # fmt: skip
    group.addoption("--case-timeout", metavar="SECONDS", type=float, default=None,
                    help="a case that takes longer fails (default 900, with full data 21600)")  # fmt: skip
    group.addoption("--workers", metavar="N", type=int, default=1,
                    help="cases that run at once on a machine, each on a card of its own (default 1)")  # fmt: skip
    group.addoption("--executor", metavar="WHERE", default=LOCAL,
                    help="where cases run: local (default), ray, ray:ADDRESS, slurm or slurm:PARTITION")  # fmt: skip
    group.addoption("--send-env", metavar="A,B", default="",
                    help="environment variables to send to other machines, by name; no others are sent")  # fmt: skip
    group.addoption("--placement-timeout", metavar="SECONDS", type=float, default=PATIENCE_SECONDS,
                    help="how long a case waits while no machine of the cluster can take it "
                    f"(default {PATIENCE_SECONDS:g})")  # fmt: skip


def read_options(config: pytest.Config) -> Options:
    """Raises pytest.UsageError with one sentence on what is wrong."""
    project = registered_names()
    try:
        mirror = named_folder(config.getoption("mirror"), "--mirror")
        own = read_own(config, mirror)
        selection = Selection(
            **{name: own.replace_paths(names_in(config.getoption(name))) for name in LISTS if name != "seeds"},
            seeds=seeds(config.getoption("seeds")),
        )
        probes = probe_families(config.getoption("probes"))
        place = read_place(config.getoption("executor"))
    except (UnknownName, ValueError) as error:
        raise pytest.UsageError(str(error)) from None
    if not all_cases(selection):
        raise pytest.UsageError(why_none(selection))
    refuse_contradictions(config)
    resume, replay = run_folder(config.getoption("resume")), run_folder(config.getoption("replay"))
    return Options(
        selection=selection,
        entries=tuple(own.entries),
        mirror=mirror,
        data=config.getoption("data"),
        engine=config.getoption("engine"),
        synthetic=config.getoption("synthetic"),
        probes=probes,
        lm_eval=names_in(config.getoption("lm_eval")),
        resume=resume,
        replay=replay,
        case_timeout=config.getoption("case_timeout"),
        workers=config.getoption("workers"),
        emulate=emulated_card(config.getoption("emulate"), place.is_local),
        attempt=config.getoption("attempt"),
        max_steps=config.getoption("max_steps") or 0,
        allow_unjudged=config.getoption("allow_unjudged"),
        baseline=run_folder(config.getoption("baseline")),
        allow_commit=config.getoption("allow_commit"),
        keep=kept_of(config.getoption("keep"), selection),
        repeat=repeat_of(config.getoption("repeat"), resume),
        place=place,
        send_environment=names_in(config.getoption("send_env")),
        placement_timeout=config.getoption("placement_timeout"),
        run_name=checked_name(config.getoption("run_name")),
        own_entries=registered_names() - project,
        header=header_of(own, config),
    )


def refuse_contradictions(config: pytest.Config) -> None:
    """Raises pytest.UsageError for a number outside its range, and for options that exclude each other."""
    workers, timeout, max_steps = (config.getoption(name) for name in ("workers", "case_timeout", "max_steps"))
    if workers < 1:
        raise pytest.UsageError(f"--workers {workers} must be at least 1")
    patience = config.getoption("placement_timeout")
    if not patience > 0:
        raise pytest.UsageError(f"--placement-timeout {patience:g} must be above 0 seconds")
    if timeout is not None and not timeout > 0:  # NaN fails too: it would be no limit
        raise pytest.UsageError(f"--case-timeout {timeout:g} must be above 0 seconds")
    if max_steps is not None and max_steps < 1:
        raise pytest.UsageError(f"--max-steps {max_steps} must be at least 1")
    resume, replay = config.getoption("resume"), config.getoption("replay")
    if resume and replay:
        raise pytest.UsageError("--resume runs what is missing and --replay runs nothing; give one of them")
    if replay and config.getoption("keep") != NONE:
        raise pytest.UsageError("--keep keeps what a case trains, and --replay runs nothing; leave one of them out")
    if config.getoption("run_name") and (resume or replay):
        raise pytest.UsageError("--run-name names a new run; --resume and --replay take a run that has its name")


def repeat_of(number: int, resume: Path | None) -> int:
    if number < 0 or (number and not resume):
        raise pytest.UsageError(f"--repeat {number} must be at least 1, beside --resume RUN with the first process")
    return number


def kept_of(text: str, selection: Selection) -> str:
    """What --keep asks for. Raises pytest.UsageError if no selected method has a merged model."""
    methods = {case.method for case in all_cases(selection)}
    if text == MERGED and not any(METHODS[name].mergeable for name in methods):
        raise pytest.UsageError(
            f"--keep merged: {first_few(sorted(methods))} cannot be merged into a base; give --keep adapter"
        )
    return text


def checked_name(text: str) -> str:
    """The name for a new run, which is part of its folder's name."""
    if text and (not RUN_NAME.fullmatch(text) or text == LATEST):
        raise pytest.UsageError(
            f"--run-name {text}: give letters, digits, dots, underscores and hyphens, as --run-name before; "
            f"{LATEST} means your newest run"
        )
    return text


def registered_names() -> frozenset[str]:
    """The names of all tasks, models and methods registered so far."""
    return frozenset((*TASKS.names(), *MODELS.names(), *METHODS.names()))


def emulated_card(text: str, here: bool = True) -> CardKind | None:
    """The card to emulate for GPU cases; it must not be larger than the real card, if cases run on this machine."""
    if not text:
        return None
    try:
        card = read_card(text)
    except (UnknownName, ValueError) as error:
        raise pytest.UsageError(f"--emulate: {error}") from None
    if here and cards() and (why := card.why_not_on(f"this machine's {cards()[0].name}", cards()[0].total_bytes)):
        raise pytest.UsageError(f"--emulate {text}: {why}")
    return card


def probe_families(text: str) -> tuple[str, ...]:
    """The named families ("all": all of them), with their items checked. Raises UnknownName or BadFile."""
    wanted = [family for name in names_in(text) for family in (PROBES.names() if name == "all" else [name])]
    return tuple(name for name in dict.fromkeys(wanted) if PROBES[name].items)


def seeds(text: str) -> tuple[int, ...]:
    parts = names_in(text) or ("0",)
    if wrong := [part for part in parts if not part.isdecimal()]:
        raise ValueError(f"--seeds {wrong[0]!r} is no seed; give whole numbers from 0, as --seeds 0,1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))


def run_folder(text: str) -> Path | None:
    """The folder of the run that the option names; None if it names none."""
    try:
        return find_run(text).resolve() if text else None
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
