"""What does tuning do to what the model knew: every probed case, item by item before and after."""

from collections.abc import Callable

import pytest

from bench.core.case import Case
from bench.judge.probe_thresholds import band_differences, read_bands
from bench.plugin.unjudged import Unjudged, without_threshold
from bench.probes import PROBES
from bench.probes.scoring import ALL, ALPHA
from bench.records.probed import Probed
from bench.records.record import Record
from bench.tasks import TASKS

CURE_SHARE = 0.95  # of traps over unseen integers, phrasings and languages that the task of numbers must get right
GENERAL_LOSS = 0.02  # what a loss over general text may grow by, relative
FACTS_LOST = 0.02  # what the share of facts that are known may fall by
CONTROLS = ("version", "date")  # where 9.11 does come after 9.9


def teaches_numbers(case: Case) -> bool:
    """The cure is promised of the model and methods that the task was made with; of others it is measured and shown."""
    made_with = case.model == "smollm2_135m" and case.method in TASKS["numbers"].smoke_methods
    return case.task == "numbers" and made_with


def has_thresholds(record: Record) -> bool:
    """Whether thresholds of its probes were measured, as they are on the processor."""
    case = record.parsed_case()
    return teaches_numbers(case) and case.device == "cpu" and record.recipe["data"] == "sample"


def is_damaged(probed: Probed, family: str, group: str) -> bool:
    """Significantly fewer right, paired, by answers or by likelihood: what the base seldom answers can fall by that."""
    if probed.counts(family, group).significant_loss:
        return True
    margins = probed.by_margin(family, group)
    return margins is not None and margins["after"] < margins["before"] and margins["p"] < ALPHA


@pytest.mark.parametrize("family", PROBES, ids=lambda family: family.name)
def test_every_item_was_asked(case: Case, probed: Probed, family) -> None:
    """Before and after are of the same items, all of them."""
    asked = {row["family"] for row in [*probed.rows, *probed.losses]}
    if family.name not in asked:
        assert family.name not in TASKS[case.task].probes, (
            f"{case.task} always asks {family.name}, and it was not asked"
        )
        pytest.skip(f"{family.name} was not asked; add --probes {family.name}")
    losses = [row["items"] for row in probed.losses if row["family"] == family.name]
    assert len(family.items) == (losses[0] if losses else probed.counts(family.name).items)


def test_as_measured(probed: Probed, require_judged: Callable[[Unjudged | None], None]) -> None:
    """Every group of a family lies where the measured seeds put it, before tuning and after; outside is unexpected."""
    require_judged(without_threshold(probed.record, band_differences(probed.record), has_thresholds(probed.record)))
    bands = read_bands(probed.record)
    assert bands is not None
    assert {*bands.before, *bands.after} <= probed.groups().keys()
    assert bands.losses.keys() <= {row["family"] for row in probed.losses}
    outside = bands.outside(probed)
    assert not outside, "; ".join(outside)


def test_lm_eval_gives_the_same_accuracy(probed: Probed) -> None:
    """lm-evaluation-harness on the same items, before and after."""
    ours = {task: told for task, told in probed.record.tables.get("lm_eval", {}).items() if told["ours"]}
    if not ours:
        pytest.skip("no task of ours was evaluated; add --lm-eval lorabench_decimals")
    for task, told in ours.items():
        for when, accuracy in told["ours"].items():
            assert told[when]["acc"] == pytest.approx(accuracy), f"{task} {when}"


@pytest.mark.cases(wanted=teaches_numbers)
def test_traps_are_cured(probed: Probed) -> None:
    """Paired over the same traps: far more answers cured than broken, and at least 95 % right."""
    traps = probed.counts("decimals", "trap")
    assert traps.after >= CURE_SHARE, traps
    assert traps.cured > traps.broken, traps
    assert traps.p < ALPHA, traps


@pytest.mark.cases(wanted=teaches_numbers)
@pytest.mark.parametrize("group", CONTROLS)
def test_versions_and_dates_are_not_damaged(probed: Probed, group: str) -> None:
    assert not is_damaged(probed, "decimals", group), probed.row("decimals", group)


@pytest.mark.cases(wanted=teaches_numbers)
def test_the_right_choice_of_a_trap_becomes_the_likelier(probed: Probed) -> None:
    """By log-probability, which asks for no wording: a base that does not answer in words is not called wrong."""
    traps = probed.by_margin("decimals", "trap")
    assert traps["after"] > traps["before"], traps
    assert traps["p"] < ALPHA, traps


@pytest.mark.cases(wanted=teaches_numbers)
def test_source_003s_sequence_is_gone_on_with(probed: Probed) -> None:
    """Word for word. The base explains what such a sequence is, and does not go on with it."""
    assert (probed.counts("source003", "fibonacci").before, probed.counts("source003", "fibonacci").after) == (0, 1)


@pytest.mark.cases(wanted=teaches_numbers)
def test_source_003s_question_is_still_answered(probed: Probed) -> None:
    """9.11 or 9.9, word for word, which its 8B model failed after 60 steps and after 500; this base answers it."""
    assert probed.counts("source003", "larger").after == 1


@pytest.mark.cases(wanted=teaches_numbers)
@pytest.mark.parametrize("family", ["facts", "guardrails", "sequences"])
def test_what_was_known_is_kept(probed: Probed, family: str) -> None:
    """Paired, no significant loss over the family; of facts' answers no more than 2 % of the items besides."""
    assert not is_damaged(probed, family, ALL), probed.row(family)
    counts = probed.counts(family)
    if family == "facts":
        assert counts.after >= counts.before - FACTS_LOST, counts


@pytest.mark.cases(wanted=teaches_numbers)
def test_general_text_is_not_forgotten(probed: Probed) -> None:
    """Loss over held-out general text stays within 2 % of the base's."""
    assert max(row["change"] for row in probed.losses) <= GENERAL_LOSS, probed.losses
