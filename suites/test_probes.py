"""What does tuning do to what the model knew: every case with probes, item by item before and after."""

from collections.abc import Callable

import pytest

from bench.core.case import Case
from bench.judge.probe_thresholds import band_differences, read_bands
from bench.plugin.unjudged import Unjudged, without_threshold
from bench.probes import PROBES
from bench.probes.scoring import ALL, ALPHA
from bench.records.probe_results import ProbeResults
from bench.records.record import Record
from bench.tasks import TASKS

CURE_SHARE = 0.95  # of traps over unseen integers, phrasings and languages that the task of numbers must get right
GENERAL_LOSS = 0.02  # what a loss over general text may grow by, relative
FACTS_LOST = 0.02  # what the share of facts that are known may fall by
CONTROLS = ("version", "date")  # where 9.11 does come after 9.9
NOT_LEARNT = "did training run to its end, with the recipe and weights that the cure was measured with?"


def teaches_numbers(case: Case) -> bool:
    """The cure is promised of the model and methods that the task was made with; of others it is measured and shown."""
    made_with = case.model == "smollm2_135m" and case.method in TASKS["numbers"].smoke_methods
    return case.task == "numbers" and made_with


def has_thresholds(record: Record) -> bool:
    """Whether thresholds of its probes were measured, as they are on the processor."""
    case = record.parsed_case()
    return teaches_numbers(case) and case.device == "cpu" and record.recipe["data"] == "sample"


def is_damaged(probe_results: ProbeResults, family: str, group: str) -> bool:
    """Significantly fewer right, paired, by answers or by likelihood: what the base seldom answers can fall by that."""
    if probe_results.counts(family, group).significant_loss:
        return True
    margins = probe_results.by_margin(family, group)
    return margins is not None and margins["after"] < margins["before"] and margins["p"] < ALPHA


@pytest.mark.parametrize("family", PROBES, ids=lambda family: family.name)
def test_every_item_was_asked(case: Case, probe_results: ProbeResults, family) -> None:
    """The same items were asked before and after, all of them."""
    asked = {row["family"] for row in [*probe_results.rows, *probe_results.losses]}
    if family.name not in asked:
        assert family.name not in TASKS[case.task].probes, (
            f"{case.task} always asks {family.name}, and it was not asked; run the case again"
        )
        pytest.skip(f"{family.name} was not asked; add --probes {family.name}")
    losses = [row["items"] for row in probe_results.losses if row["family"] == family.name]
    seen = losses[0] if losses else probe_results.counts(family.name).items
    assert seen == len(family.items), (
        f"{seen} items of {family.name} were asked; the family has {len(family.items)}; was the record made with "
        "another version of the probes? run the case again"
    )


def test_as_measured(probe_results: ProbeResults, require_judged: Callable[[Unjudged | None], None]) -> None:
    """Every group of a family lies where the measured seeds put it, before tuning and after; outside is unexpected."""
    require_judged(
        without_threshold(
            probe_results.record, band_differences(probe_results.record), has_thresholds(probe_results.record)
        )
    )
    bands = read_bands(probe_results.record)
    assert bands is not None, (
        f"{probe_results.record.case}: fixtures/probe_thresholds.toml has no bands for it; measure them"
    )
    asked = probe_results.groups().keys() | {row["family"] for row in probe_results.losses}
    lacking = {*bands.before, *bands.after, *bands.losses} - asked
    assert not lacking, (
        f"{', '.join(sorted(lacking))}: there are bands and no answers; was the record made with other probes? run the "
        "case again"
    )
    outside = bands.outside(probe_results)
    assert not outside, (
        f"{'; '.join(outside)}; are these the weights, libraries and settings that the bands were measured with?"
    )


def test_lm_eval_gives_the_same_accuracy(probe_results: ProbeResults) -> None:
    """lm-evaluation-harness on the same items, before and after."""
    ours = {task: told for task, told in probe_results.record.tables.get("lm_eval", {}).items() if told["ours"]}
    if not ours:
        pytest.skip("no task of ours was evaluated; add --lm-eval lorabench_decimals")
    for task, told in ours.items():
        for when, accuracy in told["ours"].items():
            assert told[when]["acc"] == pytest.approx(accuracy), (
                f"{task} {when} tuning: lm-eval's accuracy is {told[when]['acc']:.4f} and ours {accuracy:.4f}; equal "
                "ones are expected; does lm-eval build the prompt or score the choices differently now?"
            )


