"""Charts say what the records say: plotly accepts them, their tables agree with them, and their marks are fixed."""

from dataclasses import replace

import plotly.graph_objects as go
import pytest

from bench.core.paths import RESULTS
from bench.methods import METHODS
from bench.predict import terms
from bench.records.run_progress import CaseProgress, RunProgress
from bench.records.stored import Stored, stored_records
from bench.report.charts.chart import logarithmic_axis, safe
from bench.report.charts.confusions import confusion_charts
from bench.report.charts.labels import short_names
from bench.report.charts.live_losses import live_loss_charts
from bench.report.charts.losses import BINS, loss_charts, running_median
from bench.report.charts.marks import PATTERNS, colour_of, dash_of, symbol_of
from bench.report.charts.phase_memory import phase_memory_charts
from bench.report.charts.probes import probe_charts
from bench.report.charts.quality_memory import quality_charts
from bench.report.charts.seconds import seconds_chart
from bench.report.charts.step_memory import step_memory_charts

RUNS = ("h200", "numbers", "pos-full", "seeds-smoke", "smoke")
STORED = {run: stored_records([RESULTS / "runs" / run])[0] for run in RUNS}
RECORDS = {run: [one.record for one in stored] for run, stored in STORED.items()}
LORA = next(one for one in RECORDS["smoke"] if one.case == "pos-minilm_l6-lora-cpu-s0")


def charts_of(run):
    records = RECORDS[run]
    return [
        *loss_charts(records), *quality_charts(records), *step_memory_charts(STORED[run]),
        *phase_memory_charts(records), *seconds_chart(records), *confusion_charts(records), *probe_charts(records),
    ]  # fmt: skip


def trace(chart, name):
    return next(one for one in chart.traces if one.get("name") == name)


@pytest.mark.parametrize("run", RUNS)
def test_plotly_accepts_every_chart(run):
    charts = charts_of(run)
    assert len({chart.name for chart in charts}) == len(charts) > 0
    for chart in charts:
        assert len(go.Figure(chart.figure).data) == len(chart.traces), chart.name
        assert chart.says.endswith("."), f"{chart.name} does not say how to read it"


@pytest.mark.parametrize("run", RUNS)
def test_every_chart_has_a_table_of_whole_lines(run):
    for chart in charts_of(run):
        headings, *rows = chart.table
        assert rows, f"{chart.name} has no text alternative"
        assert {len(row) for row in rows} == {len(headings)}, chart.name


def test_every_term_has_a_colour_and_a_pattern_of_its_own():
    assert set(PATTERNS) == set(terms.ORDER)
    assert len({(shape, size) for _, shape, size in PATTERNS.values()}) == len(PATTERNS), "alike without colour"


def test_no_two_methods_look_alike():
    """Not even without colour."""
    looks = [(symbol_of(name), dash_of(name)) for name in METHODS.names()]
    assert len(set(looks)) == len(looks)


def test_a_mark_does_not_depend_on_which_methods_a_run_has():
    alone = quality_charts([one for one in RECORDS["smoke"] if one.parsed_case().method in ("lora", "full")])
    (every,) = quality_charts(RECORDS["smoke"])
    for name in ("lora", "full"):
        colours = {trace(chart, name)["marker"]["color"] for chart in (*alone, every)}
        assert colours == {colour_of(name)}


def test_many_losses_are_binned_to_their_range_with_a_running_median():
    losses = [1.0 + (step % 7) for step in range(2500)]
    (chart,) = loss_charts([replace(LORA, losses=losses)])
    band, line = chart.traces
    assert len(line["y"]) == BINS
    assert set(line["y"]) == {4.0}  # the median of 1 to 7
    assert (max(band["y"]), min(band["y"])) == (7.0, 1.0)
    assert chart.table[1][1:] == ["2,500", "1", "4", "4", "1"]


def test_a_running_median_leaves_out_a_single_spike():
    losses = [1.0] * 50 + [900.0] + [1.0] * 49
    assert running_median(losses, list(range(1, 101))) == [1.0] * 100


