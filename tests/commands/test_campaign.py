"""`python -m bench campaign`: a plan without a card, mistakes in one sentence, and entries run until the time is over."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.__main__ import main
from bench.campaign.entries import read_entries, rehearsal
from bench.campaign.session import CUT_OFF, DONE, FAILED, Ended
from bench.commands import campaign
from bench.machine import devices
from bench.records.record import OK, Record
from bench.records.stored import Stored
from bench.report.campaign import HEADINGS


def test_a_plan_for_a_card_lists_what_would_run_in_order_and_what_waits(capsys):
    assert main(["campaign", "--plan", "--card", "h200", "--minutes", "10"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("on H200, 141 GB, in 10 minutes: ")
    assert any(line.split() == " ".join(HEADINGS).split() for line in said.splitlines())
    rows = [line.split() for line in said.splitlines() if " waits " in line or line[:1].islower()]
    runs = [row[1] for row in rows if row[1].isdigit()]
    assert runs == [str(number) for number in range(1, len(runs) + 1)]
    assert any(row[1] == "waits" for row in rows)
    settled = [float(row[2]) for row in rows if row[1].isdigit()]
    assert settled == sorted(settled, reverse=True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--minutes", "0"], "--minutes 0 must be above 0"),
        (["--plan", "--card", "h200", "--minutes", "0.1"], "0.1 minutes are shorter than the shortest entry: "),
        (["--plan", "--card", "h20"], "no card named 'h20'; did you mean h200"),
        (["--plan", "--card", "rtx3060_12gb"], "the FLOP/s of rtx3060_12gb are not known"),
        (["--card", "h200"], "--card is for --plan; a campaign runs on the card that is there"),
        (["--plan", "--device", "cpu", "--card", "h200"], "--device cpu rehearses without a card; leave --card out"),
        (["--device", "cpu", "--only", "llama31_80b"], "no entry named 'llama31_80b'; did you mean llama31_"),
        ([], "needs a CUDA device; this machine has none"),
    ],
)
def test_a_mistake_is_one_sentence(words, says, capsys, monkeypatch):
    monkeypatch.setattr(devices, "find_cards", lambda: ((), ""))
    assert main(["campaign", *words]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


@pytest.fixture
def sessions(monkeypatch):
    """Sessions that take half a minute of a clock that stands still: entry -> how it ends; and what was run."""
    ends, ran, clock = {}, [], [0.0]
    monkeypatch.setattr(campaign, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def run(entry, mirror, entries, seconds):
        ran.append((entry.name, seconds))
        clock[0] += 30
        return Ended(*ends.get(entry.name, (DONE, "")), 1.0, None)

    monkeypatch.setattr(campaign, "run_entry", run)
    return ends, ran


ONLY = ["campaign", "--device", "cpu", "--only", "gpt2-settings,mistral_7b,qwen3_8b"]


def test_every_entry_is_run_with_a_deadline_and_summed_up(sessions, capsys):
    ends, ran = sessions
    ends["mistral_7b"] = (CUT_OFF, "0 of 1 cases have a record")
    assert main([*ONLY, "--minutes", "5"]) == 0
    assert [name for name, _ in ran] == ["gpt2-settings", "mistral_7b", "qwen3_8b"]
    assert all(0 < seconds <= 300 for _, seconds in ran)
    said = capsys.readouterr().out
    assert "mistral_7b: 0 of 1 cases have a record" in said
    assert "left: 0 entries of about 0 minutes" in said


def test_what_does_not_fit_is_left(sessions, capsys):
    _, ran = sessions
    assert main([*ONLY, "--minutes", "0.6"]) == 0
    assert len(ran) == 1
    assert "left: 2 entries of about " in capsys.readouterr().out


def test_a_second_rehearsal_runs_the_same_entries_again(capsys, monkeypatch):
    (entry,) = [rehearsal(entry) for entry in read_entries() if entry.name == "qwen3_8b"]
    ran = [Record(case.id, OK, recipe_digest=entry.recipe(case).digest()) for case in entry.cases]
    monkeypatch.setattr(campaign, "all_records", lambda: [Stored("first", Path(), record) for record in ran])
    assert main(["campaign", "--device", "cpu", "--only", entry.name, "--plan"]) == 0
    assert "1 of 1 entries" in capsys.readouterr().out


def test_a_failed_entry_fails_the_campaign(sessions, capsys):
    ends, _ = sessions
    ends["qwen3_8b"] = (FAILED, "alpaca_worst-tiny_qwen3-qlora-cpu-s0 crashed (killed)")
    assert main([*ONLY, "--minutes", "5"]) == 1
    assert "qwen3_8b: alpaca_worst-tiny_qwen3-qlora-cpu-s0 crashed (killed)" in capsys.readouterr().out
