"""Quality of two runs compared: seeds without noise first, then those that parted, by the stages of quality.py."""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import eq
from pathlib import Path

from bench.judge.compare.finding import BETTER, CHANGED, INCONCLUSIVE, QUALITY, SAME, STATES, WORSE, Finding
from bench.judge.compare.fresh import OWN_ENGINE
from bench.judge.compare.margins import Gate, read_gate
from bench.judge.compare.probes import mcnemar
from bench.judge.compare.quality import (
    LEAST_LOSS,
    Loss,
    first_stage,
    fresh_seeds,
    mean_loss,
    needed_seeds,
    points_to_loss,
    second_stage,
)
from bench.judge.compare.traces import ENDING
from bench.records.basis import group_of
from bench.records.record import Record, read_records
from bench.records.stored import Stored
from bench.records.stored_runs import committed_runs
from bench.tasks import TASKS

CLOSE = 1e-4  # relative; a loss so near, with the same answers, is the same quality
Pair = tuple[Stored, Stored]


@dataclass(frozen=True)
class Group:
    """The seeds of a case that both runs have.

    fresh: seeds run for this case alone, once it was suspected; seeds: all that each run has, which tell the noise.
    """

    name: str  # of one seed its case id, else the id without its seed
    pairs: Sequence[Pair]
    fresh: Sequence[Pair] = ()
    seeds: Sequence[Sequence[Record]] = ()

    @property
    def first(self) -> Record:
        return self.pairs[0][0].record

    @property
    def metric(self) -> str:
        return TASKS[self.first.parsed_case().task].metric


def groups_of(
    pairs: Iterable[Pair], fresh: Iterable[Pair] = (), runs: Sequence[Mapping[str, Record]] = ()
) -> list[Group]:
    """The pairs by case and size of data; those of a task that is not registered here are left out.

    runs: all records of both sides.
    """
    found: dict[str, tuple[list[Pair], list[Pair]]] = {}
    for number, side in enumerate((pairs, fresh)):
        for pair in side:
            if pair[0].record.parsed_case().task in TASKS:
                found.setdefault(group_of(pair[0].record), ([], []))[number].append(pair)
    return [
        Group(name_of(seeds), seeds, more, [seeds_in(run.values(), seeds[0][0].record) for run in runs])
        for seeds, more in found.values()
        if seeds
    ]


def seeds_in(records: Iterable[Record], like: Record) -> list[Record]:
    """The records of the same case and recipe, of whatever seed."""
    return [
        one for one in records if one.ok and group_of(one) == group_of(like) and one.recipe_digest == like.recipe_digest
    ]


def name_of(pairs: Sequence[Pair]) -> str:
    case = pairs[0][0].record.case
    return case if len(pairs) == 1 else case.rsplit("-", 1)[0]


def compare_quality(groups: Sequence[Group], cases: int = 0) -> list[Finding]:
    """A finding for each group. Suspects with fresh seeds are decided together.

    cases: of the whole comparison, seeds of one case counted once, where the groups are not all of them.
    """
    gate = read_gate()
    cases = max(cases, len(groups))
    found, suspects = [], []
    for group in groups:
        finding, suspect = judge_group(group, gate, cases)
        found.append(finding)
        if suspect:
            suspects.append(group)
    decided = [group for group in suspects if group.fresh]
    losses = [fresh_loss(group, gate) for group in decided]
    by_name = dict(zip([group.name for group in decided], second_stage(losses), strict=True)) if decided else {}
    fresh = {group.name: (group, loss) for group, loss in zip(decided, losses, strict=True)}
    return [final(one, by_name[one.case], *fresh[one.case], gate) if one.case in by_name else one for one in found]


def judge_group(group: Group, gate: Gate, cases: int) -> tuple[Finding, bool]:
    """The finding by the first stage, and whether fresh seeds must decide."""
    exact = [pair for pair in group.pairs if pair[0].record.losses == pair[1].record.losses]
    noisy = [pair for pair in group.pairs if pair not in exact and not same_answers(pair, group.metric)]
    found = [*of_endings(exact, group, gate), *of_parted(noisy, group, gate, cases)]
    if found:
        worst = min(found, key=lambda one: STATES.index(one.state))
        return worst, worst.state == INCONCLUSIVE
    why = "" if len(exact) == len(group.pairs) else "the losses differ and the answers do not"
    return Finding(group.name, QUALITY, SAME, group.metric, why), False