def test_losses_of_a_running_case_are_drawn_at_their_steps():
    running = CaseProgress(LORA.case, "running", step=9, steps=20, losses=[(1, 4.0), (9, 2.5)])
    (chart,) = live_loss_charts(RunProgress(True, (running, CaseProgress("waiting"))))
    (line,) = go.Figure(chart.figure).data
    assert (line.x, line.y, line.name) == ((1, 9), (4.0, 2.5), LORA.case)
    assert chart.table[1:] == [[LORA.case, "9", "20", "4", "2.5"]]
    assert live_loss_charts(RunProgress(True, (CaseProgress("waiting"),))) == []


def test_few_losses_are_drawn_one_by_one():
    (chart,) = loss_charts([replace(LORA, losses=[3.0, 2.0, 0.0])])
    (line,) = chart.traces
    assert line["y"] == [3.0, 2.0, None]  # 0 has no place on a logarithmic axis
    assert line["mode"] == "lines+markers"


@pytest.mark.parametrize(("lowest", "kind"), [(0.5, "log"), (3.0, "-")])
def test_the_axis_is_logarithmic_where_losses_fall_far(lowest, kind):
    (chart,) = loss_charts([replace(LORA, losses=[4.0, lowest])])
    assert chart.layout["yaxis"].get("type", "-") == kind
    assert ("logarithmic" in chart.says) is (kind == "log")


def test_ticks_of_a_logarithmic_axis_are_numbers_in_full():
    found = logarithmic_axis("loss", [0.3, 4.0])
    assert found["ticktext"] == ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50"]


def test_seeds_give_intervals_and_ties_and_one_seed_says_that_it_has_none():
    (seeds,), (one_seed,) = quality_charts(RECORDS["seeds-smoke"]), quality_charts(RECORDS["smoke"])
    rows = {row[0]: row for row in seeds.table[1:]}
    assert rows["prefix"][-1] == "prompt"  # both intervals overlap
    assert rows["full"][-2] == "not beaten"
    assert rows["qlora"][-2] == "beaten by lora_all"
    assert trace(seeds, "lora")["error_y"]["visible"]
    assert "one seed each, so there are no intervals" in one_seed.says
    assert not trace(one_seed, "lora")["error_y"]["visible"]
    assert {row[-1] for row in one_seed.table[1:]} == {"unknown: one seed"}


def test_a_beaten_method_has_an_open_mark():
    (chart,) = quality_charts(RECORDS["seeds-smoke"])
    for row in chart.table[1:]:
        is_open = trace(chart, row[0])["marker"]["symbol"].endswith("-open")
        assert is_open is row[-2].startswith("beaten"), row


def test_a_method_that_goes_on_from_another_is_not_compared_by_its_own_memory():
    (chart,) = quality_charts(RECORDS["pos-full"])
    assert [row[0] for row in chart.table[1:]] == ["lora", "lora_all", "full"]


def test_labels_of_marks_do_not_cover_each_other():
    (chart,) = quality_charts(RECORDS["smoke"])
    shifts = {one["text"]: (one["xshift"], one["yshift"]) for one in chart.layout["annotations"]}
    assert len(shifts) == len(chart.table) - 1
    assert shifts["lora_all"] != shifts["qlora"]  # their marks are close, and both labels cannot be at the same side
    assert chart.narrow == {"annotations": []}


def test_on_a_processor_the_bytes_of_all_tensors_are_beside_the_prediction():
    (chart,) = step_memory_charts([one for one in STORED["smoke"] if one.record.case == LORA.case])
    allocated, resident = trace(chart, "allocated, measured"), trace(chart, "resident, measured")
    assert allocated["x"] == [pytest.approx(LORA.exact["step_allocated_bytes"] / 1e9, rel=1e-3)]
    assert resident["marker"]["color"] == "rgba(0,0,0,0)"  # an outline
    predicted = sum(one["x"][0] for one in chart.traces if one["name"].startswith("predicted"))
    assert predicted == pytest.approx(allocated["x"][0], rel=0.05)


