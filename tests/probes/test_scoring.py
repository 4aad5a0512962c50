"""Paired counts, McNemar's exact test, intervals, and the tables and thresholds made of them."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from run_files import append_record

from bench.__main__ import main
from bench.core.case import Case
from bench.judge.probe_thresholds import bands_toml, measure_bands, read_bands
from bench.judge.thresholds import Band
from bench.probes.scoring import Paired, pair_answers, share_interval, summarise, summarise_losses
from bench.records.probe_results import ProbeResults
from bench.records.record import Record
from bench.report.probes import NAMES, SHARES, cells, probes_table, seeds_table
from bench.report.tables import text_lines

CASE = Case("numbers", "smollm2_135m", "lora_all", "cpu")


def exact_p(cured, broken):
    """Twice the smaller tail of a fair coin, by hand."""
    tail = sum(comb(cured + broken, k) for k in range(min(cured, broken) + 1)) / 2 ** (cured + broken)
    return min(1.0, 2 * tail)


def test_interval_of_8_in_10_by_hand():
    """0.4902 to 0.9433: z = 1.959964 in Wilson's formula."""
    assert share_interval(8, 10) == pytest.approx((0.49016, 0.94331), abs=1e-4)


def test_items_fall_into_four():
    found = pair_answers([False, True, True, False, True], [True, True, False, False, True])
    assert found == Paired(cured=1, kept=2, broken=1, still_wrong=1)
    assert (found.items, found.before, found.after) == (5, 0.6, 0.6)


@pytest.mark.parametrize(("cured", "broken"), [(0, 5), (5, 0), (1, 8), (10, 2), (3, 3), (40, 1)])
def test_p_is_mcnemars_exact(cured, broken):
    assert Paired(cured, 7, broken, 3).p == pytest.approx(exact_p(cured, broken))


def test_nothing_changed_is_no_evidence():
    assert Paired(0, 4, 0, 6).p == 1.0
    assert Paired(0, 4, 0, 6).interval[0] < 0 < Paired(0, 4, 0, 6).interval[1]


@pytest.mark.parametrize("shares", [(0.4, 0.3, 0.1, 0.2), (0.05, 0.9, 0.02, 0.03), (0.25, 0.25, 0.25, 0.25)])
def test_interval_covers_the_true_change_as_often_as_it_says(shares):
    """2,000 draws of 40 items: 95 %, give or take what a discrete count allows."""
    draws = np.random.default_rng(0).multinomial(40, shares, size=2000)
    true = shares[0] - shares[2]
    counts, times = np.unique(draws, axis=0, return_counts=True)
    intervals = [Paired(*map(int, row)).interval for row in counts]
    covered = [low <= true <= high for low, high in intervals]
    assert 0.93 <= np.average(covered, weights=times) <= 0.99


@pytest.mark.parametrize("counts", [Paired(10, 0, 0, 0), Paired(0, 0, 10, 0), Paired(0, 10, 0, 0), Paired(1, 0, 0, 0)])
def test_interval_holds_the_change_and_stays_within_one(counts):
    low, high = counts.interval
    assert -1 <= low <= counts.after - counts.before <= high <= 1


@pytest.mark.parametrize(
    ("counts", "lost"), [(Paired(0, 20, 6, 0), True), (Paired(0, 20, 5, 0), False), (Paired(9, 0, 0, 0), False)]
)
def test_a_loss_is_significant_from_six_items_broken_and_none_cured(counts, lost):
    assert counts.significant_loss is lost


@pytest.mark.parametrize(("before", "after"), [([], []), ([True], [True, False])])
def test_what_cannot_be_paired_is_refused(before, after):
    with pytest.raises(ValueError, match="cannot be paired"):
        pair_answers(before, after)


def row(before, after, group="trap", language="en", margins=None):
    found = {"family": "decimals", "language": language, "group": group, "before": before, "after": after}
    found["before_margin"], found["after_margin"] = margins or (None, None)
    return found


ROWS = [
    row("wrong", "right", margins=(-1.0, 2.0)),
    row("garbled", "right", margins=(0.5, 2.0)),
    row("right", "evasive", group="date", language="de"),
    row("right", "right", group="date", language="en"),
]


