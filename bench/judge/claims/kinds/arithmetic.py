"""Arithmetic claims: what a source prints against what follows from its own figures or from a model's shape.

    by = { calculation = "average", of = ["s002-3080-1x8", 638] }
    by = { calculation = "parameters", what = "trainable", model = "bert_base", method = "lora", rank = 8, labels = 48 }

`calculation` names a function of calculations.py, whose arguments are the other keys, or is "parameters", which
is settled twice: by formula and by building the real model on the meta device with peft. An operand is a number
in base units, or the id of a claim, whose value it then is; so what contradicts what can be said by place.
A disagreement with a source's own figures is `inconsistent`, with a physical bound `implausible`, with a
model's architecture `refuted`.
"""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.core.paths import RECIPES
from bench.judge.claims import adapter_calculations, row_calculations  # noqa: F401  (they register themselves)
from bench.judge.claims.calculations import CALCULATIONS, Operand, Operands, Result
from bench.judge.claims.claim import Claim, is_number, known, refuse, registered
from bench.judge.claims.grounds import Evidence, Question, check_keys
from bench.judge.claims.vocabulary import AT_LEAST, EQUAL, SIGNS, satisfied
from bench.judge.verdict import CONFIRMED, IMPLAUSIBLE, INCONCLUSIVE, REFUTED, Verdict
from bench.methods import METHODS
from bench.methods.parameters import formula
from bench.models import MODELS
from bench.models.shapes import targeted, total_parameters
from bench.recipes.files import read_defaults

PARAMETERS = "parameters"
WHATS = ("trainable", "total", "share")
NEEDED = {"calculation": (str,), "what": (str,), "model": (str,), "method": (str,), "rank": (int,)}
OPTIONAL = {"labels": (int,), "targets": (list,)}


def check(claim: Claim, claims: Mapping[str, Claim]) -> None:
    """Raises BadFile naming file, id and key."""
    where = f"{claim.file} [{claim.id}]"
    name = claim.by.get("calculation")
    known(where, "by.calculation", name, [*CALCULATIONS.names(), PARAMETERS])
    if name == PARAMETERS:
        check_keys(claim, NEEDED, OPTIONAL)
        known(where, "by.what", claim.by["what"], WHATS)
        registered(where, "by.method", "method", claim.by["method"])
    else:
        check_arguments(claim, claims, where)
    if "model" in claim.by:
        registered(where, "by.model", "model", claim.by["model"])
    if name == PARAMETERS:
        check_targets(claim, where)


def check_targets(claim: Claim, where: str) -> None:
    if claim.by["rank"] < 1 or claim.by.get("labels", 0) < 0:
        raise refuse(where, "by", "rank must be at least 1 and labels at least 0")
    try:
        targeted(MODELS[claim.by["model"]], tuple(claim.by.get("targets", ())))
    except (ValueError, AttributeError) as error:
        raise refuse(where, "by.targets", str(error)) from None


