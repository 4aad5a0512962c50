"""Arithmetic claims: a printed figure compared with what follows from the source's figures or a model's shape.

    by = { calculation = "average", of = ["s002-3080-1x8", 638] }
    by = { calculation = "same", of = { value = 14.748, unit = "GiB", where = "Fig. 3" } }
    by = { calculation = "parameters", what = "total", model = "gpt2", method = "lora", rank = 8, targets = "default" }

`calculation` names a function of calculations.py, whose arguments are the other keys, or is "parameters"
(parameters.py), which is computed twice: by formula and by building the real model on the meta device with peft. An
operand is the id of a claim (its value is used), a table with value, unit and where it is printed, or a bare number in
base units. A table may say inferred = true for a figure that no source prints.

A disagreement with a source's own figures is `inconsistent`, with a physical bound `implausible`, with a model's
architecture `refuted`. A figure that keeps within a bound, or agrees with an inferred figure, is `possible`. If formula
and model disagree, the project is wrong, and the verdict is an `error`.
"""

import inspect
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bench.judge.claims import adapter_calculations, parameters, row_calculations  # noqa: F401  (they register themselves)
from bench.judge.claims.calculations import (
    CALCULATIONS,
    LEAST,
    LIKE,
    MOST,
    QUOTIENT,
    BadArgument,
    Calculation,
    Operand,
    Operands,
    Result,
)
from bench.judge.claims.claim import NONE, UNSTATED, Claim, check_name, check_registered, is_number, refuse
from bench.judge.claims.grounds import Evidence, Question
from bench.judge.claims.parameters import PARAMETERS
from bench.judge.claims.vocabulary import (
    ABOVE,
    BELOW,
    SIGNS,
    UNITS,
    dimension_of,
    parts_of,
    satisfies,
    source_figure_text,
)
from bench.judge.claims.wording import bounds
from bench.judge.verdict import CONFIRMED, ERROR, INCONCLUSIVE, POSSIBLE, REFUTED, Verdict

INLINE = {"value": (int, float), "unit": (str,), "where": (str,), "inferred": (bool,)}  # of an operand that is a table
NEEDED_INLINE = ("value", "unit", "where")
ROUNDING = 1e-12  # floating-point error at a bound


def check(claim: Claim, claims: Mapping[str, Claim]) -> None:
    """Raise BadFile naming file, id and key."""
    where = f"{claim.file} [{claim.id}]"
    name = claim.by.get("calculation")
    names = [*CALCULATIONS.names(), PARAMETERS]
    check_name(where, "by.calculation", name, names, "python -m bench list calculations lists them with their keys")
    for key in ("model", "method"):
        if key in claim.by:
            check_protocol(claim, key, where)
    if name == PARAMETERS:
        parameters.check(claim, where)
        check_dimension(claim, parameters.UNITS_OF[claim.by["what"]], where)
    else:
        check_arguments(claim, claims, where)


def check_protocol(claim: Claim, key: str, where: str) -> None:
    """Check that the protocol's model and method are those that the claim is judged on."""
    check_registered(where, f"by.{key}", key, claim.by[key])
    stated = getattr(claim.protocol, key)
    if stated not in (claim.by[key], UNSTATED, NONE):
        raise refuse(where, f"by.{key}", f"{claim.by[key]!r} is not the protocol's, which is {stated!r}")


def check_dimension(claim: Claim, given: str, where: str) -> None:
    wanted = dimension_of(claim.quantity)
    if parts_of(wanted) != parts_of(given):
        raise refuse(where, "by.calculation", f"gives {given}, and {claim.quantity} is in {wanted}")