def test_a_summary_for_each_language_and_group_and_all():
    found = {(one["language"], one["group"]): one for one in summarise(ROWS)}
    languages_and_groups = {("all", "all"), ("en", "all"), ("de", "all"), ("all", "trap"), ("all", "date")}
    assert found.keys() == languages_and_groups | {("en", "trap"), ("de", "date"), ("en", "date")}
    everything = found["all", "all"]
    assert [everything[name] for name in ("cured", "kept", "broken", "still_wrong")] == [2, 1, 1, 0]
    assert found["en", "trap"]["by_margin"] == {"before": 0.5, "after": 1.0, "p": 1.0}
    assert "by_margin" not in found["de", "date"]


def test_losses_are_means_over_tokens():
    texts = [
        {"family": "forgetting", "tokens": 10, "before": 20.0, "after": 21.0},
        {"family": "forgetting", "tokens": 30, "before": 60.0, "after": 63.0},
    ]
    found = summarise_losses(texts)[0]
    assert (found["before"], found["after"], found["change"], found["items"]) == (2.0, 2.1, 0.05, 2)


def record(seed=0, traps=20, loss=0.01, digest="d", data="data", items=20, known=0):
    """A case's record with so many traps right after, and so many of them known before."""
    rows = [
        row("right" if number < known else "wrong", "right" if number < traps else "wrong") for number in range(items)
    ]
    losses = [{"family": "forgetting", "language": "all", "group": "all", "items": 3, "tokens": 90, "before": 3.0,
               "after": 3.0 * (1 + loss), "change": loss}]  # fmt: skip
    return Record(
        case=replace(CASE, seed=seed).id, status="ok", quality_judged=True, recipe={"data": "sample"},
        recipe_digest=digest, weights={"identity": "w"}, data={"identity": data},
        tables={"probes": summarise(rows), "probe_losses": losses},
    )  # fmt: skip


NAME = "numbers-smollm2_135m-lora_all-cpu-sample"


def test_bands_lie_around_the_measured_seeds(tmp_path):
    """20, 19 and 20 of 20 right after, of which the base has none: deviation 0.0289, three of them 0.0866."""
    records = [record(0, 20), record(1, 19), record(2, 20)]
    entry = measure_bands(records)[NAME]
    assert entry["seeds"] == 3
    assert entry["after"]["decimals/trap"] == [0.8633, 1.0]
    assert entry["before"]["decimals/trap"] == [0.0, 0.05]
    assert entry["losses"]["forgetting"] == [0.008, 0.012]
    path = tmp_path / "bands.toml"
    path.write_text(bands_toml(measure_bands(records)), encoding="utf-8")
    bands = read_bands(records[0], path)
    assert bands.after == {key: Band(*ends) for key, ends in entry["after"].items()}
    assert bands.losses == {"forgetting": Band(0.008, 0.012)}
    assert read_bands(record(digest="other"), path) is None
    assert read_bands(record(data="other"), path) is None


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        ({}, []),
        ({"traps": 10}, ["decimals/trap after tuning is 0.5000, unexpected beside 0.5500–0.6500"]),
        ({"traps": 14}, ["decimals/trap after tuning is 0.7000, unexpected beside 0.5500–0.6500"]),
        ({"known": 2}, ["decimals/trap before tuning is 0.1000, unexpected beside 0.0000–0.0500"]),
        ({"loss": 0.013}, ["forgetting: change of loss is 0.0130, unexpected beside 0.0080–0.0120"]),
        ({"loss": 0.007}, ["forgetting: change of loss is 0.0070, unexpected beside 0.0080–0.0120"]),
    ],
)
def test_what_is_outside_its_band_is_unexpected_either_way(tmp_path, seen, says):
    path = tmp_path / "bands.toml"
    path.write_text(bands_toml(measure_bands([record(seed, 12) for seed in range(3)])), encoding="utf-8")
    other = record(**{"traps": 12, **seen})
    assert read_bands(other, path).outside(ProbeResults(other)) == says


def test_a_band_of_all_shares_is_left_out():
    after = measure_bands([record(0, 2, items=2), record(1, 0, items=2), record(2, 1, items=2)])[NAME]["after"]
    assert "decimals/trap" not in after


def test_seeds_of_different_recipes_give_no_band():
    with pytest.raises(ValueError, match="differ in recipe; measure"):
        measure_bands([record(0), record(1, digest="e"), record(2)])


