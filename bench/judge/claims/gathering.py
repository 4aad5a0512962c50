"""The evidence for claims: stored runs, the census, and a worker's answers about models."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.work import LOOK_INTO_MODELS, PRELOAD, LooksWork
from bench.executor import Executor, Job
from bench.judge.claims.claim import Claim
from bench.judge.claims.grounds import Evidence, Question, key_of
from bench.judge.claims.kinds.counted import read_census
from bench.judge.claims.verdicts import questions_of
from bench.records.stored import stored_records

TIMEOUT_SECONDS = 600.0
WORK = "models looked into"


def ask(questions: Sequence[Question], entries: tuple[str, ...] = ()) -> tuple[dict[str, Any], str]:
    """The worker's answers by key_of(question), or none and the reason."""
    if not questions:
        return {}, ""
    job = Job(WORK, LOOK_INTO_MODELS, LooksWork(tuple(questions)).to_plain())
    with Executor((*PRELOAD, *entries), TIMEOUT_SECONDS) as executor:
        executor.submit(job)
        outcome = executor.outcome(WORK)
    if outcome.result is None:
        return {}, outcome.reason or outcome.status
    found = zip(map(key_of, questions), outcome.result["answers"], strict=True)
    return {key: answer for key, answer in found if answer is not None}, "; ".join(outcome.result["failures"])


def gather(
    claims: Mapping[str, Claim], runs: Iterable[Path], entries: tuple[str, ...] = ()
) -> tuple[Evidence, list[str]]:
    """All evidence, and a sentence for each line of a run that could not be read. Raises BadFile for the census."""
    records, complaints = stored_records(runs)
    answers, reason = ask(questions_of(claims.values()), entries)
    return Evidence(claims, tuple(records), read_census(), answers, reason), complaints
