"""pytest-benchmark compares runs of different machines, and what it leaves out stands below its table.

Nothing trains: see stored_benchmarks.py.
"""

import json
import re

import pytest
from suite_sessions import start

OTHER = {"accelerator": "another card", "driver": "999", "libraries": {"transformers": "0.0.0"}, "cpu": {}}
LORA = ("pos-minilm_l6-lora-cpu-s0", "support-smollm2_135m-lora-cpu-s0")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a saved run of this machine."""
    folder = tmp_path_factory.mktemp("benchmarks")
    done = session(folder, "--benchmark-save", "first")
    assert done.code == 0, done.text
    return folder


def session(folder, *words):
    storage = f"--benchmark-storage=file://{folder / 'saved'}"
    always = (
        "-p",
        "stored_benchmarks",
        "suites/test_speed.py",
        "--devices",
        "cpu",
        "--models",
        "minilm_l6,smollm2_135m",
        storage,
    )
    return start(folder / "runs", *always, *words)


def saved_file(folder):
    (path,) = (folder / "saved").rglob("0001_first.json")
    return path


def test_json_has_the_case_and_figures_of_its_record(saved):
    found = json.loads(saved_file(saved).read_text(encoding="utf-8"))
    assert "UNSERIALIZABLE" not in saved_file(saved).read_text(encoding="utf-8")
    assert [one["params"] for one in found["benchmarks"]] == [{"case": case} for case in LORA]
    info = found["benchmarks"][0]["extra_info"]
    assert info["peak_bytes"] > 0
    assert info["mean_step_flops"] > 0
    assert info["tokens_per_step"] == 100
    assert 0 < info["quality"] < 1
    assert found["machine_info"]["libraries"]["torch"]


def test_a_run_of_another_machine_is_compared_with_all_its_figures(saved):
    """Altered: another machine, slower, that took more memory."""
    path = saved_file(saved)
    text = path.read_text(encoding="utf-8")
    altered = json.loads(text)
    altered["machine_info"] = OTHER
    for one in altered["benchmarks"]:
        one["stats"]["median"] *= 2
        one["extra_info"]["peak_bytes"] *= 2
    path.write_text(json.dumps(altered), encoding="utf-8")
    done = session(saved, "--benchmark-compare=0001")
    path.write_text(text, encoding="utf-8")
    assert done.code == 0, done.text
    assert "Benchmark machine_info is different" in done.text
    table = done.text.split("memory, work and quality: then ")[1].split("\n===")[0].splitlines()
    assert table[0].startswith("0001_first ")
    assert [line for line in table if line in LORA] == list(LORA)
    assert len([line for line in table if re.match(r"  s/step .* -50\.0%$", line)]) == 2
    assert len([line for line in table if re.match(r"  peak memory .* GB .* GB +-50\.0%$", line)]) == 2
    assert len([line for line in table if re.match(r"  (f1|loss) .* same$", line)]) == 2
    assert max(map(len, table)) <= 100


def test_a_run_without_benchmarks_can_be_compared_with(tmp_path):
    """pytest-benchmark reads the saved run before anything is collected."""
    place = tmp_path / "saved" / "Other-CPython-3.11-64bit"
    place.mkdir(parents=True)
    other = {"machine_info": OTHER, "commit_info": {}, "benchmarks": [], "datetime": "2026-01-01T00:00:00",
             "version": "5.3.1"}  # fmt: skip
    (place / "0001_other.json").write_text(json.dumps(other), encoding="utf-8")
    done = session(tmp_path, "--collect-only", "-q", "--benchmark-compare=Other-CPython-3.11-64bit/0001")
    assert done.code == 0, done.text
    assert "Comparing against benchmarks from: Other-CPython-3.11-64bit/0001_other.json" in done.text
