"""Claims that runs settle: a threshold, an equivalence, a direction, a trend.

    by = { case = "pos-bert_base-lora-cuda", figure = "seqeval_f1", data = "full", seeds = 3 }
    by = { case = "…", against = "…", figure = "seconds_per_step", data = "full", seeds = 1 }

case and against are case ids without their seed. With `against` the figure is compared: as a quotient where
the claim's unit is ×, else as a difference. against_figure names another figure of the other side. times
multiplies the figure: an epoch's seconds are those of a step times its steps. on names the device that the
source used, a card's name or "8 cores"; records of others are refused. A trend may say course = true: the
losses of every step are tested for falling. one_seed = true: a quality of a single run is meant, not that of the
method, which takes two seeds or more.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench.core.case import Case, parse_case
from bench.core.registry import UnknownName
from bench.judge import statistics
from bench.judge.claims.admission import Admitted, admit, of_one_run, on_device
from bench.judge.claims.claim import NONE, UNSTATED, Claim, known, refuse
from bench.judge.claims.grounds import Evidence, check_keys
from bench.judge.claims.vocabulary import dimension_of, satisfied
from bench.judge.claims.wording import bounds, missing, prefix, sentence, shown_p
from bench.judge.statistics import ALPHA, Estimate
from bench.judge.verdict import CONFIRMED, INCONCLUSIVE, NOT_RUN, REFUTED, Verdict
from bench.methods import METHODS
from bench.models import MODELS
from bench.records.figures import FIGURES, Figure
from bench.records.stored import Stored
from bench.tasks import TASKS

REQUIRED = {"case": (str,), "figure": (str,), "data": (str,), "seeds": (int,)}
OPTIONAL = {"against": (str,), "against_figure": (str,), "course": (bool,), "times": (int,), "on": (str,),
            "one_seed": (bool,)}  # fmt: skip
SEEDS_DIFFER = ", for quality differs between seeds; a claim of a single run says one_seed = true"
NEEDS_AGAINST = ("equivalence", "direction")


@dataclass(frozen=True)
class Sides:
    """The records of the case, and of what it is compared with."""

    own: Admitted
    other: Admitted | None
    refused: tuple[str, ...]

    @property
    def all(self) -> list[Stored]:
        others = list(self.other.by_seed.values()) if self.other else []
        return [*self.own.by_seed.values(), *others]


def case_of(text: str, where: str, key: str) -> Case:
    """The case of an id without seed. Raises BadFile for what no registry has."""
    try:
        case = parse_case(f"{text}-s0")
        TASKS[case.task], MODELS[case.model], METHODS[case.method]
    except (ValueError, UnknownName) as error:
        raise refuse(where, key, str(error).replace("-s0'", "'")) from None
    return case


def check(claim: Claim, claims: Mapping[str, Claim]) -> None:
    """Raises BadFile naming file, id and key."""
    where = f"{claim.file} [{claim.id}]"
    check_keys(claim, REQUIRED, OPTIONAL)
    for key in ("figure", "against_figure"):
        if key in claim.by:
            known(where, f"by.{key}", claim.by[key], FIGURES)
    known(where, "by.data", claim.by["data"], ("sample", "full"))
    least = 2 if FIGURES[claim.by["figure"]].quality and not claim.by.get("one_seed") else 1
    if claim.by["seeds"] < least:
        raise refuse(where, "by.seeds", f"must be at least {least}" + SEEDS_DIFFER * (least - 1))
    if claim.kind in NEEDS_AGAINST and not {"against", "against_figure"} & claim.by.keys():
        raise refuse(where, "by", f"lacks against or against_figure, which a claim of {claim.kind} needs")
    cases = [case_of(claim.by[key], where, f"by.{key}") for key in ("case", "against") if key in claim.by]
    check_models(claim, cases, where)
    dimension = dimension_of(claim.quantity)
    if dimension not in ("ratio", FIGURES[claim.by["figure"]].dimension):
        raise refuse(where, "by.figure", f"{claim.by['figure']} does not fit {claim.quantity}")


def check_models(claim: Claim, cases: list[Case], where: str) -> None:
    """A verdict on a stand-in must say whose: its protocol names the stand-in, and stand_in_for the source's model."""
    for case in cases:
        if claim.protocol.model not in (case.model, UNSTATED, NONE):
            raise refuse(where, "by.case", f"runs {case.model}, but the protocol's model is {claim.protocol.model}")
        stand_in = MODELS[case.model].embedded or MODELS[case.model].tiny
        if stand_in and not claim.stand_in_for:
            raise refuse(where, "stand_in_for", f"{case.model} is no source's model; say which it stands in for")
    if claim.stand_in_for and claim.stand_in_for in {case.model for case in cases}:
        raise refuse(where, "stand_in_for", f"{claim.stand_in_for} cannot stand in for itself")


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    sides = gather(claim, evidence)
    refused = f"; refused {'; '.join(sides.refused)}" if sides.refused else ""
    lacking = [
        name
        for name, side in ((claim.by["case"], sides.own), (claim.by.get("against"), sides.other))
        if side is not None and not side.by_seed
    ]
    if lacking:
        none = f"no record of {' nor of '.join(map(str, lacking))}"
        return Verdict(claim.id, NOT_RUN, f"{prefix(claim)}{claim.place}: {none}{refused}; {missing(claim)}")
    names = tuple(stored.name for stored in sides.all)
    seeds = paired_seeds(sides)
    if len(seeds) < claim.by["seeds"]:
        few = f"{len(seeds)} of {claim.by['seeds']} seeds are there"
        says = f"{prefix(claim)}{claim.place}: {few}{refused}; {missing(claim)}; records {', '.join(names)}"
        return Verdict(claim.id, INCONCLUSIVE if seeds else NOT_RUN, says, names)
    if claim.by.get("course"):
        return judge_course(claim, sides, names, refused)
    estimate = estimated(claim, sides, seeds)
    state, p_value = decided(claim, estimate)
    says = f"{prefix(claim)}{sentence(claim, estimate, state, p_value)}; records {', '.join(names)}{refused}"
    if not estimate.degrees or p_value is None:
        return Verdict(claim.id, state, says, names, p_value)
    return Verdict(
        claim.id, state, says, names, p_value, estimate.seeds,
        lambda count: decided(claim, estimate.with_seeds(count))[1] or 1.0,
    )  # fmt: skip


