"""Accepted baselines: runs that later runs are compared with, each stored with the reason why it was accepted.

`python -m bench baseline accept RUN --why "..."` is the only way to make one. If a red or partial run could become the
baseline, it would hide regressions: pytest-benchmark, for example, compares with the newest saved run, failed or not.

    results/baselines/gate/KIND/newest/     the accepted run: records.jsonl, predictions/, run.json, tests.json
    results/baselines/gate/KIND/release/    the last release's, which shows what many small steps add up to

KIND is the instruction set of the processor, or the card: figures repeat to the bit only within one kind.
"""

import json
import re
import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.core.paths import BASELINES
from bench.core.registry import first_few
from bench.judge.compare.finding import INCOMPARABLE, INCONCLUSIVE, RED, Finding
from bench.judge.compare.runs import Options, compare_runs
from bench.judge.compare.sides import Side, code_difference, machine_difference, read_side
from bench.records.record import Record
from bench.records.run_folder import EMULATION, ENTRIES
from bench.records.stored_runs import NEWEST, RELEASE
from bench.records.tested import FAILURES, NOT_REACHED

ACCEPTED = "accepted"  # the key of run.json
PLANTS_A_FAULT = "bench.upgrade.planting:plant"  # the entry of a run whose libraries are broken on purpose


class Refused(ValueError):
    """A run cannot become a baseline; the message states why, and what to do."""


def kind_of(record: Record) -> str:
    """The kind of machine: avx512, nvidia_h200, or unknown for an older record."""
    about = record.environment
    on_card = record.parsed_case().device != "cpu"
    text = (about.get(EMULATION) or about.get("accelerator") if on_card else about.get("capability")) or "unknown"
    return re.sub(r"[^a-z0-9]+", "_", str(text).lower()).strip("_")


def accept(folder: Path, why: str, despite: Collection[str] = (), release: bool = False) -> Path:
    """Store the run as the baseline of its kind of machine; with release, also as the last release's baseline.

    despite: names of figures that are intentionally worse than in the previous baseline.
    Raises Refused with one sentence.
    """
    side = read_side(folder)
    if not why.strip():
        raise Refused("--why is empty; say what changed, for whoever finds a figure moved later")
    if reason := next(reasons_against(side), ""):
        raise Refused(f"{side.name} cannot become a baseline: {reason}")
    place = BASELINES / kind_of(next(iter(side.records.values())))
    for name in (NEWEST, RELEASE):
        restore(place / name)
    meant = compare_with_newest(side, place / NEWEST, despite)
    about = {"why": why.strip(), "run": side.name, "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "despite": meant}
    for name in (NEWEST, RELEASE) if release else (NEWEST,):
        keep(side, place / name, about)
    return place / NEWEST


def reasons_against(side: Side) -> Iterator[str]:
    """The reasons why the run is red, partial or dirty, one sentence each."""
    if failed := [record for record in side.records.values() if not record.ok]:
        named = first_few(f"{record.case} ({record.status})" for record in failed)
        yield f"{named} did not end well; run the cases again"
    if planted := [one for one in (side.about or {}).get(ENTRIES, ()) if one.startswith(PLANTS_A_FAULT)]:
        yield f"its libraries are broken on purpose ({planted[0]}); run the cases without that entry"
    if side.tested is None:
        yield "it does not say how its tests ended; run it again with this version, by pytest suites"
    else:
        yield from reasons_of_tests(side)
    if any(record.environment.get("dirty") for record in side.records.values()):
        yield "lorabench's checkout had changes that are in no commit; commit them and run it again"
    first = next(iter(side.records.values()))
    for record in side.records.values():
        if code_difference(first.environment, record.environment):
            yield "its records are of two versions of lorabench; run all cases with one"
        if record.environment.get("libraries") != first.environment.get("libraries"):
            yield "its records are of two sets of libraries; run all cases with one"
        if record.parsed_case().device == first.parsed_case().device and machine_difference(first, record):
            yield f"its records are of two machines ({machine_difference(first, record)}); run all cases on one"


def reasons_of_tests(side: Side) -> Iterator[str]:
    tested = side.tested
    assert tested is not None
    bad = [f"{test} ({outcome})" for test, outcome in tested.others.items() if outcome in FAILURES]
    bad += [
        f"{test} of {case} ({outcome})"
        for case, tests in tested.by_case.items()
        for test, outcome in tests.items()
        if outcome in FAILURES
    ]
    if bad:
        yield f"it is red: {first_few(bad)}"
    if not tested.finished:
        unrun = [case for case, tests in tested.by_case.items() if NOT_REACHED in tests.values()]
        of = f" before all tests of {first_few(unrun)}" if unrun else ""
        yield f"its session was interrupted{of}; finish it with pytest suites --resume and the same selection"
    elif tested.exit_code != 0:
        yield f"its session ended with exit code {tested.exit_code}; only a run that passed can be one"
    if untested := [case for case in side.records if not tested.outcomes(case)]:
        yield f"no test judged {first_few(untested)}"


def compare_with_newest(side: Side, newest: Path, despite: Collection[str]) -> list[str]:
    """Names of the blocking figures, all intended. Raises Refused for a blocking figure that despite does not name."""
    if not (newest / "records.jsonl").is_file():
        return []
    found = compare_runs(read_side(newest), side, Options(allow_commit=True)).findings
    against = [one for one in found if stands_against(one)]
    if surprising := [one for one in against if name_of(one) not in despite]:
        raise Refused(
            f"{side.name} cannot replace the baseline: {first_few(one.sentence() for one in surprising)}; mend it, or "
            f"name what is meant: --despite {','.join(sorted({name_of(one) for one in surprising}))}"
        )
    return sorted({name_of(one) for one in against})


def stands_against(finding: Finding) -> bool:
    """Whether the finding blocks the run: its figure is worse, missing, not compared, or likely to be a loss."""
    return finding.state in (*RED, INCOMPARABLE) or (finding.state == INCONCLUSIVE and finding.points_to_loss)


def name_of(finding: Finding) -> str:
    return finding.figure or finding.kind


def restore(place: Path) -> None:
    """Put back the baseline that `keep` had moved away if it was killed before it finished."""
    old = place.with_name(f".{place.name}.old")
    if old.exists() and not place.exists():
        old.rename(place)


def keep(side: Side, place: Path, about: dict) -> None:
    """Replace the baseline with the run; the old baseline stays until the new one is complete."""
    fresh, old = (place.with_name(f".{place.name}.{word}") for word in ("new", "old"))
    for folder in (fresh, old):
        shutil.rmtree(folder, ignore_errors=True)
    fresh.mkdir(parents=True)
    lines = "".join(f"{record.to_line()}\n" for record in side.records.values())
    (fresh / "records.jsonl").write_text(lines, encoding="utf-8")
    text = json.dumps({**(side.about or {}), ACCEPTED: about}, indent=1, ensure_ascii=False)
    (fresh / "run.json").write_text(f"{text}\n", encoding="utf-8")
    shutil.copyfile(side.folder / "tests.json", fresh / "tests.json")
    if (side.folder / "predictions").is_dir():
        shutil.copytree(side.folder / "predictions", fresh / "predictions")
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def release_of(folder: Path) -> Path | None:
    """The last release's baseline next to an accepted one; None if there is none."""
    found = folder.parent / RELEASE
    return found if folder.name == NEWEST and (found / "records.jsonl").is_file() else None