def arguments_of(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(CALCULATIONS[name].run).parameters


def check_arguments(claim: Claim, claims: Mapping[str, Claim], where: str) -> None:
    """The calculation's arguments, each of its kind; operands that are ids must be claims with a number."""
    wanted = arguments_of(claim.by["calculation"])
    for key, value in claim.by.items():
        if key == "calculation":
            continue
        known(where, "by", key, wanted)
        kind = wanted[key].annotation
        operands = value if kind == Operands else [value] if kind is Operand else []
        if kind == Operands and (not isinstance(value, list) or not value):
            raise refuse(where, f"by.{key}", f"{value!r} must be a list of numbers or of ids of claims")
        for operand in operands:
            check_operand(operand, claims, where, key)
        if kind in (str, int, bool) and type(value) is not kind:
            raise refuse(where, f"by.{key}", f"{value!r} must be {kind.__name__}")
    lacking = [key for key, one in wanted.items() if one.default is one.empty and key not in claim.by]
    if lacking:
        raise refuse(where, "by", f"{claim.by['calculation']} lacks {', '.join(lacking)}")


def check_operand(operand: Any, claims: Mapping[str, Claim], where: str, key: str) -> None:
    if isinstance(operand, str):
        known(where, f"by.{key}", operand, claims)
        if len(claims[operand].value) != 1:
            raise refuse(where, f"by.{key}", f"{operand} has no single number")
    elif not is_number(operand):
        raise refuse(where, f"by.{key}", f"{operand!r} must be a number or the id of a claim")


def questions(claim: Claim) -> list[Question]:
    """What must be asked of a built model."""
    if claim.by["calculation"] != PARAMETERS:
        return []
    asked = {key: value for key, value in claim.by.items() if key not in ("calculation", "what")}
    return [{"look": PARAMETERS, "labels": 0, "targets": [], **asked}]


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    if claim.by["calculation"] == PARAMETERS:
        return judge_parameters(claim, evidence)
    places: list[str] = []
    given: dict[str, Any] = {}
    for key, value in claim.by.items():
        if key == "calculation":
            continue
        kind = arguments_of(claim.by["calculation"])[key].annotation
        if kind == Operands:
            given[key] = [operand(one, evidence, places) for one in value]
        else:
            given[key] = operand(value, evidence, places) if kind is Operand else value
    calculation = CALCULATIONS[claim.by["calculation"]]
    state, says = compared(claim, calculation.run(**given), calculation.fails_as)
    against = f"; its figures: {', '.join(dict.fromkeys(places))}" if places else ""
    return Verdict(claim.id, state, says + against)


def operand(value: Any, evidence: Evidence, places: list[str]) -> Operand:
    """A number as it is, a claim as its value; its place is noted."""
    if not isinstance(value, str):
        return Operand(value, f"{value:,}")
    claim = evidence.claims[value]
    places.append(claim.place)
    return Operand(claim.value[0], claim.shown_value(), claim.place)


def compared(claim: Claim, result: Result, fails_as: str) -> tuple[str, str]:
    """The state, and the sentence: printed, computed, tolerance, place.

    Where a figure is printed and a bound computed, the figure must reach it.
    """
    bound = fails_as == IMPLAUSIBLE and claim.comparator == EQUAL
    if bound:
        holds = satisfied(claim.value[0], (result.value,), AT_LEAST, claim.tolerance)
    else:
        holds = satisfied(result.value, claim.value, claim.comparator, claim.tolerance)
    tolerance = f" ± {claim.shown(claim.tolerance)}" if claim.tolerance else ""
    says = f"{claim.place} says {SIGNS[claim.comparator]}{claim.shown_value()}{tolerance}; "
    computed = f"{result.how} = {claim.shown(result.value)}" if result.how else f"elsewhere {claim.shown(result.value)}"
    says += f"it cannot be below {computed}" if bound else computed
    return (CONFIRMED if holds else fails_as), says


def judge_parameters(claim: Claim, evidence: Evidence) -> Verdict:
    """By formula and by the real model; where the two disagree, the adapter is broken and nothing is confirmed."""
    expected = by_formula(claim.by)
    what = claim.by["what"]
    state, says = compared(claim, Result(figure(expected, what), described(claim.by, expected)), REFUTED)
    built = evidence.answer(questions(claim)[0])
    if built is None:
        return Verdict(claim.id, INCONCLUSIVE, f"{says}; the model could not be built: {evidence.unanswered}")
    if built != expected:
        return Verdict(claim.id, REFUTED, f"{says}; but peft's model has {built['trainable']:,} of {built['total']:,}")
    return Verdict(claim.id, state, f"{says}; by formula and in peft's model alike")


def by_formula(by: Mapping[str, Any]) -> dict[str, int]:
    """trainable and total parameters from the architecture's numbers."""
    entry, method, labels = MODELS[by["model"]], METHODS[by["method"]], by.get("labels", 0)
    recipe = replace(read_defaults(RECIPES)[0], rank=by["rank"])
    if by.get("targets"):
        method = replace(method, targets=lambda model: tuple(by["targets"]))
    trainable = formula(entry, method, recipe, labels)
    # peft keeps an encoder's head as it was beside the copy that trains, so it counts twice
    total = total_parameters(entry, labels) + (trainable if method.is_adapter else 0)
    return {"trainable": trainable, "total": total}


def figure(counts: Mapping[str, int], what: str) -> float:
    return counts["trainable"] / counts["total"] if what == "share" else counts[what]


def described(by: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    name = f"{by['method']} at rank {by['rank']} on {by['model']}"
    if by.get("targets"):
        name += f"'s {' and '.join(by['targets'])}"
    if by["what"] == "share":
        return f"{name}: {counts['trainable']:,} / {counts['total']:,}"
    return f"{by['what']} parameters of {name}"