def gather(claim: Claim, evidence: Evidence) -> Sides:
    """The records that may speak, of both sides; seconds compare within one run, the last that has both."""
    if FIGURES[claim.by["figure"]].timed and "against" in claim.by:
        for run in dict.fromkeys(stored.run for stored in reversed(evidence.records)):
            own = tuple(stored for stored in evidence.records if stored.run == run)
            sides = gather_from(claim, replace(evidence, records=own))
            if paired_seeds(sides):
                return sides
    return gather_from(claim, evidence)


def gather_from(claim: Claim, evidence: Evidence) -> Sides:
    figure, size = FIGURES[claim.by["figure"]], claim.by["data"]
    found = [admit(parse_case(f"{claim.by['case']}-s0"), size, figure, evidence)]
    if "against" in claim.by:
        other = FIGURES[claim.by.get("against_figure", figure.name)]
        found.append(admit(parse_case(f"{claim.by['against']}-s0"), size, other, evidence))
    refused = [reason for side in found for reason in side.refused]
    if "on" in claim.by:
        found, strangers = on_device(found, claim.by["on"])
        refused += strangers
    if figure.timed:
        found, strangers = of_one_run(found)
        refused += strangers
    return Sides(found[0], found[1] if len(found) > 1 else None, tuple(refused))


def paired_seeds(sides: Sides) -> list[int]:
    """Seeds that both sides have."""
    others = sides.other.by_seed if sides.other else sides.own.by_seed
    return sorted(sides.own.by_seed.keys() & others.keys())


