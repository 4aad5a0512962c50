"""Claims that runs settle: a threshold, an equivalence, a direction, a trend.

    by = { case = "pos-bert_base-lora-cuda", figure = "seqeval_f1", data = "full", seeds = 3 }
    by = { case = "…", against = "…", figure = "seconds_per_step", data = "full", seeds = 1 }

case and against are case ids without their seed. With `against` the figure is compared: as a quotient if the claim's
unit is ×, otherwise as a difference. against_figure names a different figure for the other side. times multiplies the
figure: an epoch's seconds are those of a step times its steps. on names the device that the source used, a card's name
or "8 cores"; records of other devices are refused. A trend may say course = true: the losses of every step are tested
for falling. one_seed = true: the claim is about the quality of a single run, not of the method, which takes two seeds
or more; seed_spread is then the standard deviation between seeds, in the claim's unit, without which one seed decides
nothing.

Quality is judged over seeds, seconds over processes or, within one process, over rounds. Bytes, parameters and FLOPs
repeat: they need no test, and every record must agree.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bench.core.case import Case, parse_case
from bench.core.registry import UnknownName
from bench.judge import statistics
from bench.judge.claims.admission import Admitted, admit, of_one_run, on_device
from bench.judge.claims.claim import NONE, UNSTATED, Claim, check_name, refuse
from bench.judge.claims.grounds import Evidence, check_keys
from bench.judge.claims.vocabulary import DIFFERENCE, UNITS, difference_of, dimension_of, satisfies
from bench.judge.claims.wording import bounds, missing, prefix, sentence, shown_p
from bench.judge.statistics import ALPHA, Estimate, Rounds
from bench.judge.verdict import CONFIRMED, INCONCLUSIVE, NOT_RUN, PROCESSES, REFUTED, SEEDS, STEPS, Verdict
from bench.methods import METHODS
from bench.models import MODELS
from bench.records.figures import FIGURES, Figure
from bench.records.stored import Stored
from bench.tasks import TASKS

REQUIRED = {"case": (str,), "figure": (str,), "data": (str,), "seeds": (int,)}
OPTIONAL = {"against": (str,), "against_figure": (str,), "course": (bool,), "times": (int,), "on": (str,),
            "one_seed": (bool,), "seed_spread": (int, float)}  # fmt: skip
SEEDS_DIFFER = ", for quality differs between seeds; a claim of a single run says one_seed = true"
SECONDS_DIFFER = ", for seconds of one process have no interval"
NEEDS_AGAINST = ("equivalence", "direction")
COURSE = "loss_change"
STEPS_AS_ONE = 4  # neighbouring steps are correlated: at an autocorrelation of 0.6 every fourth adds information
PROCESS_SPREAD = 0.12  # standard deviation of a median's logarithm from process to process, pooled over committed runs


@dataclass(frozen=True)
class Sides:
    """The records of the case, and of the case it is compared with."""

    own: Admitted
    other: Admitted | None
    refused: tuple[str, ...]

    @property
    def all(self) -> list[Stored]:
        others = list(self.other.by_seed.values()) if self.other else []
        return [*self.own.by_seed.values(), *others]


def case_of(text: str, where: str, key: str) -> Case:
    """The case of an id without seed. Raises BadFile for a name that no registry has."""
    try:
        case = parse_case(f"{text}-s0")
        TASKS[case.task], MODELS[case.model], METHODS[case.method]
    except (ValueError, UnknownName) as error:
        raise refuse(where, key, str(error).replace("-s0'", "'")) from None
    return case


def check(claim: Claim, claims: Mapping[str, Claim]) -> None:
    """Raise BadFile naming file, id and key."""
    where = f"{claim.file} [{claim.id}]"
    check_keys(claim, REQUIRED, OPTIONAL)
    for key in ("figure", "against_figure"):
        if key in claim.by:
            check_name(where, f"by.{key}", claim.by[key], FIGURES, "python -m bench list figures lists them all")
    check_name(where, "by.data", claim.by["data"], ("sample", "full"))
    check_seeds(claim, FIGURES[claim.by["figure"]], where)
    compared = bool({"against", "against_figure"} & claim.by.keys())
    if claim.kind in NEEDS_AGAINST and not compared:
        raise refuse(where, "by", f"lacks against or against_figure, which a claim of {claim.kind} needs")
    if claim.unit == "x" and not compared:
        raise refuse(where, "by", "lacks against or against_figure, of which the claim's × is the quotient")
    if claim.by.get("course") and (claim.kind != "trend" or claim.by["figure"] != COURSE):
        raise refuse(where, "by.course", f"is for a trend by the figure {COURSE}")
    if "times" in claim.by and (claim.by["times"] < 1 or claim.unit == "x"):
        raise refuse(where, "by.times", f"{claim.by['times']} must be at least 1, and multiplies no quotient")
    cases = [case_of(claim.by[key], where, f"by.{key}") for key in ("case", "against") if key in claim.by]
    check_models(claim, cases, where)
    check_figures(claim, where)
    check_difference(claim, compared, where)


def check_seeds(claim: Claim, figure: Figure, where: str) -> None:
    """Raise BadFile for too few seeds for an interval, and for an invalid spread."""
    one_seed, spread = claim.by.get("one_seed", False), claim.by.get("seed_spread")
    least, why = (2, SEEDS_DIFFER) if figure.quality and not one_seed else (1, "")
    if figure.dimension == "time" and not any(figure.spread_path):
        least, why = 2, SECONDS_DIFFER
    if claim.by["seeds"] < least:
        raise refuse(where, "by.seeds", f"must be at least {least}{why}")
    if one_seed and not figure.quality:
        raise refuse(where, "by.one_seed", f"is for quality, and {figure.name} is none")
    if spread is not None and not (one_seed and math.isfinite(spread) and spread > 0):
        raise refuse(where, "by.seed_spread", f"{spread!r} must be above 0, beside one_seed = true")


def check_figures(claim: Claim, where: str) -> None:
    """Check that the figure measures the claim's quantity, and that both sides have one dimension."""
    figure = FIGURES[claim.by["figure"]]
    other = FIGURES[claim.by.get("against_figure", figure.name)]
    if other.dimension != figure.dimension:
        raise refuse(
            where, "by.against_figure", f"{other.name} is in {other.dimension}, {figure.name} in {figure.dimension}"
        )
    dimension = dimension_of(claim.quantity)
    if dimension not in ("ratio", figure.dimension):
        raise refuse(where, "by.figure", f"{figure.name} does not fit {claim.quantity}")
    if dimension == "fraction" and claim.quantity.removesuffix("_difference") not in figure.name:
        raise refuse(where, "by.figure", f"{figure.name} does not fit {claim.quantity}")