def arguments_of(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(CALCULATIONS[name].run).parameters


def check_arguments(claim: Claim, claims: Mapping[str, Claim], where: str) -> None:
    """Check each argument's kind and dimension, and that the calculation gives a figure with them."""
    wanted = arguments_of(claim.by["calculation"])
    for key, value in claim.by.items():
        if key == "calculation":
            continue
        check_name(where, "by", key, wanted)
        kind = wanted[key].annotation
        if kind == Operands and (not isinstance(value, list) or not value):
            raise refuse(where, f"by.{key}", f"{value!r} must be a list of numbers or of ids of claims")
        if kind in (str, int, bool) and type(value) is not kind:
            raise refuse(where, f"by.{key}", f"{value!r} must be {kind.__name__}")
        if kind is int and value < 1:
            raise refuse(where, f"by.{key}", f"{value} must be at least 1")
        for one in operands_in(value, kind):
            check_operand(claim, one, claims, where, key)
    lacking = [key for key, one in wanted.items() if one.default is one.empty and key not in claim.by]
    if lacking:
        raise refuse(where, "by", f"{claim.by['calculation']} lacks {', '.join(lacking)}")
    check_outcome(claim, claims, where)


def operands_in(value: Any, kind: Any) -> list[Any]:
    return value if kind == Operands else [value] if kind is Operand else []


def check_operand(claim: Claim, one: Any, claims: Mapping[str, Claim], where: str, key: str) -> None:
    if isinstance(one, str):
        check_name(where, f"by.{key}", one, claims)
        if len(claims[one].value) != 1:
            raise refuse(where, f"by.{key}", f"{one} has no single number")
        if claim.id in claims_behind(one, claims):
            through = "itself" if one == claim.id else f"{one}, which cites it again"
            raise refuse(where, f"by.{key}", f"the claim cites {through}; one contradiction would count twice")
    elif isinstance(one, dict):
        check_inline(one, where, key)
    elif not is_number(one):
        raise refuse(where, f"by.{key}", f"{one!r} must be a number or the id of a claim")


def check_inline(table: Mapping[str, Any], where: str, key: str) -> None:
    for name, value in table.items():
        check_name(where, f"by.{key}", name, INLINE)
        if type(value) not in INLINE[name] or (name == "value" and not is_number(value)):
            kinds = " or ".join(kind.__name__ for kind in INLINE[name])
            raise refuse(where, f"by.{key}.{name}", f"{value!r} must be {kinds}")
    if lacking := [name for name in NEEDED_INLINE if name not in table]:
        raise refuse(where, f"by.{key}", f"lacks {', '.join(lacking)}")
    check_name(where, f"by.{key}.unit", table["unit"], UNITS)


def claims_behind(name: str, claims: Mapping[str, Claim], seen: frozenset[str] = frozenset()) -> set[str]:
    """The claim and all claims whose figures it depends on."""
    found = {name}
    for value in claims[name].by.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one in claims and one not in seen | found:
                found |= claims_behind(one, claims, seen | found)
    return found


def check_outcome(claim: Claim, claims: Mapping[str, Claim], where: str) -> None:
    """Check that the dimensions fit, and that the calculation does not fail on these arguments."""
    calculation = CALCULATIONS[claim.by["calculation"]]
    given = arguments(claim, claims)
    for key, dimension in calculation.takes.items():
        seen = given[key].dimension
        if seen and parts_of(seen) != parts_of(dimension):
            raise refuse(where, f"by.{key}", f"is in {seen}, and must be in {dimension}")
    result_dimension(claim, calculation, given, where)
    try:
        (calculation.check or calculation.run)(**given)
    except BadArgument as error:
        raise refuse(where, f"by.{error.key}", str(error)) from None
    except (ValueError, KeyError, ArithmeticError) as error:
        raise refuse(where, "by", f"{claim.by['calculation']}: {error}") from None


def result_dimension(claim: Claim, calculation: Calculation, given: Mapping[str, Any], where: str) -> None:
    """Raise BadFile if result and claim differ in dimension; a bare number fits any dimension."""
    if calculation.gives == QUOTIENT:
        operands = {key: given.get(key, []) for key in ("of", "over")}
        if any(not one.dimension for found in operands.values() for one in found):
            return
        powers: Counter[str] = Counter()
        for key, sign in (("of", 1), ("over", -1)):
            for one in operands[key]:
                for part, power in parts_of(one.dimension).items():
                    powers[part] += sign * power
        seen = {part: power for part, power in powers.items() if power}
        if seen != parts_of(dimension_of(claim.quantity)):
            shown = " × ".join(f"{part}^{power}" for part, power in seen.items()) or "a number"
            raise refuse(
                where, "by.of", f"over by.over is {shown}, and {claim.quantity} is in {dimension_of(claim.quantity)}"
            )
        return
    dimensions = dict.fromkeys(one.dimension for one in every_operand(given) if one.dimension)
    if calculation.takes or calculation.gives not in (LIKE, "ratio"):
        check_dimension(claim, calculation.gives, where)
    elif len({tuple(parts_of(dimension).items()) for dimension in dimensions}) > 1:
        raise refuse(where, "by.of", f"mixes {' and '.join(dimensions)}")
    elif dimensions or calculation.gives != LIKE:
        check_dimension(claim, next(iter(dimensions)) if calculation.gives == LIKE else calculation.gives, where)


def every_operand(given: Mapping[str, Any]) -> Iterator[Operand]:
    for value in given.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Operand):
                yield one


def questions(claim: Claim) -> list[Question]:
    """The questions to ask about a built model."""
    return [parameters.question(claim.by)] if claim.by["calculation"] == PARAMETERS else []


