"""Training losses of a session that runs, of the optimizer steps whose progress was written down."""

from bench.records.run_progress import CaseProgress, RunProgress
from bench.report.charts.chart import Chart, Trace, axis, round_value, safe
from bench.report.charts.marks import colour_of, dash_of
from bench.report.tables import Table

SAYS = "Loss of an optimizer step, in nats, at most one a second; the record of a case that has ended has all of them."
HEADINGS = ("case", "step", "of", "first loss", "last loss")


def live_loss_charts(progress: RunProgress) -> list[Chart]:
    """The chart of all cases that have begun to train; [] if none has."""
    begun = [one for one in progress.cases if one.losses]
    if not begun:
        return []
    return [
        Chart(
            name="live-losses",
            title="Training loss so far",
            says=SAYS,
            traces=[trace_of(one) for one in begun],
            layout={"xaxis": axis("optimizer step"), "yaxis": axis("loss, nats"), "height": 360},
            table=table_of(begun),
            names=1,
        )
    ]


def trace_of(one: CaseProgress) -> Trace:
    method = one.case.split("-")[2] if one.case.count("-") == 4 else one.case
    return {
        "type": "scatter", "name": safe(one.case), "mode": "lines",
        "line": {"color": colour_of(method), "dash": dash_of(method), "width": 2},
        "x": [step for step, _ in one.losses], "y": [round_value(loss) for _, loss in one.losses],
    }  # fmt: skip


def table_of(begun: list[CaseProgress]) -> Table:
    rows = [
        [one.case, f"{one.step:.0f}", f"{one.steps:.0f}", f"{one.losses[0][1]:.4g}", f"{one.losses[-1][1]:.4g}"]
        for one in begun
    ]
    return [HEADINGS, *rows]
