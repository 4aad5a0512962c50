"""What people know of pytest works here too: -x, --lf, -v, -q, -k, --co, JUnit, narrow terminals, Ctrl-C.

Sessions replay two stored records, so that nothing trains: one that passes everything and one that fails one test.
"""

import json
import os
import pty
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from run_files import append_record
from suite_sessions import TESTS, command, start, surroundings

from bench.core.paths import ROOT
from bench.executor import Outcome
from bench.plugin.progress import Progress
from bench.records.record import read_records

SMOKE = read_records(ROOT / "results" / "runs" / "smoke" / "records.jsonl")[0]
GOOD = SMOKE["pos-minilm_l6-lora-cpu-s0"]
BAD = SMOKE["pos-minilm_l6-ia3-cpu-s0"]
BAD = replace(BAD, evidence={**BAD.evidence, "off_distance": 0.5})
SUITE = "suites/test_methods.py"
FAILED = f"{SUITE}::test_off_gives_base[{BAD.case}]"
SLOW_RECORDS = """
import bench.plugin.session as session

record = session.Run.record

def slowly(self, case):
    for step in (1, 2, 3):
        self.progress._last[case.id] = float('-inf')
        said = {"step": step, "steps": 3, "loss": 1.0, "tokens_per_second": 9.0, "seconds_left": 1.0}
        self.progress.report(case.id, said)
    return record(self, case)

session.Run.record = slowly
"""
STUCK = """
import time
from pathlib import Path
import bench.plugin.session as session
from bench.executor import Outcome

class Stuck:
    '''Its first job crashes, its second never ends, and neither does stopping where STOPS is not set.'''

    preload_seconds = 0.0
    resources = staticmethod(tuple)

    def __init__(self, preload=(), timeout=0, workers=1, on_progress=None, on_done=None):
        self.on_done, self.jobs = on_done, []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, job):
        self.jobs.append(job)

    def first(self, key):
        pass

    def outcome(self, key):
        if key == "weights":
            return Outcome(key, "ok", result={"away": "", "weights": {}, "rows": {}})
        if key == self.jobs[0].key:
            self.on_done(Outcome(key, "crashed", "as planned"))
            return
        Path("MARK").touch()
        time.sleep(600)

    def stop(self):
        Path("MARK-stopping").touch()
        time.sleep(STOP_SECONDS)

session.Executor = Stuck
"""
TWO = ("--tasks", "pos", "--models", "tiny_bert", "--methods", "lora,head", "--devices", "cpu")
AT_ONCE = 5.0  # seconds


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The folder of runs, with one of both records."""
    runs = tmp_path_factory.mktemp("habits") / "runs"
    for record in (GOOD, BAD):
        append_record(runs / "two" / "records.jsonl", record)
    return runs


@pytest.fixture(scope="module")
def verbose(stored):
    """A session with many options at once, that remembers what failed."""
    xml, page = stored.parent / "junit.xml", stored.parent / "page.md"
    words = (SUITE, "--replay", "two", "-v", f"--junitxml={xml}", "--durations=2", "--durations-min=0", "--color=no",
             "-p", "cacheprovider", "-o", f"cache_dir={stored.parent / 'cache'}")  # fmt: skip
    return start(stored, *words, GITHUB_STEP_SUMMARY=str(page), CI="true"), xml, page


def again(stored, *words, **environment):
    """Another session on the same records, with the same memory of what failed."""
    cache = ("-p", "cacheprovider", "-o", f"cache_dir={stored.parent / 'cache'}")
    return start(stored, SUITE, "--replay", "two", *cache, *words, **environment)


def test_verbose_has_one_line_for_each_test(verbose):
    done, _, _ = verbose
    assert done.code == 1
    assert re.search(rf"^{re.escape(FAILED)} FAILED +\[ *\d+%\]$", done.text, re.MULTILINE)
    assert re.search(r"^\S+test_reads_back\[\S+\] PASSED", done.text, re.MULTILINE)
    assert "\x1b" not in done.text
    assert "slowest 2 durations" in done.text


def test_failure_reads_without_the_source(verbose):
    done, _, _ = verbose
    assert (
        "with ia3 switched off, the logits differ from the base's by 0.5, relative to their norm; expected 0"
        in done.text
    )


def test_header_names_what_is_judged(verbose):
    done, _, _ = verbose
    torch, peft = (GOOD.environment["libraries"][name] for name in ("torch", "peft"))
    assert re.search(
        rf"^lorabench.*: torch {re.escape(torch)}, transformers .*, peft {peft}, .* cores$",
        done.text,
        re.MULTILINE,
    )


def test_header_says_what_max_steps_takes_away(stored):
    done = again(stored, "--max-steps", "4", "--co")
    assert "--max-steps 4: quality is not judged, because thresholds were measured with whole recipes; " in done.text


def test_junit_has_figures_and_versions(verbose):
    _, xml, _ = verbose
    suite = ElementTree.parse(xml).getroot().find("testsuite")
    about = {one.get("name"): one.get("value") for one in suite.find("properties")}
    assert about["torch"]
    assert about["processor"]
    (test,) = [one for one in suite.iter("testcase") if one.get("name") == f"test_reads_back[{GOOD.case}]"]
    figures = {one.get("name"): one.get("value") for one in test.iter("property")}
    assert figures["case"] == GOOD.case
    assert float(figures["f1"]) == GOOD.quality["f1"]
    assert int(figures["peak_bytes"]) == GOOD.noisy["peak_bytes"]


def test_cis_summary_has_a_verdict_for_each_case_and_the_failed_one_first(verbose):
    _, _, page = verbose
    text = page.read_text(encoding="utf-8")
    assert text.startswith("## 1 of 2 cases failed\n")
    assert re.search(
        r"^\d+ tests passed, 1 failed, \d+ skipped\. torch \S+, transformers \S+, peft ", text, re.MULTILINE
    )
    rows = [line for line in text.splitlines() if line.startswith("| pos-")]
    assert re.match(rf"\| {BAD.case} \| ok \| 1 of \d+ failed: off_gives_base \|", rows[0])
    assert re.match(rf"\| {GOOD.case} \| ok \| \d+ passed \|", rows[1])
    assert re.search(rf"^- repeat what failed: `pytest .*{SUITE} --replay two ", text, re.MULTILINE)
    assert f"-k {BAD.case}`" in text
    assert "- judge it again without running anything: `pytest suites --replay two`" in text


def test_last_failed_runs_the_failed_test_alone(verbose, stored):
    done = again(stored, "--lf", "-q")
    assert done.code == 1
    assert re.search(r"^1 failed, \d+ deselected", done.text, re.MULTILINE)
    assert f"FAILED {FAILED}" in done.text


def test_exit_first_stops_at_the_first_failure(stored):
    done = again(stored, "-x", "-k", "off_gives_base or rank")
    assert done.code == 1
    assert "stopping after 1 failures" in done.text


def test_keywords_and_collecting_only(stored):
    done = again(stored, "-k", "ia3 and reads_back", "--co", "-q")
    assert done.code == 0
    assert done.text.startswith(f"{SUITE}::test_reads_back[{BAD.case}]\n")


def test_sixty_columns_show_a_paragraph_for_each_case(stored):
    done = again(stored, "-k", "reads_back", COLUMNS="60")
    lines = done.text.split(" cases =")[1].splitlines()
    place = lines.index(GOOD.case)
    assert lines[place + 1].startswith("  status ok, tests 1 passed, metric f1, ")
    assert max(map(len, lines[: place + 3])) <= 60


@pytest.fixture
def slow(tmp_path):
    (tmp_path / "slow_records.py").write_text(SLOW_RECORDS, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(TESTS)])}


@pytest.mark.parametrize("quiet", [(), ("-v",), ("-q",)])
def test_progress_on_a_terminal_leaves_the_dots_whole(stored, slow, quiet):
    words = ("-p", "slow_records", SUITE, "--replay", "two", "-k", "reads_back", "--color=no", *quiet)
    screen = on_terminal(stored, *words, **slow)
    assert not [line for line in screen if ": step " in line], "progress is gone when the session ends"
    dots = [line for line in screen if re.fullmatch(r"(suites/test_methods.py )?\.+(F)?( +\[ *\d+%\])?", line)]
    tests = [line for line in screen if re.match(r"suites/test_methods.py::\S+ PASSED", line)]
    assert sum(line.count(".") - line.count(".py") for line in dots) == 2 or len(tests) == 2, screen


def test_progress_in_ci_is_on_lines_of_its_own(stored, slow):
    done = start(stored, "-p", "slow_records", SUITE, "--replay", "two", "-k", "reads_back", CI="true", **slow)
    said = [line for line in done.text.splitlines() if ": step " in line]
    assert len(said) >= 2
    assert all(line.startswith("pos-minilm_l6-") for line in said)


def on_terminal(runs, *words, **environment):
    """The lines that a terminal shows in the end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*words), cwd=ROOT, env={**surroundings(runs, **environment), "TERM": "xterm", "COLUMNS": "200"},
        stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:  # the other end is closed
        pass
    process.wait(60)
    os.close(ours)
    return shown(said.decode())


