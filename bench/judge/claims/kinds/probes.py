"""Claims about an answer: it must, or must not, contain something.

    by = { case = "alpaca-llama31_8b-qlora-cuda", data = "full", asked = "9.11 or 9.9?", probe = "source003/en-larger" }

`asked` is a part of the prompt, `probe` the item's key where it is one of the probes. The answers are those of the
tuned model: in the record's table `generated`, and in RUN/predictions/CASE.probes.jsonl (said_after). A prompt that is
neither a probe's nor in the sample cannot be looked up, because the full data is not at hand when claims are read.
"""

from collections.abc import Iterator, Mapping

from bench.core.case import parse_case
from bench.core.registry import first_few, nearest
from bench.judge.claims.admission import admit
from bench.judge.claims.claim import Claim, check_name, refuse
from bench.judge.claims.grounds import Evidence, check_keys
from bench.judge.claims.kinds.measured import case_of, check_models
from bench.judge.claims.vocabulary import CONTAINS
from bench.judge.claims.wording import missing, prefix
from bench.judge.verdict import CONFIRMED, INCONCLUSIVE, NOT_RUN, REFUTED, Verdict
from bench.probes import PROBES
from bench.probes.scoring import share_interval
from bench.records.figures import NEITHER, QUALITY, calculation
from bench.records.stored import Stored
from bench.sources.data import load_rows
from bench.tasks import TASKS

REQUIRED = {"case": (str,), "data": (str,), "asked": (str,)}
OPTIONAL = {"seeds": (int,), "probe": (str,)}
SOMETHING = calculation("answers", "answers to probes", lambda record: 1.0, "text", QUALITY, NEITHER)


def check(claim: Claim, claims: Mapping[str, Claim]) -> None:
    """Raise BadFile naming file, id and key."""
    check_keys(claim, REQUIRED, OPTIONAL)
    where = f"{claim.file} [{claim.id}]"
    if not claim.text:
        raise refuse(where, "quantity", f"{claim.quantity!r} must be 'answer' for a claim about an answer")
    check_name(where, "by.data", claim.by["data"], ("sample", "full"))
    case = case_of(claim.by["case"], where, "by.case")
    check_models(claim, [case], where)
    check_asked(claim, case.task, where)


def check_asked(claim: Claim, task: str, where: str) -> None:
    """Raise BadFile for words that are in no prompt of the probe, or of the sample if no probe is named."""
    asked, probe, prompts = claim.by["asked"], claim.by.get("probe"), probe_prompts()
    if probe is not None:
        check_name(where, "by.probe", probe, prompts)
        if asked not in prompts[probe]:
            raise refuse(where, "by.asked", f"{asked!r} is no part of the prompt of {probe}, {prompts[probe]!r}")
    elif claim.by["data"] == "sample" and not in_sample(asked, task):
        says = f"{asked!r} is in no prompt of {task}'s sample; if it is a probe's, name the item as by.probe"
        alike = nearest(asked, [*prompts.values()])
        near = [key for key, prompt in prompts.items() if asked in prompt or prompt in alike]
        raise refuse(where, "by.asked", f"{says}, such as {first_few(near or prompts)}")


def probe_prompts() -> dict[str, str]:
    """The prompt of every item of every family of probes, by FAMILY/ITEM."""
    return {f"{item.family}/{item.id}": item.prompt for family in PROBES for item in family.items}


def in_sample(asked: str, task: str) -> bool:
    splits = load_rows(TASKS[task].data, "sample", None).splits
    rows = (row for rows in splits.values() for row in rows)
    return any(asked in text for row in rows for text in row.values() if isinstance(text, str))


def answers(stored: Stored, asked: str, probe: str = "") -> Iterator[str]:
    """The tuned model's answers to prompts that contain `asked`, and to the probe with this key."""
    for row in stored.record.tables.get("generated", []):
        if asked in row["prompt"]:
            yield row["generated"]
    for row in stored.probe_answers:
        if probe and row.get("key") == probe:
            yield row["said_after"]


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    admitted = admit(parse_case(f"{claim.by['case']}-s0"), claim.by["data"], SOMETHING, evidence)
    refused = f"; refused {'; '.join(admitted.refused)}" if admitted.refused else ""
    found = {
        stored.name: list(answers(stored, claim.by["asked"], claim.by.get("probe", "")))
        for stored in admitted.by_seed.values()
    }
    said = {name: told for name, told in found.items() if told}
    if not said:
        family = claim.by.get("probe", "").split("/")[0]
        suite = f"suites/test_probes.py --probes {family}" if family else "suites/test_quality.py"
        says = (
            f"{prefix(claim)}{claim.place}: no record answers {claim.by['asked']!r}{refused}; {missing(claim, suite)}"
        )
        return Verdict(claim.id, NOT_RUN, says)
    told = [answer for each in said.values() for answer in each]
    held = sum((claim.text in answer) == (claim.comparator == CONTAINS) for answer in told)
    state = CONFIRMED if held == len(told) else REFUTED if held == 0 else INCONCLUSIVE
    low, high = share_interval(held, len(told))
    wanted = "contains" if claim.comparator == CONTAINS else "lacks"
    says = (
        f"{prefix(claim)}{claim.place} says the answer to {claim.by['asked']!r} {wanted} {claim.text!r}; it does in "
        f"{held} of {len(told)} answers (95 % {low:.0%} to {high:.0%}), the first being {told[0][:80]!r}; records "
        f"{', '.join(said)}{refused}"
    )
    return Verdict(claim.id, state, says, tuple(said))
