"""Published figures, the page of them, and the upgrade alarm."""

import json
import re
from dataclasses import replace

import pytest

from bench.__main__ import main
from bench.core.case import parse_case
from bench.core.files import BadFile
from bench.core.paths import RESULTS
from bench.judge.predictions import growth, published
from bench.judge.predictions.growth import WATCHED, grown, judge, read_baseline
from bench.judge.predictions.published import Compared, read_cases, read_published
from bench.machine.devices import Card
from bench.plan.room_on_card import needed_bytes, too_small
from bench.recipes.of_case import recipe_for
from bench.records.record import BadRecord
from bench.report.published import summary

MIB = 2**20
FIGURES = read_published()


def test_at_least_eight_figures_of_several_sources():
    assert len(FIGURES) >= 8
    assert len({one.url for one in FIGURES}) >= 4
    assert len({one.id for one in FIGURES}) == len(FIGURES)


def test_each_figure_names_an_address_or_a_document():
    """A document without an address is one of the sources, by its title."""
    assert [one.id for one in FIGURES if not one.url.startswith("https://")] == ["source_003"]


def test_summary_has_the_median_of_an_even_number_of_errors():
    one = replace(FIGURES[0], fitcheck_mib=0.9 * FIGURES[0].published_bytes / MIB)
    cases = [Compared(one, int(one.published_bytes * share), None) for share in (1.1, 1.3)]
    assert "The median of the absolute errors is 20% here and 10% by fitcheck-llm." in summary(cases)[0]


def test_page_is_what_the_command_prints(capsys):
    assert main(["predict", "--published", "--markdown"]) == 0
    assert (RESULTS / "PREDICTIONS.md").read_text(encoding="utf-8") == capsys.readouterr().out


def test_traces_are_kept_of_all_that_ask_for_one():
    kept = published.read_traces()
    assert kept["traced"].keys() == {one.id for one in FIGURES if one.trace}
    assert kept["versions"].keys() == {"torch", "transformers", "peft", "bitsandbytes"}


TRACED = [found for found in read_cases() if found.traced_bytes]


@pytest.mark.parametrize("found", TRACED, ids=lambda found: found.published.id)
def test_closed_form_and_trace_of_a_figure_agree(found):
    assert found.closed_bytes / found.traced_bytes == pytest.approx(1, rel=0.05)


def test_a_large_error_without_a_reason_is_marked():
    one = FIGURES[0]
    assert one.why == ""
    assert Compared(one, int(one.published_bytes * 0.8), None).judgement == "unexplained"
    assert Compared(one, int(one.published_bytes * 0.95), None).judgement == "agrees"


def test_a_row_with_a_wrong_field_is_one_sentence(monkeypatch, tmp_path):
    path = tmp_path / "published.toml"
    path.write_text('[[published]]\nid = "a"\nmodell = "x"\n', encoding="utf-8")
    monkeypatch.setattr(published, "FILE", path)
    with pytest.raises(BadFile, match="published.toml: a: wrong or missing .*modell"):
        read_published()


# --- the alarm

PEAK = {"forward": {"weights": 400 * MIB}, "backward": {"weights": 400 * MIB, "kept for backward": 600 * MIB}}


def planted(more):
    return {**PEAK, "backward": {**PEAK["backward"], "kept for backward": 600 * MIB + more}}


def test_growth_within_the_bound_is_none():
    assert grown(PEAK, planted(12 * MIB)) == ""  # half a percent of 1,000 MiB, and 8


def test_planted_growth_is_named_with_its_term():
    said = grown(PEAK, planted(20 * MIB), " (torch 1 → 2)")
    assert said == (
        "the predicted peak grew from 1,000.0 to 1,020.0 MiB (+2.0%) (torch 1 → 2): kept for backward +20.0 MiB; "
        "allowed are 0.5% and 8 MiB"
    )


def test_planted_growth_turns_the_baseline_red(monkeypatch, tmp_path):
    (one, *_) = WATCHED
    before = read_baseline()["peaks"][one.id]
    path = tmp_path / "predicted.json"
    path.write_text(json.dumps({"versions": {"torch": "0.1"}, "peaks": {one.id: before}}), encoding="utf-8")
    monkeypatch.setattr(growth, "FILE", path)
    assert judge(one, before) == ""
    fatter = {
        phase: {**found, "logits and loss": found.get("logits and loss", 0) + 2**30} for phase, found in before.items()
    }
    assert re.search(r"grew from .*\(torch 0\.1 → .*logits and loss \+1,024\.0 MiB", judge(one, fatter))


def test_baseline_holds_every_configuration_and_its_versions():
    found = read_baseline()
    assert found["peaks"].keys() == {one.id for one in WATCHED}
    assert found["versions"].keys() == {"torch", "transformers", "peft", "bitsandbytes"}


def test_a_configuration_without_baseline_says_what_to_do(monkeypatch, tmp_path):
    path = tmp_path / "predicted.json"
    monkeypatch.setattr(growth, "FILE", path)
    with pytest.raises(BadRecord, match="predicted.json: .*; write it with `python -m bench predict --baseline`"):
        judge(WATCHED[0], PEAK)
    path.write_text('{"versions": {}, "peaks": {}}', encoding="utf-8")
    with pytest.raises(BadRecord, match=f"has no {WATCHED[0].id}; write it with"):
        judge(WATCHED[0], PEAK)


# --- the planner

CASE = parse_case("alpaca-llama31_8b-qlora-cuda-s0")
SMALL, LARGE = (Card(name, size, size, "1") for name, size in (("RTX 4060", 8_000_000_000), ("A100", 80_000_000_000)))


def test_padded_batches_need_their_peak_and_others_what_stays():
    fixed, drawn = (recipe_for(CASE, "full", padding=padding) for padding in ("max_length", "longest"))
    assert needed_bytes("llama31_8b", "qlora", fixed) > 12e9
    assert 6e9 < needed_bytes("llama31_8b", "qlora", drawn) < 7e9


def test_a_case_that_cannot_fit_says_how_much_it_needs():
    recipe = recipe_for(CASE, "full", padding="max_length")
    assert too_small(CASE, recipe, (LARGE,)) == ""
    assert too_small(CASE, recipe, (SMALL,)) == (
        "needs a CUDA device with 15.1 GB free (predicted 13.8 GB); RTX 4060 has 8.0 GB free"
    )
    assert too_small(CASE, recipe, ()).endswith("(predicted 13.8 GB); this machine has none")


def test_a_method_without_closed_form_is_not_held_back():
    case = parse_case("alpaca-llama31_8b-dora-cuda-s0")
    assert needed_bytes("llama31_8b", "dora", recipe_for(case, "full")) is None
    assert too_small(case, recipe_for(case, "full"), (SMALL,)) == ""
