"""Confusion matrices: for each case, all seeds together, which tags were taken for which."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.records.record import Record
from bench.report.charts.chart import Chart, round_value, safe
from bench.report.epochs import by_group, most_frequent

TAGS = 14  # at most, those with the most mistakes
HEADINGS = ("tag", "taken for", "times", "of the tag's words")


def confusion_charts(records: Iterable[Record]) -> list[Chart]:
    """A chart for each case with a confusion matrix; seeds are added up."""
    charts = []
    for name, found in by_group(records):
        matrices = [record.tables["confusion"] for record in found if "confusion" in record.tables]
        if matrices:
            charts.append(chart_of(name, matrices))
    return charts


def chart_of(group: str, matrices: Sequence[Mapping[str, Any]]) -> Chart:
    counts = sum_counts(matrices)
    tags = list(dict.fromkeys(tag for tag, _ in counts))
    wrong = dict.fromkeys(tags, 0)
    words = dict.fromkeys(tags, 0)
    for (tag, other), count in counts.items():
        words[tag] += count
        if tag != other:
            wrong[tag] += count
            wrong[other] += count
    worst = sorted(tags, key=lambda tag: -wrong[tag])[:TAGS]
    shown = sorted(worst, key=tags.index)
    shares = [
        [round_value(counts[tag, other] / words[tag]) if words[tag] else 0 for other in shown] for tag in shown
    ]  # fmt: skip
    texts = [[str(counts[tag, other]) if counts[tag, other] else "" for other in shown] for tag in shown]
    names = [safe(tag) for tag in shown]
    places = list(range(len(shown)))
    ticks = {"tickmode": "array", "tickvals": places, "ticktext": names, "automargin": True, "showgrid": False,
             "zeroline": False}  # fmt: skip
    return Chart(
        name=f"confusions-{group}",
        title=group,
        says=f"Rows are tags, columns what they were taken for; a cell has the number of words, and its tone is the "
        f"share of the tag's words. {len(shown)} of {len(tags)} tags, those with the most mistakes.",
        traces=[
            {
                "type": "heatmap", "x": places, "y": places, "z": shares, "text": texts, "texttemplate": "%{text}",
                "zmin": 0, "zmax": 1, "colorscale": [[0, "#f4f6f8"], [1, "#08519c"]], "xgap": 1, "ygap": 1,
                "showscale": False, "hoverinfo": "text", "textfont": {"size": 11},
                "hovertext": [[f"{tag} taken for {other}: {counts[one, another]}" for other, another
                               in zip(names, shown, strict=True)] for tag, one in zip(names, shown, strict=True)],
            }
        ],
        layout={
            "xaxis": {**ticks, "side": "top", "tickangle": -90},
            "yaxis": {**ticks, "range": [len(shown) - 0.5, -0.5]},
            "height": 90 + 26 * len(shown),
        },
        table=[list(HEADINGS), *most_frequent(matrices)],
        names=2,
    )  # fmt: skip


def sum_counts(matrices: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """Tag and what it was taken for -> how many words, over all matrices; every pair of tags of one matrix."""
    counts: dict[tuple[str, str], int] = {}
    for matrix in matrices:
        for tag, row in zip(matrix["labels"], matrix["counts"], strict=True):
            for other, count in zip(matrix["labels"], row, strict=True):
                counts[tag, other] = counts.get((tag, other), 0) + count
    return counts