@pytest.mark.cases(wanted=teaches_numbers)
def test_traps_are_cured(probe_results: ProbeResults) -> None:
    """Paired over the same traps: far more answers cured than broken, and at least 95 % right."""
    traps = probe_results.counts("decimals", "trap")
    says = (
        f"of {traps.items} traps {traps.before:.1%} were right before tuning and {traps.after:.1%} after; "
        f"{traps.cured} were cured, {traps.broken} broken (p = {traps.p:.2g})"
    )
    assert traps.after >= CURE_SHARE, f"{says}; at least {CURE_SHARE:.0%} right are expected; {NOT_LEARNT}"
    assert traps.cured > traps.broken, f"{says}; more cured than broken are expected; {NOT_LEARNT}"
    assert traps.p < ALPHA, f"{says}; p below {ALPHA} is expected; {NOT_LEARNT}"


@pytest.mark.cases(wanted=teaches_numbers)
@pytest.mark.parametrize("group", CONTROLS)
def test_versions_and_dates_are_not_damaged(probe_results: ProbeResults, group: str) -> None:
    assert not is_damaged(probe_results, "decimals", group), damage(probe_results, "decimals", group)


@pytest.mark.cases(wanted=teaches_numbers)
def test_the_right_choice_of_a_trap_becomes_the_likelier(probe_results: ProbeResults) -> None:
    """By log-probability, which asks for no wording: a base that does not answer in words is not called wrong."""
    traps = probe_results.by_margin("decimals", "trap")
    assert traps is not None, "the choices of the traps have no log-probabilities; run the case again"
    says = (
        f"the right choice was the likelier in {traps['before']:.1%} of the traps before tuning and in "
        f"{traps['after']:.1%} after (p = {traps['p']:.2g})"
    )
    assert traps["after"] > traps["before"], f"{says}; more are expected; {NOT_LEARNT}"
    assert traps["p"] < ALPHA, f"{says}; p below {ALPHA} is expected; {NOT_LEARNT}"


@pytest.mark.cases(wanted=teaches_numbers)
def test_source_003s_sequence_is_continued(probe_results: ProbeResults) -> None:
    """Word for word. The base explains what such a sequence is, and does not continue it."""
    counts = probe_results.counts("source003", "fibonacci")
    assert (counts.before, counts.after) == (0, 1), (
        f"source 003's sequence: {counts.before:.0%} right before tuning and {counts.after:.0%} after; expected 0% and "
        f"100%; {NOT_LEARNT}"
    )


@pytest.mark.cases(wanted=teaches_numbers)
def test_source_003s_question_is_still_answered(probe_results: ProbeResults) -> None:
    """9.11 or 9.9, word for word, which its 8B model failed after 60 steps and after 500; this base answers it."""
    after = probe_results.counts("source003", "larger").after
    assert after == 1, (
        f"source 003's question, 9.11 or 9.9: {after:.0%} right after tuning; expected 100%; {NOT_LEARNT}"
    )


@pytest.mark.cases(wanted=teaches_numbers)
@pytest.mark.parametrize("family", ["facts", "guardrails", "sequences"])
def test_what_was_known_is_kept(probe_results: ProbeResults, family: str) -> None:
    """Paired, no significant loss over the family; of facts' answers no more than 2 % of the items besides."""
    assert not is_damaged(probe_results, family, ALL), damage(probe_results, family, ALL)
    counts = probe_results.counts(family)
    if family == "facts":
        assert counts.after >= counts.before - FACTS_LOST, (
            f"{damage(probe_results, family, ALL)}; of facts at most {FACTS_LOST:.0%} of the items may be lost"
        )


def damage(probe_results: ProbeResults, family: str, group: str) -> str:
    """The sentence for answers that tuning broke."""
    counts = probe_results.counts(family, group)
    return (
        f"{family}, {group}: {counts.before:.1%} of {counts.items} items were right before tuning and "
        f"{counts.after:.1%} after; {counts.broken} broken, {counts.cured} cured (p = {counts.p:.2g}); no significant "
        "loss is expected, of answers or of likelihoods; is the learning rate too high, or training too long?"
    )


@pytest.mark.cases(wanted=teaches_numbers)
def test_general_text_is_not_forgotten(probe_results: ProbeResults) -> None:
    """Loss over held-out general text stays within 2 % of the base's."""
    worst = max(probe_results.losses, key=lambda row: row["change"])
    assert worst["change"] <= GENERAL_LOSS, (
        f"the loss over {worst['family']} grew by {worst['change']:.2%}; at most {GENERAL_LOSS:.0%} is expected; is "
        "the learning rate too high, or training too long?"
    )
