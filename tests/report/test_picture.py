"""A picture shows every judged case, in text too, with labels that do not cover each other."""

import re
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import pytest

from bench.__main__ import main
from bench.core.paths import RESULTS
from bench.core.registry import UnknownName
from bench.judge.thresholds import Thresholds, read_thresholds
from bench.records.record import read_records
from bench.report.picture import (
    BOTTOM,
    LEFT,
    RADIUS,
    RIGHT,
    TOP,
    NothingToDraw,
    Picture,
    Point,
    as_svg,
    axis,
    overlap,
    picture_of,
    place_labels,
)

SVG = "{http://www.w3.org/2000/svg}"
SMOKE = list(read_records(RESULTS / "runs" / "smoke" / "records.jsonl")[0].values())
NONE = Thresholds({})
POINTS = (Point("lora", 1.0, 0.8, 0.7), Point("full", 3.0, 0.9, None))
PICTURE = Picture("pos", "minilm_l6", "cpu", "A & B, 2 cores", "f1", True, 1, POINTS)


def texts(picture):
    return ["".join(one.itertext()) for one in ElementTree.fromstring(as_svg(picture)).iter(f"{SVG}text")]


def test_the_group_with_most_methods_is_drawn():
    picture = picture_of(SMOKE, read_thresholds())
    of_pos = {record.parsed_case().method for record in SMOKE if record.parsed_case().task == "pos"}
    assert (picture.task, picture.model) == ("pos", "minilm_l6")
    assert {point.method for point in picture.points} == of_pos
    assert of_pos <= set(texts(picture))


def test_a_record_without_the_metric_is_not_drawn():
    lacking = [
        replace(record, quality={"accuracy": 0.5}) if record.parsed_case().method == "dora" else record
        for record in SMOKE
    ]
    drawn = [{point.method for point in picture_of(records, NONE, "pos").points} for records in (SMOKE, lacking)]
    assert drawn[0] - drawn[1] == {"dora"}


@pytest.mark.parametrize(("task", "end"), [("pos", 0), ("support", 1)])
def test_the_dash_is_at_the_worse_end_of_the_band(task, end):
    """Below it where greater is better, above it for a loss."""
    thresholds = read_thresholds()
    drawn = {point.method: point.threshold for point in picture_of(SMOKE, thresholds, task=task).points}
    model = {"pos": "minilm_l6", "support": "smollm2_135m"}[task]
    expected = {method: thresholds.entries[f"{task}-{model}-{method}-cpu-sample"]["quality"][end] for method in drawn}
    assert drawn == expected


def test_a_task_can_be_named():
    picture = picture_of(SMOKE, NONE, task="support")
    assert (picture.metric, picture.better) == ("loss", "lower is better")


def test_points_are_the_means_of_their_seeds():
    first = next(record for record in SMOKE if record.case == "pos-minilm_l6-lora-cpu-s0")
    other = replace(
        first,
        case="pos-minilm_l6-lora-cpu-s1",
        quality={**first.quality, "f1": first.quality["f1"] + 0.02},
        noisy={**first.noisy, "peak_bytes": first.noisy["peak_bytes"] + 2e9},
    )
    picture = picture_of([first, other], NONE)
    assert picture.points[0].quality == pytest.approx(first.quality["f1"] + 0.01)
    assert picture.points[0].peak_gigabytes == pytest.approx(first.noisy["peak_bytes"] / 1e9 + 1)
    assert "means of 2 seeds" in picture.about


def test_dots_and_dashes_stand_at_their_values():
    root = ElementTree.fromstring(as_svg(PICTURE))
    lora, full = root.iter(f"{SVG}circle")
    assert float(lora.get("cx")) < float(full.get("cx"))
    assert float(lora.get("cy")) > float(full.get("cy"))  # down is less
    (dash,) = [one for one in root.iter(f"{SVG}path") if one.get("class") == "threshold"]
    height = float(re.match(r"M[\d.]+ ([\d.]+)h", dash.get("d"))[1])
    per_unit = (float(lora.get("cy")) - float(full.get("cy"))) / (0.9 - 0.8)
    assert height - float(lora.get("cy")) == pytest.approx(per_unit * (0.8 - 0.7), abs=0.2)


def test_it_says_in_text_what_it_shows():
    root = ElementTree.fromstring(as_svg(PICTURE))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    assert root.find(f"{SVG}title").text == "f1 of pos against peak memory: minilm_l6 by method"
    said = root.find(f"{SVG}desc").text
    assert said.startswith("A & B, 2 cores, one seed.")
    assert "lora: f1 0.8000, threshold 0.7000, 1.00 GB; full: f1 0.9000, no threshold, 3.00 GB." in said


def test_it_has_colours_for_a_light_and_a_dark_page():
    style = ElementTree.fromstring(as_svg(PICTURE)).find(f"{SVG}style").text
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for name in ("text", ".page", ".point", ".threshold"):
        assert f"{name} {{" in light
        assert f"{name} {{" in dark


def test_labels_cover_neither_each_other_nor_a_dot():
    picture = picture_of(SMOKE, read_thresholds())
    across = axis([point.peak_gigabytes for point in picture.points], LEFT, RIGHT)
    up = axis([point.quality for point in picture.points], BOTTOM, TOP)
    spots = [(across.at(point.peak_gigabytes), up.at(point.quality), point.method) for point in picture.points]
    dots = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y, _ in spots]
    boxes = place_labels(spots, dots)
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    assert not [(box, dot) for box in boxes for dot in dots if overlap(box, dot)]


@pytest.mark.parametrize("values", [[0.5], [0.0], [0.71, 1.09], [1e-6, 3e-6], [10.0, 4000.0]])
def test_an_axis_has_round_ticks_and_room(values):
    found = axis(values, 100, 500)
    assert found.low < min(values)
    assert found.high > max(values)
    assert 1 <= len(found.ticks) <= 7
    shown = [f"{tick:.{found.decimals}f}" for tick in found.ticks]
    assert len(set(shown)) == len(shown)


def test_nothing_to_draw_is_one_sentence(capsys):
    with pytest.raises(NothingToDraw, match="no case was judged on real weights"):
        picture_of([replace(record, quality_judged=False) for record in SMOKE], NONE)
    with pytest.raises(UnknownName, match="no task named 'poss'; did you mean pos"):
        picture_of(SMOKE, NONE, task="poss")
    assert main(["picture", "h200"]) == 2
    assert capsys.readouterr().err.startswith("bench: h200: no case was judged on real weights")


def test_the_command_writes_the_file_it_prints(tmp_path, capsys):
    file = tmp_path / "new" / "picture.svg"
    assert main(["picture", "smoke", "-o", str(file)]) == 0
    capsys.readouterr()
    assert main(["picture", "smoke"]) == 0
    assert file.read_text(encoding="utf-8") == capsys.readouterr().out