def estimated(claim: Claim, sides: Sides, seeds: list[int]) -> Estimate:
    """The figure, or its quotient or difference, with its interval: by the spread over steps for seconds, over seeds
    where there are several, by resampling the examples of one."""
    figure = FIGURES[claim.by["figure"]]
    other_figure = FIGURES[claim.by.get("against_figure", figure.name)]
    own = [sides.own.by_seed[seed] for seed in seeds]
    compared = sides.other is not None or "against_figure" in claim.by
    others = [(sides.other or sides.own).by_seed[seed] for seed in seeds] if compared else []
    if claim.unit == "x":
        return quotient(figure, other_figure, own, others)
    if len(seeds) == 1 and figure.counts and all(stored.examples for stored in (*own, *others)):
        return resampled(figure, own, others)
    values = [number(figure, stored) for stored in own]
    if compared:
        values = [a - number(other_figure, b) for a, b in zip(values, others, strict=True)]
    values = [value * claim.by.get("times", 1) for value in values]
    if not compared and (spread := figure.spread(own[0].record)):
        return statistics.median_of_steps(spread, claim.by.get("times", 1))
    if figure.repeats and len(values) == 1:
        return statistics.exact(values[0])
    return statistics.over_seeds(values)


def number(figure: Figure, stored: Stored) -> float:
    value = figure.value(stored.record)
    assert value is not None  # admission refused the record otherwise
    return value


def quotient(figure: Figure, other_figure: Figure, own: list[Stored], others: list[Stored]) -> Estimate:
    """The ratio of the first seed's medians with the spread over steps, or of what repeats."""
    above, below = figure.spread(own[0].record), other_figure.spread(others[0].record)
    if above and below:
        return statistics.median_ratio(above, below)
    ratios = [number(figure, a) / number(other_figure, b) for a, b in zip(own, others, strict=True)]
    return statistics.exact(ratios[0]) if figure.repeats and len(ratios) == 1 else statistics.over_seeds(ratios)


def resampled(figure: Figure, own: list[Stored], others: list[Stored]) -> Estimate:
    """Of one seed on each side."""
    assert figure.counts is not None
    assert figure.metric is not None
    paired = figure.counts(others[0]) if others else None
    return statistics.bootstrap(figure.counts(own[0]), figure.metric, paired)


def decided(claim: Claim, estimate: Estimate) -> tuple[str, float | None]:
    """The state and the p-value of the test it rests on; a figure without spread is compared as it is."""
    if estimate.error == 0:
        holds = satisfied(estimate.value, claim.value, claim.comparator, claim.tolerance)
        return (CONFIRMED if holds else REFUTED), None
    if math.isinf(estimate.error):
        return INCONCLUSIVE, None  # seen once: no test can be made
    low, high = bounds(claim)
    inside = max(estimate.p_above(low), estimate.p_below(high))
    outside = min(
        1.0, min(estimate.p_below(low), estimate.p_above(high)) * (1 if math.isinf(low) or math.isinf(high) else 2)
    )
    if inside < ALPHA:
        return CONFIRMED, inside
    if outside < ALPHA:
        return REFUTED, outside
    return INCONCLUSIVE, min(inside, outside)


def judge_course(claim: Claim, sides: Sides, names: tuple[str, ...], refused: str) -> Verdict:
    """Whether the losses of the steps fall, by Kendall's tau: confirmed by the weakest seed, refuted if all rise."""
    found = [statistics.falls(stored.record.losses) for stored in sides.own.by_seed.values()]
    tau, p_value = max(found, key=lambda pair: pair[1])
    rises = 1 - min(p for _, p in found)  # against "some seed does not rise", by the one that rises least
    state = CONFIRMED if p_value < ALPHA else REFUTED if rises < ALPHA else INCONCLUSIVE
    steps = [len(stored.record.losses) for stored in sides.own.by_seed.values()]
    says = (
        f"{prefix(claim)}{claim.place} says the loss falls; over {min(steps)} steps and {len(found)} seeds the weakest "
        f"Kendall's tau is {tau:.2f}, {shown_p(p_value)}; records {', '.join(names)}{refused}"
    )
    return Verdict(claim.id, state, says, names, min(p_value, rises))