def test_on_a_card_what_was_reserved_is_outlined_measured_and_traced():
    (chart,) = step_memory_charts(STORED["h200"])
    row = next(row for row in chart.table if row[0] == "alpaca_worst-llama31_8b-qlora-cuda")
    assert row[1:5] == ["12.358", "35.375", "13.819", "34.978"]
    assert max(trace(chart, "predicted: reserved")["x"]) > 40


def test_a_method_without_a_closed_form_says_so_and_terms_are_stacked_without_gaps():
    (chart,) = step_memory_charts(STORED["smoke"])
    assert sum(row[-1] == "no closed form" for row in chart.table) == 5
    ends = {}
    for one in chart.traces:
        if "base" in one:
            for row, base, size in zip(one["y"], one["base"], one["x"], strict=True):
                assert base == pytest.approx(ends.get(row, 0.0), abs=1e-3)
                ends[row] = base + size


def test_a_task_of_a_users_own_that_is_not_registered_is_left_out_of_predictions():
    unknown = replace(LORA, case="pos-their_model-lora-cpu-s0")
    (chart,) = step_memory_charts([Stored("run", RESULTS, unknown)])
    assert chart.table[1][-1] == "no closed form"


def test_phases_of_a_card_are_drawn_allocated_and_reserved():
    (chart,) = phase_memory_charts(RECORDS["h200"])
    assert trace(chart, "train")["marker"]["symbol"] == "diamond"
    assert trace(chart, "train, reserved")["marker"]["symbol"] == "diamond-open"


def test_a_case_that_ran_beside_others_has_an_open_mark():
    beside = replace(LORA, noisy={**LORA.noisy, "ran_beside": ["another"]})
    (chart,) = seconds_chart([LORA, replace(beside, case="pos-minilm_l6-dora-cpu-s0")])
    assert chart.traces[0]["marker"]["symbol"] == ["circle", "circle-open"]
    assert [row[-1] for row in chart.table[1:]] == ["alone", "beside others"]


def test_a_confusion_matrix_adds_up_seeds_and_keeps_the_worst_tags():
    matrix = {"labels": ["A", "B"], "counts": [[8, 2], [0, 5]]}
    seeds = [replace(LORA, case=f"pos-minilm_l6-lora-cpu-s{seed}", tables={"confusion": matrix}) for seed in (0, 1)]
    (chart,) = confusion_charts(seeds)
    assert chart.traces[0]["text"] == [["16", "4"], ["", "10"]]
    assert chart.traces[0]["z"] == [[0.8, 0.2], [0.0, 1.0]]
    assert chart.table[1:] == [["A", "B", "4", "20.0%"]]
    (real,) = confusion_charts([LORA])
    assert "14 of 44 tags" in real.says


def test_probes_are_drawn_by_language_over_seeds():
    (chart,) = probe_charts(RECORDS["numbers"])
    before, after = trace(chart, "before"), trace(chart, "after")
    place = chart.layout["yaxis"]["ticktext"].index("decimals de")
    rows = [
        row for record in RECORDS["numbers"] for row in record.tables["probes"]
        if (row["family"], row["language"], row["group"]) == ("decimals", "de", "all")
    ]  # fmt: skip
    assert before["x"][place] == pytest.approx(100 * sum(row["before"] for row in rows) / 3, rel=1e-4)
    assert after["x"][place] == pytest.approx(100 * sum(row["after"] for row in rows) / 3, rel=1e-4)


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (["pos-minilm_l6-lora-cpu", "pos-minilm_l6-dora-cpu"], ["lora", "dora"]),
        (["pos-minilm_l6-lora-cpu"], ["lora"]),
        (["pos-minilm_l6-lora-cpu", "medqa-smollm2_135m-lora-cpu"], ["pos minilm_l6 lora", "medqa\nsmollm2_135m lora"]),
    ],
)
def test_names_are_the_parts_that_differ(groups, names):
    assert list(short_names(groups).values()) == names


def test_text_for_plotly_has_no_tags_and_no_hidden_characters():
    assert safe("<a href='x'>&\u202e\nb") == "&lt;a href='x'&gt;&amp;\\u202e<br>b"
