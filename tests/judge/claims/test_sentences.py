"""A reader can derive every arithmetic verdict from its sentence alone, and its `evidence` says nothing else.

A claim's `evidence` is a note written by hand. Its figures are those of the sentence or of the claim, or follow from them
by a sum that stands here, or are printed elsewhere.
"""

import math
import re
from dataclasses import replace
from decimal import Decimal

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
PLACES = re.compile(r"\b(?:Tables?|Figs?\.|sections?|Llama|footnote) \d[\d.]*")
FIGURE = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
LARGEST_CONSTANT = 3600  # of a sum: seconds, bytes and the like
SCALES = (1, 100, 1e-2, 1e3, 1e-3, 1e6, 1e-6, 1e9, 1e-9)
DERIVED = {  # claims whose evidence has figures that follow from the sentence's by these sums
    "s001-roberta-lora-training-steady": ["(0.0329 / 0.0275 - 1) * 100"],
    "s002-gaps-grow": ["1305 / 907", "973 / 634", "550 / 374", "499 / 312"],
    "s002-fewer-updates": ["26872 / 8"],
    "s003-epoch-at-least-12-hours": ["45180 % 3600 / 60"],
    "s003-epoch-rate": ["45180 // 3600", "45180 % 3600 / 60"],
    "s003-epoch-rate-so-far": ["(30 - 2) / 196"],
    "dora-table1-llama3-8b-dora-r16": [
        "(29097984 - 32 * 4096 - 64 * 1024 - 32 * 14336 - 32 * 4096) / (8030261248 + 29097984) * 100"
    ],
    "ia3-added-bytes": ["48 / 2", "144 * 4096 + 48 * 10240", "4 * (144 * 4096 + 48 * 10240) / 1048576"],
    "lora-speedup-25": ["(43.1 / 32.5 - 1) * 100"],
    "lora-deberta-xxl": ["96 / 2"],
    "lora-gpt2-medium-full": ["301989888 + 52833280"],
    "lora-gpt2-large-full": ["707788800 + 66241280"],
    "peftcmp-lora-r32-file": ["36715216 - 36700160"],
    "peftcmp-prompt-file": ["2457728 - 2457600"],
    "peftcmp-prefix-file": ["45875328 - 45875200"],
    "peft-readme-t0-checkpoint": ["144 / 2"],
    "peft-docs-opt-trainable": ["48 / 2"],
    "prompt-xxl-50-total": ["(11137380352 - 11135332352) / 4096"],
    "qlora-double-constants-bits": ["16384 / 64"],
    "vera-table1-gpt3-r256-lora-bytes": ["4.5 * 1024"],
    "vera-vicuna-7b": ["32 * (42496 + 7 * 1024) / 1e6"],
    "vera-table1-gpt3-r256": ["192 * (12288 + 128 * 256) / 1e6"],
}
PRINTED = {  # figures of evidence that its source prints elsewhere, or that are constants
    "s000-embedding-length": (["0.5", "0.3", "0.7", "0.4", "0.2", "0.6"], "the entries of the rows that are counted"),
    "s003-epoch-hours": (["33"], "the clock of Fig. 7, which s003-epoch-at-least-12-hours judges"),
    "ia3-added-bytes": (["2", "1048576"], "the factor of the formula of section 3.3, and the bytes of a MiB"),
    "s003-500-reserves-less": (["0.0"], "printed beside the peak: the rise during training"),
    "ia3-gpt3-6_7b-inference-flops": (["13"], "names another row, 13B"),
    "peft-readme-share-in-words": (["0.1193", "3"], "the output of today's example, of another model"),
    "qlora-32-models": (["7", "13", "33", "65"], "billions of parameters, which name the four models"),
    "vera-table1-gpt3-r256": (
        ["128", "1", "16"],
        "128 gives the figure that is printed; 1 and 16 are other rows' ranks",
    ),
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


def figures_in(text):
    return [found.replace(",", "") for found in FIGURE.findall(PLACES.sub(" ", text))]


def agree(one, other):
    """Whether one of two figures is the other, printed to fewer digits or in another power of ten."""
    for short, long in ((one, other), (other, one)):
        digits = -Decimal(short).as_tuple().exponent
        rounded = (round(abs(float(long)) * scale, digits) for scale in SCALES)
        if float(short) and any(math.isclose(found, float(short), rel_tol=1e-9) for found in rounded):
            return True
    return float(one) == float(other)


def figures_told(claim):
    """The figures of the verdict's sentence and of the claim itself."""
    says = arithmetic.judge(claim, EVIDENCE).says
    return figures_in(f"{says} {claim.by} {claim.protocol} {claim.says} {claim.shown_value()} {claim.id} {claim.where}")


def own_figures(claim):
    """The figures of a claim's evidence that are neither told nor follow by the sums above."""
    told = figures_told(claim) + [repr(eval(sum_of)) for sum_of in DERIVED.get(claim.id, ())]
    return [figure for figure in figures_in(claim.evidence) if not any(agree(figure, one) for one in told)]


@pytest.mark.parametrize("name", ARITHMETIC)
def test_evidence_has_no_figure_that_its_verdict_does_not_have(name):
    printed, _ = PRINTED.get(name, ([], ""))
    unknown = [figure for figure in own_figures(ARITHMETIC[name]) if figure not in printed]
    assert unknown == [], (
        f"the evidence of {name} has {unknown}, which its sentence does not; correct it or derive it here"
    )


@pytest.mark.parametrize("name", DERIVED)
def test_sum_of_an_evidence_is_of_the_sentence(name):
    """Each sum gives a figure of the evidence, and its larger numbers are the sentence's."""
    claim = ARITHMETIC[name]
    told, written = figures_told(claim), figures_in(claim.evidence)
    for sum_of in DERIVED[name]:
        assert any(agree(repr(eval(sum_of)), figure) for figure in written), f"{sum_of} = {eval(sum_of)}"
        parts = [one for one in figures_in(sum_of) if float(one) > LARGEST_CONSTANT]
        assert [one for one in parts if not any(agree(one, other) for other in [*told, *written])] == []


def test_figure_of_older_evidence_is_found():
    claim = ARITHMETIC["s002-fewer-updates"]
    assert own_figures(replace(claim, evidence="each takes 3,360 updates")) == ["3360"]


def test_nothing_is_listed_that_evidence_no_longer_has():
    for name, (figures, _) in PRINTED.items():
        assert [figure for figure in figures if figure not in figures_in(ARITHMETIC[name].evidence)] == []
