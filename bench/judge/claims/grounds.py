"""The grounds of a verdict: claims, stored records, counts of data sets and answers about models."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.judge.claims.claim import Claim, check_name, refuse
from bench.records.stored import Stored

Question = Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """answers: of bench.worker.check.looks, by key_of(question); unanswered: why there are none.

    census: counts of the full data sets, by task.
    """

    claims: Mapping[str, Claim]
    records: tuple[Stored, ...] = ()
    census: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    unanswered: str = "nobody asked"

    def answer(self, question: Question) -> Any:
        """The answer, or None if the worker could not give one."""
        return self.answers.get(key_of(question))


def key_of(question: Question) -> str:
    return json.dumps(question, sort_keys=True)


def check_keys(claim: Claim, required: Mapping[str, Any], optional: Mapping[str, Any]) -> None:
    """Raise BadFile if `by` lacks a key, has an unknown one, or one of the wrong type."""
    where = f"{claim.file} [{claim.id}]"
    kinds = {**required, **optional}
    for key, value in claim.by.items():
        check_name(where, "by", key, kinds)
        if type(value) not in kinds[key]:
            wanted = " or ".join(kind.__name__ for kind in kinds[key])
            raise refuse(where, f"by.{key}", f"{value!r} must be {wanted}, not {type(value).__name__}")
    if lacking := [key for key in required if key not in claim.by]:
        raise refuse(where, "by", f"lacks {', '.join(lacking)}")
