"""A reader can derive every arithmetic verdict from its sentence alone.

A claim's `evidence` is a note written by hand: it may add figures, and nothing here compares it with the sentence.
"""

import math
import re
from dataclasses import replace

import pytest

from bench.judge.claims import parameters
from bench.judge.claims.book import read_claims
from bench.judge.claims.grounds import Evidence, key_of
from bench.judge.claims.kinds import arithmetic
from bench.judge.claims.vocabulary import UNITS
from bench.judge.verdict import ERROR

CLAIMS = read_claims()
ARITHMETIC = {name: claim for name, claim in CLAIMS.items() if claim.kind == "arithmetic"}
ANSWERS = {  # as if peft's model agreed with the formula; tests/report/test_claims.py asks the model
    key_of(question): parameters.by_formula(claim.by) | {"adapter": 0}
    for claim in ARITHMETIC.values()
    for question in arithmetic.questions(claim)
}
EVIDENCE = Evidence(CLAIMS, answers=ANSWERS)
FACTORS = {unit: factor for unit, (_, factor) in UNITS.items()} | {"×": 1}
UNIT = "|".join(sorted(map(re.escape, FACTORS), key=len, reverse=True))
NUMBER = rf"-?[\d,]*\d(?:\.\d+)?(?:e[+-]?\d+)?(?:×|%| (?:{UNIT})\b)?"
TOKEN = re.compile(rf"(?P<word>[A-Za-z_][\w'.-]*)|(?P<number>{NUMBER.removeprefix('-?')})|(?P<sign>[-+×/()⌈⌉])")
SAID = re.compile(
    rf"(?P<sign>at least |at most |above |below |within ± |)(?P<first>yes|no|{NUMBER})"
    rf"(?: to (?P<last>{NUMBER}))?(?: ± (?P<tolerance>{NUMBER}))?"
)
ROW = re.compile(r"the (largest in size|largest|least) of (.*)")
PROVED = {"below": ("at least ", "above "), "above": ("at most ", "below ")}  # what a bound can prove
READ_OFF = ("has_encoder", "fibonacci_terms")  # what is seen, and is no sum
OF_A_PARAMETER = "bytes of one parameter, which the precision in `says` or `evidence` sets: no source prints it"
SETTINGS = ("bytes_each", "batch", "accumulation", "other_batch", "other_accumulation")  # the sentence names them
BARE = {  # claims with figures that no place can be given to: the figures, and why
    "lora-gpt3-budget-bytes": ([2], OF_A_PARAMETER),
    "peftcmp-lora-r32-file": ([4], OF_A_PARAMETER),
    "peftcmp-full-file": ([2], OF_A_PARAMETER),
    "peftcmp-prompt-file": ([4], OF_A_PARAMETER),
    "peftcmp-prefix-file": ([4], OF_A_PARAMETER),
    "peft-readme-t0-checkpoint": ([4], OF_A_PARAMETER),
    "vera-vicuna-7b-bytes": ([32, 4], f"layers of Llama 7B, and {OF_A_PARAMETER}"),
    "qlora-double-constants-bits": ([8, 32, 64, 16384], "all of the claim's own place; a sum's terms are no one unit"),
    "qlora-double-saves-65b": ([65000000000, 8], "the 65B of `says`, and the 8 bits of a byte"),
}
CHOICES = {"largest in size": lambda row: max(row, key=abs), "largest": max, "least": min}


def measured(text):
    """A figure with its unit, in base units."""
    if text in ("yes", "no"):
        return float(text == "yes")
    found = re.fullmatch(r"(-?[\d,.]+(?:e[+-]?\d+)?)\s?(.*)", text)
    return float(found[1].replace(",", "")) * FACTORS[found[2] or "fraction"]


def computed(text):
    """The value of a sum as a sentence writes it; words are read over."""
    if text in ("yes", "no"):
        return measured(text)
    signs = {"×": "*", "⌈": "ceil(", "⌉": ")"}
    parts = []
    for token in TOKEN.finditer(text):
        if token["number"]:
            parts.append(repr(measured(token["number"])))
        elif token["sign"]:
            parts.append(signs.get(token["sign"], token["sign"]))
    return eval("".join(parts), {"ceil": math.ceil})  # numbers and signs alone