def arguments(claim: Claim, claims: Mapping[str, Claim]) -> dict[str, Any]:
    """The arguments that the calculation is called with."""
    kinds = {key: one.annotation for key, one in arguments_of(claim.by["calculation"]).items()}
    given: dict[str, Any] = {}
    for key, value in claim.by.items():
        if key != "calculation":
            found = [operand(one, claim.source, claims) for one in operands_in(value, kinds[key])]
            given[key] = found if kinds[key] == Operands else found[0] if found else value
    return given


def operand(value: Any, source: str, claims: Mapping[str, Claim]) -> Operand:
    """A bare number as it is, a table by its unit, a claim as its value; each with its place."""
    if isinstance(value, dict):
        unit = value["unit"]
        number = value["value"] * UNITS[unit][1]
        inferred = value.get("inferred", False)
        place = f"{value['where']}{', inferred' if inferred else ''}"
        return Operand(number, source_figure_text(number, unit), place, UNITS[unit][0], inferred)
    if isinstance(value, str):
        claim = claims[value]
        place = claim.where if claim.source == source else claim.place
        return Operand(claim.value[0], claim.shown_value(), place, dimension_of(claim.quantity))
    return Operand(value, f"{value:,}")


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    if claim.by["calculation"] == PARAMETERS:
        return judge_parameters(claim, evidence)
    given = arguments(claim, evidence.claims)
    calculation = CALCULATIONS[claim.by["calculation"]]
    state, says = compare_figures(claim, calculation.run(**given), calculation.fails_as, calculation.bound)
    operands = list(every_operand(given))
    if any(one.inferred for one in operands):
        state = POSSIBLE if state in (CONFIRMED, POSSIBLE) else INCONCLUSIVE
    places = dict.fromkeys(f"{one.shown} ({one.place})" for one in operands if one.place)
    return Verdict(claim.id, state, says + (f"; its figures: {', '.join(places)}" if places else ""))


def compare_figures(claim: Claim, result: Result, fails_as: str, bound: str = "") -> tuple[str, str]:
    """The state, and the sentence: printed, computed, tolerance, place."""
    says = f"{claim.place} says {SIGNS[claim.comparator]}{claim.shown_value()}{claim.shown_tolerance()}; "
    value = claim.number_text(result.value)
    computed = result.how if result.how.removeprefix("elsewhere ") == value else f"{result.how} = {value}"
    if bound:
        return state_of_bound(claim, result.value, bound, fails_as), f"{says}it cannot be {WORDS[bound]} {computed}"
    holds = satisfies(result.value, claim.value, claim.comparator, claim.tolerance)
    return (CONFIRMED if holds else fails_as), says + computed


WORDS = {LEAST: "below", MOST: "above"}


def state_of_bound(claim: Claim, value: float, bound: str, fails_as: str) -> str:
    """The state if value bounds the true figure from below (or above): possible unless the bound proves more."""
    low, high = bounds(claim)
    slack = ROUNDING * abs(value)
    if bound == LEAST:
        breaks = value > high + slack or (claim.comparator == BELOW and value >= high)
        proves = math.isinf(high) and satisfies(value, claim.value, claim.comparator, claim.tolerance)
    else:
        breaks = value < low - slack or (claim.comparator == ABOVE and value <= low)
        proves = math.isinf(low) and satisfies(value, claim.value, claim.comparator, claim.tolerance)
    return fails_as if breaks else CONFIRMED if proves else POSSIBLE


def judge_parameters(claim: Claim, evidence: Evidence) -> Verdict:
    """The verdict by formula and by the real model; if the two disagree, the project is wrong and nothing is known."""
    by = claim.by
    expected = parameters.by_formula(by)
    state, says = compare_figures(claim, Result(parameters.figure(by, expected), parameters.how(by)), REFUTED)
    built = evidence.answer(questions(claim)[0])
    if built is None:
        return Verdict(claim.id, INCONCLUSIVE, f"{says}; the model could not be built: {evidence.unanswered}")
    if other := [
        f"{name} {built[name]:,}, by formula {count:,}" for name, count in expected.items() if built[name] != count
    ]:
        says += f"; an error of this project, which says nothing of the source: peft's model has {' and '.join(other)}"
        return Verdict(claim.id, ERROR, says)
    if inferred := by.get("inferred"):
        state = POSSIBLE if state == CONFIRMED else INCONCLUSIVE
        says += f"; {' and '.join(inferred)} inferred, for the source does not state it"
    return Verdict(claim.id, state, f"{says}; by formula and in peft's model alike")
