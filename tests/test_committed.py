"""What is committed agrees with itself: pages with the runs they show, thresholds with today's recipes."""

import re

import pytest

from bench.__main__ import main
from bench.commands.rescore import rescored_run
from bench.core.paths import RESULTS, ROOT
from bench.judge import probe_thresholds
from bench.judge.probe_thresholds import bands_toml, measure_bands
from bench.judge.thresholds import read_thresholds
from bench.models import MODELS
from bench.plan.selection import Selection, all_cases, is_smoke
from bench.recipes.of_case import recipe_for
from bench.records.record import read_records
from bench.report.pages import pages

RUNS = RESULTS / "runs"
# The smoke cases whose quality is judged. The others of the default run have random weights.
SMOKE = [
    case
    for case in all_cases(Selection())
    if case.device == "cpu" and is_smoke(case, Selection()) and MODELS[case.model].embedded
]
TEXTS = [*pages(ROOT), ROOT / "CHANGELOG.md"]
NAMED = sorted(
    {name for text in TEXTS for name in re.findall(r"\bruns/([a-z0-9_-]+)", text.read_text(encoding="utf-8"))}
)


@pytest.mark.parametrize("run", NAMED)
def test_a_run_that_a_text_names_is_there(run):
    """git leaves runs out until one is added by force."""
    assert (RUNS / run / "run.json").exists()
    assert read_records(RUNS / run / "records.jsonl")[0]


@pytest.mark.parametrize("run", sorted({path.parent.parent.name for path in RUNS.glob("*/predictions/*.probes.jsonl")}))
def test_answers_to_probes_are_read_as_today(run):
    found = rescored_run(RUNS / run)
    assert (found.changed, list(found.answers)) == (0, []), f"run python -m bench rescore {run}"


def test_bands_of_probes_are_those_of_the_committed_run():
    """Shares that `rescore` changes move their bands too: `python -m bench probes --thresholds numbers`."""
    records, _ = read_records(RUNS / "numbers" / "records.jsonl")
    assert probe_thresholds.FILE.read_text(encoding="utf-8") == bands_toml(measure_bands(records.values()))


@pytest.mark.parametrize("smoke_case", SMOKE, ids=str)
def test_smoke_case_has_a_threshold_for_its_recipe(smoke_case):
    entry = read_thresholds().entries[f"{smoke_case.id.rsplit('-', 1)[0]}-sample"]
    assert entry["recipe"] == recipe_for(smoke_case, "sample").digest()


def test_committed_smoke_run_holds_every_smoke_case():
    records, _ = read_records(RUNS / "smoke" / "records.jsonl")
    assert {case.id for case in SMOKE} <= records.keys()
    assert {record.status for record in records.values()} == {"ok"}


def test_unknown_run_is_one_sentence(capsys):
    assert main(["table", "nowhere"]) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("bench: nowhere: no run with a records.jsonl there; runs are ")
    assert "h200, " in sentence  # among a person's own
