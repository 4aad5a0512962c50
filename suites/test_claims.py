"""What papers claim: a test passes while the outcome that fixtures/claims stands behind still holds.

pytest suites/test_claims.py                  by the runs that are committed
pytest suites/test_claims.py --replay RUN     by the records of a run of yours
pytest suites --methods dora                  only claims about dora, beside its cases
"""

import pytest

from bench.judge.claims.claim import Claim
from bench.judge.verdict import ERROR, INCONCLUSIVE, NOT_RUN, Verdict


def test_claim(claim: Claim, verdicts: dict[str, Verdict], replayed: bool) -> None:
    verdict = verdicts[claim.id]
    assert verdict.state != ERROR, (
        f"{claim.id} could not be judged: {verdict.says}; expected {claim.expected}; can its model be built "
        "here, and can its runs be read?"
    )
    if verdict.state == NOT_RUN and (replayed or claim.expected == NOT_RUN):
        pytest.skip(verdict.says)
    if claim.expected == NOT_RUN:
        pytest.skip(f"{verdict.state}, and {claim.file} stands behind no outcome yet: {verdict.says}")
    if replayed and verdict.state == INCONCLUSIVE:
        pytest.skip(f"this run decides nothing: {verdict.says}")
    assert verdict.state == claim.expected, (
        f"{verdict.state}, expected {claim.expected}: {verdict.says}; were other runs stored, or did the claim's file "
        f"{claim.file} change?"
    )