def check_difference(claim: Claim, compared: bool, where: str) -> None:
    """Check that a difference of two cases is compared with a difference, and a figure of one with a figure."""
    is_difference = claim.quantity.endswith(DIFFERENCE)
    if compared and claim.unit != "x" and not is_difference:
        other = difference_of(claim.quantity)
        hint = f"{other}, or of a ratio in x" if other else "a ratio in x"
        raise refuse(where, "quantity", f"{claim.quantity} is of one case, and by compares two; make it a claim of "
                     f"{hint}, or leave out against")  # fmt: skip
    if is_difference and not compared:
        raise refuse(where, "by", f"lacks against or against_figure, of which {claim.quantity} is the difference")


def check_models(claim: Claim, cases: list[Case], where: str) -> None:
    """Check that the cases fit the protocol. It names a stand-in's model, and stand_in_for the source's model."""
    for case in cases:
        if claim.protocol.model not in (case.model, UNSTATED, NONE):
            raise refuse(where, "by.case", f"runs {case.model}, but the protocol's model is {claim.protocol.model}; "
                         "protocol.model names the model that runs, and stand_in_for the source's")  # fmt: skip
        stand_in = MODELS[case.model].embedded or MODELS[case.model].tiny
        if stand_in and not claim.stand_in_for:
            raise refuse(where, "stand_in_for", f"{case.model} is no source's model; say which it stands in for")
    own = cases[0]
    allowed = {"task": (own.task, TASKS[own.task].variant_of), "method": (own.method,)}
    for key, names in allowed.items():
        if (stated := getattr(claim.protocol, key)) not in (*names, UNSTATED, NONE):
            raise refuse(where, "by.case", f"runs {names[0]}, but the protocol's {key} is {stated}")
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
    estimate = estimate_figure(claim, sides, seeds)
    state, p_value = decide_state(claim, estimate)
    says = f"{prefix(claim)}{sentence(claim, estimate, p_value)}; records {', '.join(names)}{refused}"
    return Verdict(
        claim.id, state, says, names, p_value, estimate.sample, estimate.unit, p_value_by_units(claim, estimate)
    )


def p_value_by_units(claim: Claim, estimate: Estimate) -> Callable[[int], float] | None:
    """A function: the p-value of the same test over n units with the same spread; None if more would not help."""
    again = estimate.again
    return (lambda count: decide_state(claim, again(count))[1] or 0.0) if again else None


def gather(claim: Claim, evidence: Evidence) -> Sides:
    """The admitted records of both sides; seconds are compared within one run, the last that has both sides."""
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
    """The seeds that both sides have."""
    others = sides.other.by_seed if sides.other else sides.own.by_seed
    return sorted(sides.own.by_seed.keys() & others.keys())


