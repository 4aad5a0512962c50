"""Stored runs by their names: the user's own in RUNS, and those that the project ships.

A run can be named by its folder, its name, its --run-name, the beginning of its name if that is unique, `latest`, or
`accepted`, which is the accepted baseline.
"""

import difflib
from pathlib import Path

from bench.core.paths import BASELINES, COMMITTED, RUNS

LATEST = "latest"
ACCEPTED = "accepted"
NEWEST, RELEASE = "newest", "release"  # folders of an accepted baseline
RUN_HELP = "a run: its folder, its name or an unambiguous prefix of it, latest, or accepted"


def committed_runs() -> list[Path]:
    """The project's own runs in the order of their names; runs named by a time are a user's."""
    return [path for name, path in sorted(runs_in(COMMITTED).items()) if not has_time_name(name)]


def runs_in(folder: Path) -> dict[str, Path]:
    return {path.parent.name: path.parent for path in folder.glob("*/records.jsonl")}


def accepted_baselines() -> dict[str, Path]:
    """The newest accepted baseline for each kind of machine, by the kind's name."""
    return {path.parent.parent.name: path.parent for path in sorted(BASELINES.glob(f"*/{NEWEST}/records.jsonl"))}


def has_time_name(name: str) -> bool:
    return name[:1].isdigit()


def find_run(text: str) -> Path:
    """The run's folder. Raises ValueError with one sentence if no run, or more than one, matches."""
    if (Path(text).expanduser() / "records.jsonl").is_file():
        return Path(text).expanduser()
    if text == ACCEPTED:
        return find_accepted()
    own = runs_in(RUNS)
    known = {**runs_in(COMMITTED), **own}
    if text in known:
        return known[text]
    if text == LATEST:
        if begun := sorted(filter(has_time_name, own)):
            return own[begun[-1]]
        raise ValueError(f"latest: no run of yours in {RUNS} yet")
    if named := sorted(name for name in own if has_time_name(name) and name.partition("-")[2] == text):
        return own[named[-1]]  # the newest with this --run-name
    near = sorted(name for name in known if text and name.startswith(text))
    if len(near) == 1:
        return known[near[0]]
    if near:
        raise ValueError(f"{text}: {len(near)} runs begin with it, {', '.join(near)}; give more of the name")
    alike = difflib.get_close_matches(text, known, n=3)
    hint = f"did you mean {', '.join(alike)}?" if alike else f"runs are {', '.join(sorted(known)) or 'none yet'}"
    raise ValueError(f"{text}: no run with a records.jsonl there; {hint}")


def find_accepted() -> Path:
    """The accepted baseline. Raises ValueError if there is none, or if several kinds of machine have one."""
    known = accepted_baselines()
    if len(known) == 1:
        return next(iter(known.values()))
    if known:
        raise ValueError(
            f"accepted: there is a baseline for each of {', '.join(known)}; give the folder of one, as "
            f"{next(iter(known.values()))}"
        )
    raise ValueError(
        f'accepted: no baseline in {BASELINES} yet; `python -m bench baseline accept RUN --why "..."` adds it'
    )