def of_parted(noisy: Sequence[Pair], group: Group, gate: Gate, cases: int) -> Iterator[Finding]:
    """The finding of the seeds whose losses parted, by the first stage; none where no seed parted."""
    if not noisy:
        return
    metric, values = group.metric, values_of(noisy, group.metric)
    if not group.first.quality_judged:
        yield Finding(group.name, QUALITY, CHANGED, metric, "random weights: quality is not judged", *values)
        return
    loss = loss_of(noisy, group, gate)
    state = first_stage(loss, cases)
    says = [loss_text(loss, metric, group.first, gate), *answers_changed(noisy)]
    options: tuple[str, ...] = ()
    if state == INCONCLUSIVE:
        options = fresh_options(group, loss)
        says.append(how_to_decide(options, loss))
    told = state == INCONCLUSIVE and points_to_loss(loss)
    yield Finding(group.name, QUALITY, state, metric, "; ".join(says), *values, fresh=options, points_to_loss=told)


def of_endings(exact: Sequence[Pair], group: Group, gate: Gate) -> Iterator[Finding]:
    """The finding of the seeds whose losses are equal at every step; none where their quality is equal too."""
    lost = [margins_lost(pair, group.metric, gate) for pair in exact]
    if not any(lost):
        return
    worst, best = max(lost), min(lost)
    state = WORSE if worst > LEAST_LOSS else BETTER if best < -LEAST_LOSS and worst <= 0 else CHANGED
    of_seeds = f" of {len(exact)} of {len(group.pairs)} seeds" if len(exact) < len(group.pairs) else ""
    says = f"the losses of all steps{of_seeds} are equal, so no noise of training is in it"
    yield Finding(group.name, QUALITY, state, group.metric, says, *values_of(exact, group.metric), ENDING)


def margins_lost(pair: Pair, metric: str, gate: Gate) -> float:
    """Margins that one seed lost."""
    old, new = (stored.record for stored in pair)
    return gate.margins_lost(old.parsed_case().task, old.quality[metric], new.quality[metric])


def same_answers(pair: Pair, metric: str) -> bool:
    """Whether every held-out example is answered alike, and the loss is close.

    Where answers were not kept, every other metric must be equal.
    """
    old, new = pair
    before, after = old.record.quality, new.record.quality
    if "loss" in before and abs(after["loss"] - before["loss"]) > CLOSE * abs(before["loss"]):
        return False
    if any(before[name] != after.get(name) for name in before if name != "loss"):
        return False
    rows = [[{**row, "loss": 0} for row in stored.examples] for stored in pair]
    return rows[0] == rows[1] or not all(rows)


def loss_of(pairs: Sequence[Pair], group: Group, gate: Gate) -> Loss:
    """The mean loss of these seeds, and the noise by all that is known of the case."""
    return mean_loss([margins_lost(pair, group.metric, gate) for pair in pairs], spreads(group, gate), gate.prior)


def fresh_loss(group: Group, gate: Gate) -> Loss:
    """The same of fresh seeds alone."""
    return loss_of(group.fresh, group, gate)


def spreads(group: Group, gate: Gate) -> list[list[float]]:
    """Values in margins of the seeds of either side, and of stored runs of the same case and recipe.

    A seed that repeats a value is left out: the same bits in two runs tell the noise once.
    """
    both = [*group.pairs, *group.fresh]
    own = {pair[number].folder.resolve() for pair in both for number in (0, 1)}
    key = (group_of(group.first), group.first.recipe_digest)
    stored = [records for folder, records in stored_seeds(key).items() if folder not in own]
    paired = [[pair[number].record for pair in both] for number in (0, 1)]
    sides = [list({one.case: one for one in (*more, *side)}.values()) for side, more in zip_sides(paired, group.seeds)]
    return [
        [in_margins(record, group, gate) for record in records]
        for records in without_repeats([*sides, *stored], group.metric)
    ]


def without_repeats(groups: Iterable[Sequence[Record]], metric: str) -> list[list[Record]]:
    """The groups of records without those that have the seed and the value of an earlier one."""
    seen: dict[str, list[float]] = {}
    found = []
    for records in groups:
        values = [(record, record.quality[metric]) for record in records]
        fresh = [(one, value) for one, value in values if not any(
            math.isclose(value, other, rel_tol=CLOSE) for other in seen.get(one.case, [])
        )]  # fmt: skip
        for one, value in values:
            seen.setdefault(one.case, []).append(value)
        found.append([one for one, _ in fresh])
    return found


def zip_sides(
    paired: list[list[Record]], seeds: Sequence[Sequence[Record]]
) -> Iterator[tuple[list[Record], list[Record]]]:
    """Each side's paired records with all that its run has of the case."""
    for number, side in enumerate(paired):
        yield side, list(seeds[number]) if seeds else []


