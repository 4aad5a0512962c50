"""`pytest suites --report FILE` leaves the page of the session, however it ends."""

import json
import re
from types import SimpleNamespace

import pytest
from suite_sessions import start

from bench.judge.claims.book import read_claims
from bench.judge.verdict import REFUTED, Verdict
from bench.plugin.claiming import VERDICTS
from bench.plugin.hooks import RUN
from bench.plugin.report_file import claims_of, pytest_configure, store_claims, write_page
from bench.report import html_page
from bench.report.claims import read_verdicts

POS = ("suites/test_methods.py", "--replay", "smoke", "-k", "pos-minilm_l6-lora-cpu-s0")
INTERRUPTS = """
def pytest_runtest_setup(item):
    if "test_merge" in item.nodeid:
        raise KeyboardInterrupt
"""
BREAKS = """
def pytest_runtestloop(session):
    raise RuntimeError("broken")
"""


def page(file):
    text = file.read_text(encoding="utf-8")
    return text[: text.index("<script nonce=")]


def test_a_session_leaves_its_page_and_says_where(tmp_path):
    file = tmp_path / "deep" / "page.html"
    done = start(tmp_path / "runs", *POS, "--report", file)
    assert done.code == 0
    assert done.text.splitlines()[-1] == f"report: {file}"
    assert re.search(r"13 cases: 13 ok; \d+ tests passed, 0 failed", page(file)), "it lacks how the tests ended"
    assert list(file.parent.iterdir()) == [file]  # written whole: no part is left


@pytest.mark.parametrize(("plugin", "code"), [(INTERRUPTS, 2), (BREAKS, 3)], ids=["interrupted", "internal-error"])
def test_a_session_that_does_not_end_well_leaves_its_page_too(plugin, code, tmp_path):
    (tmp_path / "ending.py").write_text(plugin, encoding="utf-8")
    file = tmp_path / "page.html"
    done = start(tmp_path / "runs", *POS, "--report", file, "-p", "ending", PYTHONPATH=str(tmp_path))
    assert done.code == code
    assert f"report: {file}" in done.text
    assert "pos-minilm_l6-lora-cpu-s0" in page(file)


def test_a_session_without_a_record_says_that_there_is_nothing_to_show(tmp_path):
    run = SimpleNamespace(all_records=list, records={}, folder=None)
    says = write_page(SimpleNamespace(stash={RUN: run}), tmp_path / "page.html", [], 0)
    assert says == "no report was written: the session has no record, and judged no claim"
    assert list(tmp_path.iterdir()) == []


def asked(file, folder):
    return SimpleNamespace(getoption=lambda name: str(file), invocation_params=SimpleNamespace(dir=folder))


def test_a_folder_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "here").mkdir()
    with pytest.raises(pytest.UsageError, match="--report here is a folder; give a file, as --report here/report.html"):
        pytest_configure(asked("here", tmp_path))


def test_a_missing_extra_is_said_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(html_page, "NEEDED", ("no_such_package",))
    with pytest.raises(pytest.UsageError, match=r'--report: a report needs no_such_package; pip install "lorabench'):
        pytest_configure(asked("x.html", tmp_path))


@pytest.mark.parametrize("replay", [None, "a run"])
def test_verdicts_are_stored_with_the_run_but_not_by_a_replay(replay, tmp_path):
    name = next(iter(read_claims()))
    run = SimpleNamespace(folder=tmp_path, options=SimpleNamespace(replay=replay))
    config = SimpleNamespace(stash={RUN: run, VERDICTS: {name: Verdict(name, REFUTED, "it is not")}})
    store_claims(config, claims_of(config))
    stored = [(one["id"], one["verdict"], one["sentence"]) for one in read_verdicts(tmp_path)]
    assert stored == ([] if replay else [(name, REFUTED, "it is not")])
    assert replay or json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))


def test_a_session_that_judged_no_claim_stores_none(tmp_path):
    config = SimpleNamespace(stash={RUN: SimpleNamespace(folder=tmp_path, options=SimpleNamespace(replay=None))})
    store_claims(config, claims_of(config))
    assert list(tmp_path.iterdir()) == []
