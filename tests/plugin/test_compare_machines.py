"""pytest-benchmark compares runs of different machines, and says that they differ instead of ending in an error."""

import json
import os
import subprocess
import sys

from bench.core.paths import ROOT

OTHER = {
    "machine_info": {"cpu": {}, "accelerator": "another card", "libraries": {"transformers": "0.0.0"}},
    "commit_info": {},
    "benchmarks": [],
    "datetime": "2026-01-01T00:00:00",
    "version": "5.3.1",
}


def test_a_run_of_another_machine_can_be_compared_with(tmp_path):
    """pytest-benchmark reads the saved run before anything is collected, so nothing needs to be timed here."""
    saved = tmp_path / ".benchmarks" / "Other-CPython-3.11-64bit" / "0001_other.json"
    saved.parent.mkdir(parents=True)
    saved.write_text(json.dumps(OTHER), encoding="utf-8")
    words = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, ROOT / "suites" / "test_speed.py", "--collect-only",
             "-q", "-p", "no:cacheprovider", "--devices", "cpu",
             "--benchmark-compare=Other-CPython-3.11-64bit/0001"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, words)], cwd=tmp_path, capture_output=True, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Benchmark machine_info is different" in said
    assert "Comparing against benchmarks from: Other-CPython-3.11-64bit/0001_other.json" in said
