"""Verdicts on all claims: each by the judge of its kind, then corrected for the number of simultaneous tests."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from bench.judge.claims.claim import Claim
from bench.judge.claims.grounds import Evidence, Question
from bench.judge.claims.kinds import arithmetic, counted, measured, probes, structural
from bench.judge.claims.wording import enough, shown_p
from bench.judge.statistics import ALPHA, holm
from bench.judge.verdict import INCONCLUSIVE, Verdict


def nothing(claim: Claim) -> list[Question]:
    return []


@dataclass(frozen=True)
class Kind:
    """check(claim, claims) raises BadFile; questions(claim) are for a worker; judge(claim, evidence) -> Verdict."""

    check: Callable[[Claim, Mapping[str, Claim]], None]
    judge: Callable[[Claim, Evidence], Verdict]
    questions: Callable[[Claim], list[Question]] = nothing


MEASURED = Kind(measured.check, measured.judge)
KINDS: dict[str, Kind] = {
    "arithmetic": Kind(arithmetic.check, arithmetic.judge, arithmetic.questions),
    "structural": Kind(structural.check, structural.judge, structural.questions),
    "counted": Kind(counted.check, counted.judge),
    "threshold": MEASURED,
    "equivalence": MEASURED,
    "direction": MEASURED,
    "trend": MEASURED,
    "probe": Kind(probes.check, probes.judge),
}


def questions_of(claims: Iterable[Claim]) -> list[Question]:
    """The questions to ask about built models, each once."""
    found: list[Question] = []
    for claim in claims:
        found += [question for question in KINDS[claim.kind].questions(claim) if question not in found]
    return found


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    """The verdict on one claim by itself."""
    return KINDS[claim.kind].judge(claim, evidence)


def judge_all(claims: Iterable[Claim], evidence: Evidence) -> dict[str, Verdict]:
    """Every claim's verdict by its id. A verdict from a test must hold after Holm's correction in its family."""
    claims = list(claims)
    families = {claim.id: family_of(claim) for claim in claims}
    return correct_by_holm({claim.id: judge(claim, evidence) for claim in claims}, families)


def family_of(claim: Claim) -> str:
    return claim.family or f"source {claim.source}"


def claims_to_judge(names: Iterable[str], claims: Mapping[str, Claim]) -> dict[str, Claim]:
    """The named claims, all claims of their families, and those whose figures they cite."""
    families = {family_of(claims[name]) for name in names}
    own = [name for name, claim in claims.items() if family_of(claim) in families]
    wanted = {name for one in own for name in arithmetic.claims_behind(one, claims)}
    return {name: claim for name, claim in claims.items() if name in wanted}


def correct_by_holm(verdicts: Mapping[str, Verdict], families: Mapping[str, str]) -> dict[str, Verdict]:
    """Each test's verdict after Holm's correction within its family; without a family, within its source's claims.

    So a claim of another paper does not change the verdicts on this one.
    """
    result = dict(verdicts)
    for family in dict.fromkeys(families.values()):
        tested = {
            name: verdict.p_value
            for name, verdict in verdicts.items()
            if families[name] == family and verdict.p_value is not None
        }
        for name, p_value in zip(tested, holm(list(tested.values())), strict=True):
            others = [other for key, other in tested.items() if key != name]
            result[name] = after_correction(verdicts[name], p_value, others, family)
    return result


def after_correction(verdict: Verdict, p_value: float, others: list[float], family: str) -> Verdict:
    """p_value: the corrected one; others: those of the family's other tests, as they were."""
    tests = f"{len(others) + 1} test{'s' * bool(others)} of {family}"
    says = f"{verdict.says}; {shown_p(p_value)} after Holm's correction for {tests}"
    state = verdict.state if p_value < ALPHA else INCONCLUSIVE
    return replace(verdict, state=state, says=says + (enough(verdict, others) if state == INCONCLUSIVE else ""))