def shown(text):
    """What a terminal shows of the text: carriage returns, line feeds, cursor up and erase-to-end-of-line."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\r\n\x1b]+", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part.endswith("A") and part[0] == "\x1b":
            row = max(row - 1, 0)
        elif part.endswith("K") and part[0] == "\x1b":
            lines[row] = lines[row][:column]
        elif part[0] != "\x1b":
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


def test_progress_waits_while_a_test_runs_and_is_shown_afterwards():
    said = []
    progress = Progress()
    progress.show_outcome(Outcome("a", "ok", seconds=1.0))
    progress.start(said.append, terminal=False)
    progress.show_outcome(Outcome("b", "ok", seconds=2.0))
    assert progress.stop()
    assert "".join(said) == "\na: ok in 1.0 s\nb: ok in 2.0 s\n"
    progress.start(said.append, terminal=False)
    assert not progress.stop()


# --- signals


def stuck(folder, *signals, stop_seconds):
    """A session whose second case never ends, after these signals: its exit code, its output, and the seconds it took."""
    text = STUCK.replace("MARK", str(folder / "mark")).replace("STOP_SECONDS", str(stop_seconds))
    (folder / "stuck.py").write_text(text, encoding="utf-8")
    path = os.pathsep.join([str(folder), str(TESTS)])
    words = command("-p", "stuck", "suites/test_cost.py", *TWO, "--run-name", "before", "-k", "trainable")
    with (folder / "output").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            words, cwd=ROOT, env=surroundings(folder / "runs", PYTHONPATH=path), stdout=output, stderr=output,
            start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    try:
        for number, mark in zip(signals, ("mark", "mark-stopping"), strict=False):
            until = time.monotonic() + 60
            while not (folder / mark).exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            began = time.monotonic()
            process.send_signal(number)
        code = process.wait(30)
    finally:
        process.kill()
    return code, (folder / "output").read_text(encoding="utf-8"), time.monotonic() - began


def continues(text, folder):
    """Whether the output says how to continue the run, by a command that names it."""
    (run,) = (folder / "runs").iterdir()
    assert run.name.endswith("-before")
    words = f"suites/test_cost.py {' '.join(TWO)} -k trainable --resume {run.name}"
    return re.search(rf"1 of 2 cases is stored; continue with: pytest -p no:cacheprovider -p stuck {words}\n", text)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 2), (signal.SIGTERM, 128 + 15)])
def test_first_signal_ends_in_order_and_says_how_to_continue(tmp_path, number, code):
    found, text, _ = stuck(tmp_path, number, stop_seconds=0)
    assert found == code
    assert continues(text, tmp_path)
    assert "Traceback" not in text


def test_second_ctrl_c_ends_at_once_and_keeps_the_records(tmp_path):
    code, text, seconds = stuck(tmp_path, signal.SIGINT, signal.SIGINT, stop_seconds=600)
    assert code == 128 + 2
    assert seconds < AT_ONCE
    assert continues(text, tmp_path)
    (line,) = next((tmp_path / "runs").iterdir()).joinpath("records.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["status"] == "crashed"


def test_run_is_named_and_found_by_that_name(tmp_path):
    append_record(tmp_path / "runs" / "20261130T110000-before" / "records.jsonl", GOOD)
    append_record(tmp_path / "runs" / "20261130T120000-before" / "records.jsonl", BAD)
    done = start(tmp_path / "runs", SUITE, "--replay", "before", "--collect-only", "-q")
    assert BAD.case in done.text
    assert GOOD.case not in done.text
