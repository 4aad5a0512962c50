"""All claims judged: each by the judge of its kind, then corrected for how many tests were made at once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from bench.judge.claims.claim import Claim
from bench.judge.claims.grounds import Evidence, Question
from bench.judge.claims.kinds import arithmetic, counted, measured, probed, structural
from bench.judge.claims.wording import enough_seeds, shown_p
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
    "probe": Kind(probed.check, probed.judge),
}


def questions_of(claims: Iterable[Claim]) -> list[Question]:
    """What must be asked of built models, each once."""
    found: list[Question] = []
    for claim in claims:
        found += [question for question in KINDS[claim.kind].questions(claim) if question not in found]
    return found


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    """One claim by itself."""
    return KINDS[claim.kind].judge(claim, evidence)


def judge_all(claims: Iterable[Claim], evidence: Evidence) -> dict[str, Verdict]:
    """Every claim's verdict by its id. Those that rest on a test must hold after Holm's correction too."""
    return corrected({claim.id: judge(claim, evidence) for claim in claims})


def corrected(verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    tested = {name: verdict.p_value for name, verdict in verdicts.items() if verdict.p_value is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    result = dict(verdicts)
    for name, p_value in adjusted.items():
        verdict = verdicts[name]
        says = f"{verdict.says}; {shown_p(p_value)} after Holm's correction for {len(tested)} tests"
        state = verdict.state if p_value < ALPHA else INCONCLUSIVE
        if state == INCONCLUSIVE and verdict.seeds:
            says += enough_seeds(verdict, [other for key, other in tested.items() if key != name])
        result[name] = replace(verdict, state=state, says=says)
    return result