def test_seeds_that_were_asked_different_probes_give_no_band():
    texts_too = record(1)
    questions_alone = replace(texts_too, tables={"probes": texts_too.tables["probes"]})
    with pytest.raises(ValueError, match="the seeds were asked different probes; ask all seeds alike"):
        measure_bands([record(0), questions_alone, record(2)])


def test_two_seeds_give_no_band():
    with pytest.raises(ValueError, match=f"{NAME}: 2 seeds .* say too little of their noise"):
        measure_bands([record(0), record(1)])


def test_a_seed_given_twice_gives_no_band():
    with pytest.raises(ValueError, match="one seed is given twice"):
        measure_bands([record(0), record(1), record(1)])


def test_one_item_less_than_the_worst_seed_is_allowed():
    """8 of 9 is 0.88888…, which four decimals round up."""
    lowest, _ = measure_bands([record(seed, 9, items=9) for seed in range(3)])[NAME]["after"]["decimals/trap"]
    assert 8 / 9 - 1e-4 < lowest <= 8 / 9


def test_texts_alone_give_a_band():
    texts = [replace(one, tables={"probe_losses": one.tables["probe_losses"]}) for one in map(record, range(3))]
    entry = measure_bands(texts)[NAME]
    assert (entry["before"], entry["after"], list(entry["losses"])) == ({}, {}, ["forgetting"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["probes", "--thresholds"], "no record of these runs was asked probes on real weights"),
        (["table", "--probes", "group"], "no probes were asked on real weights; run it with --probes all"),
    ],
)
def test_a_run_without_probes_is_refused_and_nothing_written(tmp_path, capsys, monkeypatch, words, says):
    append_record(tmp_path / "records.jsonl", replace(record(), tables={}))
    monkeypatch.setattr("bench.commands.probes.write", pytest.fail)
    assert main([*words, str(tmp_path)]) == 2
    assert says in capsys.readouterr().err


def test_a_tiny_p_is_not_rounded_away():
    assert 0 < summarise([row("wrong", "right")] * 40)[0]["p"] < 1e-9


def test_tables_show_before_and_after():
    lines = text_lines(probes_table([record(traps=19)]), NAMES)
    assert lines[0].split() == ["case", "probe", "group", "items", "before", "after", "change", "95", "%", "cured",
                                "broken", "p"]  # fmt: skip
    trap = next(line.split() for line in lines if " trap " in line)
    assert trap[3:7] == ["20", "0.0%", "95.0%", "+95.0"]
    assert any("forgetting" in line and "+1.00%" in line for line in lines)
    assert [cell[2] for cell in cells(record(), by_language=True)] == ["en"]
    assert probes_table([record()], by_language=True)[0][2] == "language"
    assert len(probes_table([])) == len(probes_table([replace(record(), quality_judged=False)])) == 1


def test_seeds_are_shown_together():
    lines = seeds_table([record(0, traps=20), record(1, traps=18), record(2, traps=17, digest="other recipe")])
    assert lines[0] == ["case", "probe", "group", "items", "seeds", *SHARES]
    traps = [line[3:9] for line in lines if line[2] == "trap"]
    assert traps == [["20", "2", "0.0%", "95.0%", "90.0%", "100.0%"], ["20", "1", "0.0%", "85.0%", "85.0%", "85.0%"]]
    assert len(seeds_table([replace(record(), quality_judged=False)], by_language=True)) == 1


def test_shares_by_likelihood_stand_beside_those_by_answers():
    found = replace(record(), tables={"probes": summarise(ROWS)})
    lines = {line[2]: line[-2:] for line in seeds_table([found])}
    assert lines["trap"] == ["50.0%", "100.0%"]
    assert lines["date"] == ["–", "–"]  # nothing was compared
    assert ProbeResults(found).by_margin("decimals", "trap")["after"] == 1.0


def test_counts_are_found_by_family_group_and_language():
    results = ProbeResults(record(traps=18))
    assert results.counts("decimals", "trap").cured == 18
    assert results.groups().keys() == {"decimals/trap"}
    with pytest.raises(KeyError, match="was not asked facts"):
        results.counts("facts")


def test_the_table_command_prints_probes(tmp_path, capsys):
    append_record(tmp_path / "records.jsonl", record())
    assert main(["table", str(tmp_path), "--probes", "language", "--markdown"]) == 0
    assert "| case | probe | language |" in capsys.readouterr().out
