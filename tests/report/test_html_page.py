"""A report is one inert page that shows a run in full, quickly, and without torch. A browser reads it in test_browser."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from compared_runs import committed, run_of
from hostile_records import TEXT, hostile_run

from bench.__main__ import main
from bench.core.paths import ROOT
from bench.report import html_page as module
from bench.report.answers import MOST_OF_CASE, generated_answers
from bench.report.surroundings import libraries_table, surroundings_table

MOST_BYTES, MOST_SECONDS = 8e6, 5.0
LARGE = """
import sys, time
from dataclasses import replace
from pathlib import Path
from bench.__main__ import main
from bench.core.paths import RESULTS
from bench.methods import METHODS
from bench.records.record import read_records

smoke = read_records(RESULTS / "runs" / "smoke" / "records.jsonl")[0]
tagged = smoke["pos-minilm_l6-lora-cpu-s0"]
losses = [4.0 / (1 + step / 100) + (step * 7919 % 101) / 1000 for step in range(2500)]
cases = [f"pos-minilm_l6-{name}-cpu-s{seed}" for seed in range(10) for name in METHODS.names()][:100]
run = Path(sys.argv[1])
run.mkdir()
lines = [replace(tagged, case=case, losses=losses, predictions="").to_line() for case in cases]
(run / "records.jsonl").write_text("\\n".join(lines), encoding="utf-8")
began = time.process_time()  # not of the clock, which other work stretches
code = main(["report", str(run), "-o", sys.argv[2]])
heavy = sorted({name.split(".")[0] for name in sys.modules} & {"torch", "transformers", "pandas"})
print(code, time.process_time() - began, heavy)
"""


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def page_of(run, tmp_path, *words):
    file = tmp_path / "page.html"
    assert main(["report", str(run), "-o", str(file), *words]) == 0
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def smoke_page(tmp_path_factory):
    return page_of("smoke", tmp_path_factory.mktemp("smoke"))


def own(page):
    """The page without plotly's code."""
    return page[: page.index("<script nonce=")]


def test_every_part_of_a_run_is_there(smoke_page):
    titles = re.findall(r"<h2>(.*?)</h2>", own(smoke_page))
    assert titles == [
        "Cases", "Quality against memory", "Training losses", "Memory", "Step time", "Confusion matrices", "Answers",
        "Claims of papers", "Environment and command",
    ]  # fmt: skip
    for case in committed():
        assert f"<bdi>{case}</bdi>" in smoke_page


def test_every_chart_has_a_name_for_screen_readers_and_a_table(smoke_page):
    charts = own(smoke_page).split('<figure class="chart">')[1:]
    assert len(charts) == 18
    for chart in charts:
        assert re.search(r'role="img" aria-label="[^"]{40,}"', chart)
        assert "The same as a table" in chart
        assert chart.count("<tr>") >= 2


