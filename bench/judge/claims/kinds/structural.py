"""Structural claims: what is quantised, what trains, whether a rank moves. Settled by looking into a model.

    by = { look = "adapter_is_quantised", method = "qlora" }

The looks are functions of bench/worker/check/looks.py, which needs torch; a worker runs them. value is true or false.
For a method that the project lacks (`method = "irqlora"`), `look = "absent"` gives not_run, with what is missing.
"""

from collections.abc import Mapping

from bench.judge.claims.claim import NONE, UNSTATED, Claim, check_name, check_registered, refuse
from bench.judge.claims.grounds import Evidence, Question, check_keys
from bench.judge.verdict import CONFIRMED, INCONCLUSIVE, NOT_RUN, REFUTED, Verdict
from bench.methods import METHODS

REQUIRED = {"look": (str,), "method": (str,)}
OPTIONAL = {"as_method": (str,)}  # of PAIRED
ABSENT = "absent"
LOOKS = {
    "base_is_quantised": ("the base's linear layers lie in 4 or 8 bits", "they lie in floating point"),
    "adapter_is_quantised": ("A and B lie in 4 or 8 bits", "A and B are floating point"),
    "base_is_frozen": ("training leaves every bit of the base as it was", "training changes the base"),
    "only_adapter_trains": ("A and B train, and nothing else", "more than A and B trains, or less"),
    "update_is_low_rank": (
        "the trained update has the adapter's rank, or the sum of the ranks that act in a layer",
        "the update has more than the adapter's rank",
    ),
    "rank_adapts": ("training leaves layers with unlike ranks", "every layer keeps the same rank through training"),
    "product_replaces_base": ("a layer gives B A x alone", "a layer gives W x + s B A x, W as it was"),
    "starts_by_decomposing": ("attaching takes W apart", "attaching leaves W whole and starts with B = 0"),
    "merge_gives_plain_model": ("merged, a model without adapter gives the same logits", "merged it is another model"),
    "trains_as_many": ("both train equally many parameters", "they train unlike numbers of parameters"),
    "trains_fewer": ("the first trains fewer parameters", "the first trains no fewer parameters"),
    "adapters_swap": ("adapters are exchanged on one base", "after an exchange the answers are others"),
    "adapts_every_layer": ("every transformer layer carries an adapter", "some layer carries none"),
    "starts_as_base": ("attached and untrained it gives the base's logits", "attached it gives other logits"),
    "shrinks_input": (
        "with the adapter a layer reads fewer numbers from a batch",
        "with the adapter a layer reads every number that it reads without",
    ),
    "scales_by_root_of_rank": ("the update is scaled by alpha / √rank", "the update is scaled otherwise"),
    "magnitude_is_norm": ("a trained magnitude starts as the norm of W's row", "no magnitude is kept beside W"),
    "holds_principal_part": (
        "B A starts as W's largest singular values, and W keeps the rest",
        "B A does not start as W's largest singular values",
    ),
    "shares_frozen_matrices": ("all layers share one pair of frozen matrices", "each layer has matrices of its own"),
    "trains_only_vectors": ("vectors train, and no matrix", "matrices train"),
    "vectors_start_at_one": ("all that trains starts at 1", "not all that trains starts at 1"),
    "only_virtual_tokens_train": ("virtual tokens train, and nothing else", "more than virtual tokens trains"),
    "accumulation_is_exact": ("half batches add up to the whole's gradient", "half batches add up to another gradient"),
}
PAIRED = ("trains_as_many", "trains_fewer")


def check(claim: Claim, claims: Mapping[str, Claim]) -> None:
    """Raise BadFile naming file, id and key."""
    where = f"{claim.file} [{claim.id}]"
    check_name(where, "by.look", claim.by.get("look"), [*LOOKS, ABSENT])
    if claim.by["look"] == ABSENT:
        check_keys(claim, REQUIRED, {})
        if claim.by["method"] in METHODS:
            raise refuse(where, "by.look", f"{claim.by['method']} is a method of this project; name a look")
        return
    check_keys(claim, REQUIRED | OPTIONAL if claim.by["look"] in PAIRED else REQUIRED, {})
    for key in ("method", "as_method"):
        if key in claim.by:
            check_registered(where, f"by.{key}", "method", claim.by[key])
    if claim.protocol.method not in (claim.by["method"], claim.by.get("as_method"), UNSTATED, NONE):
        raise refuse(where, "by.method", f"{claim.by['method']!r} is not the protocol's, {claim.protocol.method!r}")
    if not claim.value or claim.unit != "yes/no":
        raise refuse(where, "unit", f"{claim.unit!r} must be yes/no for a structural claim")


def questions(claim: Claim) -> list[Question]:
    return [] if claim.by["look"] == ABSENT else [dict(claim.by)]


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    method = claim.by["method"]
    if claim.by["look"] == ABSENT:
        says = f"{claim.place}: no method {method} here, peft has none; to settle it add one to bench/methods"
        return Verdict(claim.id, NOT_RUN, says)
    seen = evidence.answer(questions(claim)[0])
    if seen is None:
        return Verdict(claim.id, INCONCLUSIVE, f"{claim.place}: no model could be looked into: {evidence.unanswered}")
    subject = f"{method} and {claim.by['as_method']}" if "as_method" in claim.by else method
    state = CONFIRMED if seen == bool(claim.value[0]) else REFUTED
    says = (
        f"{claim.place} says {claim.shown_value()} to {LOOKS[claim.by['look']][0]!r}; looked into a two-layer model "
        f"with {subject}: {LOOKS[claim.by['look']][0 if seen else 1]}"
    )
    return Verdict(claim.id, state, says)