def in_margins(record: Record, group: Group, gate: Gate) -> float:
    first = group.first
    return gate.margins_lost(first.parsed_case().task, first.quality[group.metric], record.quality[group.metric])


@cache
def all_stored_seeds() -> dict[tuple[str, str], dict[Path, list[Record]]]:
    """Records of the project's runs with real weights, by case without seed and recipe, then by run."""
    found: dict[tuple[str, str], dict[Path, list[Record]]] = {}
    for folder in committed_runs():
        for record in read_records(folder / "records.jsonl")[0].values():
            if record.ok and record.quality_judged:
                key = (group_of(record), record.recipe_digest)
                found.setdefault(key, {}).setdefault(folder.resolve(), []).append(record)
    return found


def stored_seeds(key: tuple[str, str]) -> Mapping[Path, list[Record]]:
    return all_stored_seeds().get(key, {})


def loss_text(loss: Loss, metric: str, record: Record, gate: Gate) -> str:
    """The loss and the smallest that could have been seen, in the metric's unit."""
    task = TASKS[record.parsed_case().task]
    unit = gate.margin(task) * (1.0 if task.greater_is_better else abs(record.quality[metric]))
    word, size = ("worse", loss.mean) if loss.mean > 0 else ("better", -loss.mean)
    return (
        f"{word} by {size * unit:.4f} over {loss.seeds} seed{'s' * (loss.seeds > 1)} (p = {loss.p:.2g}); "
        f"the smallest loss that could be seen is {loss.smallest_seen * unit:.4f}, the margin {unit:.4f}"
    )


def answers_changed(pairs: Sequence[Pair]) -> Iterator[str]:
    """How many of the words of all seeds became right or wrong: a description, which says nothing of other seeds."""
    cured = broken = words = 0
    for old, new in pairs:
        for one, other in zip(old.examples, new.examples, strict=False):
            if "predicted" in one and "predicted" in other:
                before, after = (list(map(eq, row["gold"], row["predicted"])) for row in (one, other))
                both = list(zip(before, after, strict=False))
                words += len(both)
                cured += both.count((False, True))
                broken += both.count((True, False))
    if cured or broken:
        yield f"of {words:,} words {broken} became wrong and {cured} right (McNemar p = {mcnemar(cured, broken):.2g})"


def fresh_options(group: Group, loss: Loss) -> tuple[str, ...]:
    """Options of pytest suites that run fresh seeds of the group; () where too many would be needed."""
    count = fresh_seeds(loss)
    if not count:
        return ()
    case, recipe = group.first.parsed_case(), group.first.recipe
    paired = [stored.record for pair in group.pairs for stored in pair]
    last = max(record.parsed_case().seed for records in (paired, *group.seeds) for record in records)
    seeds = ",".join(str(last + 1 + number) for number in range(count))
    names = {"tasks": case.task, "models": case.model, "methods": case.method, "devices": case.device, "seeds": seeds,
             "data": recipe["data"], "max-steps": recipe.get("max_steps"),
             "engine": recipe["engine"] if recipe.get("engine", OWN_ENGINE) != OWN_ENGINE else ""}  # fmt: skip
    words = [word for name, value in names.items() if value for word in (f"--{name}", str(value))]
    return (*words, "-m", "slow or not slow")


def how_to_decide(options: Sequence[str], loss: Loss) -> str:
    """The command that runs fresh seeds, or how many would be needed where those are too many."""
    if not options:
        return f"{needed_seeds(loss.noise)} fresh seeds a side would be needed to see a loss of the margin"
    return f"fresh seeds decide: run `pytest suites {shlex.join(options)}` on both sides and give both runs to --fresh"


def final(finding: Finding, state: str, group: Group, loss: Loss, gate: Gate) -> Finding:
    """The suspect's finding by its fresh seeds."""
    said = loss_text(loss, group.metric, group.first, gate)
    values = values_of(group.fresh, group.metric)
    more = ""
    if state == INCONCLUSIVE:
        more = f"; {needed_seeds(loss.noise)} fresh seeds a side would see a loss of the margin"
    told = state == INCONCLUSIVE and points_to_loss(loss)
    says = f"by fresh seeds {said}{more}"
    return Finding(finding.case, QUALITY, state, group.metric, says, *values, points_to_loss=told)


def values_of(pairs: Sequence[Pair], metric: str) -> tuple[str, str]:
    """Means over seeds of both sides."""
    sides = [[pair[number].record.quality.get(metric, float("nan")) for pair in pairs] for number in (0, 1)]
    before, after = (f"{sum(side) / len(side):.4f}" for side in sides)
    return before, after