def derived(text):
    """The value of the second part of a sentence."""
    how = text.rpartition(": ")[2].removeprefix("elsewhere ")
    if row := ROW.fullmatch(how):
        return CHOICES[row[1]]([computed(one) for one in row[2].split(", ")])
    return computed(how)


def state_of(said, bound, value):
    """Whether the claim holds (True), fails (False) or is only not contradicted (None), by the text alone."""
    first, last = measured(said["first"]), measured(said["last"] or said["first"])
    slack = measured(said["tolerance"] or "0") * (1 + 1e-9) + 1e-9 * abs(value)
    holds = {
        "": first - slack <= value <= last + slack,
        "at least ": value >= first - slack,
        "at most ": value <= first + slack,
        "above ": value > first,
        "below ": value < first,
        "within ± ": abs(value) <= first + slack,
    }[said["sign"]]
    if not bound:
        return holds
    if said["sign"] in PROVED[bound]:
        return True if holds else None
    breaks = value > last + slack if bound == "below" else value < first - slack
    return False if breaks or (said["sign"] and not holds) else None


@pytest.mark.parametrize("name", [name for name, one in ARITHMETIC.items() if one.by["calculation"] not in READ_OFF])
def test_arithmetic_verdict_follows_from_its_own_sentence(name):
    claim = ARITHMETIC[name]
    verdict = arithmetic.judge(claim, EVIDENCE)
    first, second, *_ = verdict.says.removeprefix(f"{claim.place} says ").split("; ")
    said = SAID.fullmatch(first)
    assert said, f"cannot read the claim in {first!r}"
    bounded = re.match(r"it cannot be (below|above) ", second)
    how, _, result = second.removeprefix(bounded[0] if bounded else "").rpartition(" = ")
    value = derived(how or result)
    assert measured(result.removeprefix("elsewhere ")) == pytest.approx(value, rel=2e-5)
    holds = state_of(said, bounded and bounded[1], value)
    inferred = "inferred" in verdict.says
    wanted = {
        True: {"possible"} if inferred else {"confirmed"},
        False: {"inconclusive"} if inferred else {"refuted", "inconsistent", "implausible"},
        None: {"possible"},
    }[holds]
    assert verdict.state in wanted, verdict.says


@pytest.mark.parametrize("name", ARITHMETIC)
def test_every_figure_of_a_sentence_has_its_place(name):
    """Figures that are cited or placed come with where they are printed."""
    claim = ARITHMETIC[name]
    says = arithmetic.judge(claim, EVIDENCE).says
    for value in claim.by.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one in CLAIMS:
                assert f"({CLAIMS[one].where})" in says
            if isinstance(one, dict) and "where" in one:
                assert one["where"] in says


def test_parameters_are_told_with_rank_targets_and_labels():
    says = arithmetic.judge(CLAIMS["s001-bert-lora-trainable"], EVIDENCE).says
    assert (
        "lora at rank 8 on query and value of bert_base with a classifier of 48 labels: "
        "24 × 8 × (768 + 768) + 768 × 48 + 48 = 331,824 parameters"
    ) in says


def test_no_arithmetic_claim_ends_in_an_error_of_the_project():
    assert [name for name, claim in ARITHMETIC.items() if arithmetic.judge(claim, EVIDENCE).state == ERROR] == []


def bare_figures(claim):
    """The operands without unit and place."""
    if claim.by["calculation"] == "parameters":
        return []
    kinds = {key: one.annotation for key, one in arithmetic.arguments_of(claim.by["calculation"]).items()}
    return [
        one
        for key, value in claim.by.items()
        if key in kinds and key not in SETTINGS
        for one in arithmetic.operands_in(value, kinds[key])
        if type(one) in (int, float)
    ]


def test_figures_of_every_claim_state_unit_and_place():
    found = {name: figures for name, claim in ARITHMETIC.items() if (figures := bare_figures(claim))}
    assert found == {name: figures for name, (figures, _) in BARE.items()}


def test_figure_without_a_place_is_found():
    claim = ARITHMETIC["adalora-share-r8"]
    assert bare_figures(claim) == []
    assert bare_figures(replace(claim, by={**claim.by, "over": [184_000_000]})) == [184_000_000]