def estimate_figure(claim: Claim, sides: Sides, seeds: list[int]) -> Estimate:
    """The figure, or its quotient or difference, with its interval.

    The interval is over seeds or processes if there are several, for one over its examples or rounds. A figure that
    repeats is taken as it is.
    """
    figure = FIGURES[claim.by["figure"]]
    other_figure = FIGURES[claim.by.get("against_figure", figure.name)]
    own = [sides.own.by_seed[seed] for seed in seeds]
    compared = sides.other is not None or "against_figure" in claim.by
    others = [(sides.other or sides.own).by_seed[seed] for seed in seeds] if compared else []
    values, times = [number(figure, stored) for stored in own], claim.by.get("times", 1)
    if claim.unit == "x":
        below = [number(other_figure, stored) for stored in others]
        if figure.dimension == "time":
            return seconds_quotient(figure, other_figure, own, others)
        values = [a / b for a, b in zip(values, below, strict=True)]
    elif compared:
        values = [a - number(other_figure, b) for a, b in zip(values, others, strict=True)]
    values = [value * times for value in values]
    if figure.repeats and figure.dimension != "time":
        return statistics.exact(values)
    if len(seeds) > 1 or claim.unit == "x":
        return statistics.over_seeds(values, SEEDS if figure.quality else PROCESSES)
    if figure.counts and all(stored.examples for stored in (*own, *others)):
        return estimate_from_one_seed(claim, figure, own, others)
    if not compared and (seen := rounds(figure, own[0])):
        return statistics.median_over_rounds(seen, times, PROCESS_SPREAD)
    return statistics.unknown(values[0], SEEDS if figure.quality else PROCESSES)


def number(figure: Figure, stored: Stored) -> float:
    value = figure.value(stored.record)
    assert value is not None  # admission refused the record otherwise
    return value


def seconds_quotient(figure: Figure, other_figure: Figure, own: list[Stored], others: list[Stored]) -> Estimate:
    """The ratio of seconds: over processes if there are several, else over the rounds of one on each side."""
    above, below = [number(figure, one) for one in own], [number(other_figure, one) for one in others]
    if len(own) > 1:
        return statistics.ratio_over_processes(above, below)
    first, second = rounds(figure, own[0]), rounds(other_figure, others[0])
    if not (first and second):
        return statistics.unknown(above[0] / below[0], PROCESSES)
    return statistics.ratio_over_rounds(first, second, 0.0 if own[0] is others[0] else PROCESS_SPREAD)


def rounds(figure: Figure, stored: Stored) -> Rounds | None:
    """What one process measured several times; STEPS_AS_ONE neighbouring steps count as one observation."""
    spread = figure.spread(stored.record)
    return Rounds(*spread, STEPS_AS_ONE if figure.name == "seconds_per_step" else 1) if spread else None


def estimate_from_one_seed(claim: Claim, figure: Figure, own: list[Stored], others: list[Stored]) -> Estimate:
    """The estimate from one seed on each side: with the examples' noise, and the seed's if the claim states it."""
    assert figure.counts is not None
    assert figure.metric is not None
    paired = figure.counts(others[0]) if others else None
    found = statistics.bootstrap(figure.counts(own[0]), figure.metric, paired)
    if "seed_spread" not in claim.by:
        return replace(found, error=math.inf)
    spread = claim.by["seed_spread"] * UNITS[claim.unit][1]
    return statistics.with_seed_spread(found, spread * math.sqrt(2) if others else spread)


def decide_state(claim: Claim, estimate: Estimate) -> tuple[str, float | None]:
    """The state, and the p-value of the test behind it; figures without spread are compared as they are."""
    if estimate.error == 0:
        values = estimate.values or (estimate.value,)
        holds = {satisfies(value, claim.value, claim.comparator, claim.tolerance) for value in values}
        return (INCONCLUSIVE if len(holds) > 1 else CONFIRMED if holds.pop() else REFUTED), None
    if math.isinf(estimate.error):
        return INCONCLUSIVE, None  # measured once: no test is possible
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


def trend(losses: list[list[float]]) -> tuple[str, float, float]:
    """State, p-value and the weakest seed's Kendall's tau: confirmed if the losses of every seed fall, refuted if all
    rise."""
    tau, falling = max((statistics.falls(course) for course in losses), key=lambda pair: pair[1])
    rising = max(statistics.rises(course) for course in losses)
    state = CONFIRMED if falling < ALPHA else REFUTED if rising < ALPHA else INCONCLUSIVE
    return state, min(falling, rising), tau


def judge_course(claim: Claim, sides: Sides, names: tuple[str, ...], refused: str) -> Verdict:
    """Whether the losses of the steps fall, by Kendall's tau."""
    losses = [stored.record.losses for stored in sides.own.by_seed.values()]
    state, p_value, tau = trend(losses)
    fewest = min(map(len, losses))
    says = (
        f"{prefix(claim)}{claim.place} says the loss falls; over {fewest} steps and {len(losses)} seeds the weakest "
        f"Kendall's tau is {tau:.2f}, {shown_p(p_value)}; records {', '.join(names)}{refused}"
    )
    return Verdict(claim.id, state, says, names, p_value, fewest, STEPS)