def test_the_policy_allows_no_request_and_only_the_pages_own_scripts(smoke_page):
    elements = Elements(smoke_page)
    (policy,) = [one["content"] for one in elements.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    nonces = {one["nonce"] for one in elements.of("script") if one.get("type") != "application/json"}
    assert {rules["script-src"]} == {f"'nonce-{nonce}'" for nonce in nonces}
    assert [one for _, one in elements.found if "src" in one or one.get("href", "#x")[0] not in "#d"] == []


def test_each_page_has_a_nonce_of_its_own(smoke_page, tmp_path):
    nonces = [re.search(r"nonce-([\w-]+)", page)[1] for page in (smoke_page, page_of("smoke", tmp_path))]
    assert nonces[0] != nonces[1]


def test_a_hostile_run_adds_no_element_and_no_hidden_character(tmp_path):
    page = page_of(hostile_run(tmp_path / "run"), tmp_path)
    elements = Elements(own(page))
    assert elements.of("img") == elements.of("svg") == []
    assert {attributes["href"] for attributes in elements.of("a")} <= {
        f"#{name}" for name in ("cases", "losses", "memory", "seconds", "confusions", "probes", "answers", "claims",
                                "surroundings")}  # fmt: skip
    assert [one for _, one in elements.found if any(name.startswith("on") for name in one)] == []
    assert not set("\u202e\u2066\0\x1b") & set(own(page))
    assert "\\u202egnp.exe" in own(page)
    assert "{{7*7}}" in own(page)  # shown as it is


def test_text_from_a_record_is_kept_apart_in_bdi_and_in_pre(tmp_path):
    page = own(page_of(hostile_run(tmp_path / "run"), tmp_path))
    inside = re.findall(r"<bdi>[^<]*</bdi>|<pre[^>]*>[^<]*</pre>", page)
    assert sum(one.count("gnp.exe") for one in inside) > 20
    outside = re.sub(r"<bdi>[^<]*</bdi>|<pre[^>]*>[^<]*</pre>|<script type=[^>]*>[^<]*</script>", "", page)
    assert "gnp.exe" not in re.sub(r"aria-label=\"[^\"]*\"", "", outside)


def test_data_of_charts_cannot_end_their_script():
    assert module.for_script([TEXT]).isascii()
    assert not set("<>&") & set(module.for_script([TEXT]))
    assert json.loads(module.for_script([TEXT])) == [TEXT]


def test_100_cases_of_2500_steps_are_quick_small_and_need_no_torch(tmp_path):
    file = tmp_path / "page.html"
    done = subprocess.run(
        [sys.executable, "-c", LARGE, tmp_path / "run", file], cwd=ROOT, capture_output=True, text=True
    )
    code, seconds, heavy = done.stdout.splitlines()[-1].split(" ", 2)
    assert (code, heavy) == ("0", "[]"), done.stderr
    assert float(seconds) < MOST_SECONDS
    assert file.stat().st_size < MOST_BYTES


def test_two_runs_are_compared_as_the_gate_does(tmp_path):
    page = own(page_of("virtual-tokens-transformers-5-24", tmp_path, "--against", "virtual-tokens"))
    assert "Comparison: <bdi>virtual-tokens → virtual-tokens-transformers-5-24</bdi>" in page
    assert "4 cases: 3 worse, 1 same" in page
    assert "transformers 5.23.0 → 5.24.0" in page
    assert page.count("<bdi>generation_distance</bdi>") == 2


def test_cases_of_other_recipes_are_not_compared_and_one_sentence_says_so(tmp_path, capsys):
    page = own(page_of("numbers", tmp_path, "--against", "probe-seconds"))
    said = capsys.readouterr().err.splitlines()[0]
    assert re.match(r"nothing could be compared with probe-seconds: .*recipe differs", said)
    assert "incomparable" in page


def test_verdicts_stored_with_a_run_are_shown(tmp_path):
    folder = run_of(tmp_path / "run", list(committed().values())[:1])
    claim = {"id": "001-x", "source": "001", "kind": "trend", "verdict": "refuted", "expected": "refuted",
             "says": "It falls", "sentence": "it rises", "records": ["smoke/x"]}  # fmt: skip
    (folder / "claims.json").write_text(json.dumps([claim]), encoding="utf-8")
    page = own(page_of(folder, tmp_path))
    assert "1 claims: 1 refuted" in page
    assert "<bdi>It falls. it rises</bdi>" in page


def test_a_failed_case_shows_its_last_lines(tmp_path):
    page = own(page_of("h200", tmp_path))
    assert "10 cases: 8 ok, 2 failed" in page
    assert re.search(r"adalora-cuda-s0</bdi>: failed, <bdi>RuntimeError: kthvalue\(\)", page)
    assert '<pre dir="auto">' in page


def test_long_tables_of_answers_are_cut_and_say_so():
    record = committed()["medqa-smollm2_135m-lora-cpu-s0"]
    row = {"prompt": "a", "actual": "b", "generated": "c"}
    record.tables["generated"] = [row] * (MOST_OF_CASE + 3)
    found = generated_answers([record])
    assert len(found.table) == 1 + MOST_OF_CASE
    assert found.left_out == "At most 40 of each case are shown; 3 more are in its file."


def test_surroundings_name_the_command_and_every_value_once():
    smoke = list(committed().values())
    older = replace(smoke[0], environment={**smoke[0].environment, "python": "3.12.1"})
    rows = surroundings_table([older, *smoke], {"command": ["pytest", "-k", "a b"], "note": "by hand"})[1:]
    assert ["command", "pytest -k 'a b'"] in rows
    assert ["python", "3.12.1, 3.11.7"] in rows
    assert rows[-1] == ["note", "by hand"]
    assert sum(name == "weights" for name, _ in rows) == 2  # two models


def test_libraries_are_those_that_the_run_lists_else_those_of_its_records():
    smoke = list(committed().values())
    assert ["torch", "2.13.0+cpu"] in libraries_table(smoke, {})
    assert libraries_table(smoke, {"distributions": {"torch": "9"}}) == [["library", "version"], ["torch", "9"]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["smoky"], "bench: smoky: no run with a records.jsonl there; did you mean smoke?\n"),
        (["smoke", "--against", "smoke"], "bench: --against smoke is the run itself; give another run\n"),
        (["smoke", "-o", "."], "bench: -o . is a folder; give a file, as -o report.html\n"),
    ],
)
def test_a_mistake_is_one_sentence(words, says, capsys):
    assert main(["report", *words]) == 2
    assert capsys.readouterr().err == says


def test_a_run_without_records_is_one_sentence(tmp_path, capsys):
    (tmp_path / "records.jsonl").write_text("", encoding="utf-8")
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "page.html")]) == 2
    assert capsys.readouterr().err == f"bench: no record in the run {tmp_path.name}\n"
    assert not (tmp_path / "page.html").exists()


def test_damaged_verdicts_are_one_sentence(tmp_path, capsys):
    folder = run_of(tmp_path / "run", list(committed().values())[:1])
    (folder / "claims.json").write_text('[{"id": 1}]', encoding="utf-8")
    assert main(["report", str(folder), "-o", str(tmp_path / "page.html")]) == 2
    assert capsys.readouterr().err == f"bench: {folder / 'claims.json'}: damaged ('source'); delete it\n"


def test_without_the_extra_a_sentence_names_it(monkeypatch, capsys):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "plotly" else object())
    assert main(["report", "smoke"]) == 2
    assert capsys.readouterr().err == 'bench: a report needs plotly; pip install "lorabench[report]"\n'
