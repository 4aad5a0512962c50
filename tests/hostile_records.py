"""A run whose every text attacks the page that shows it: scripts, handlers, entities, templates, reversed letters."""

import json
from dataclasses import replace

from compared_runs import run_of

from bench.core.paths import RESULTS
from bench.records.record import FAILED, read_records

TEXTS = (
    "<script>document.title = 'owned'</script>",
    "</script><script>document.title = 'owned'</script>",
    '"><img src="https://example.invalid/x" onerror="document.title = \'owned\'">',
    "</title></textarea></style><svg onload=\"document.title='owned'\">",
    "<a href=\"javascript:document.title='owned'\">x</a>",
    "{{7*7}} {% raw %} ${7*7} %{x}",
    "\u202egnp.exe\u2066 \u0000\x1b[31m",
)
TEXT = " ".join(TEXTS)


def hostile_records():
    """Two cases of the smoke run that ended well and one that failed, with TEXT wherever a record holds text."""
    smoke = read_records(RESULTS / "runs" / "smoke" / "records.jsonl")[0]
    tagged = smoke["pos-minilm_l6-lora-cpu-s0"]
    asked = smoke["medqa-smollm2_135m-lora-cpu-s0"]
    confusion = {"labels": [TEXT, *TEXTS], "counts": [[2] * 8] * 8}
    row = {"cured": 1, "kept": 1, "broken": 1, "still_wrong": 1, "before": 0.5, "after": 0.5, "p": 1.0,
           "change_low": -0.5, "change_high": 0.5, "family": TEXT, "language": TEXT, "group": "all"}  # fmt: skip
    tables = {"generated": [{"prompt": TEXT, "actual": TEXT, "generated": TEXT}], "probes": [row]}
    about = {**tagged.environment, "processor": TEXT, "commit": TEXT, "libraries": {TEXT: TEXT, "torch": TEXT}}
    return [
        replace(tagged, tables={"confusion": confusion}, environment=about, weights={"origin": TEXT, "identity": TEXT}),
        replace(asked, tables=tables, environment=about, data={"reason": TEXT, "identity": TEXT}, recipe_digest=TEXT),
        replace(tagged, case="pos-minilm_l6-dora-cpu-s0", status=FAILED, reason=TEXT, last_lines=[TEXT, *TEXTS]),
    ]


def hostile_run(folder):
    """The stored run of these records, with answers to probes, a command, tests and verdicts on claims."""
    records = hostile_records()
    run_of(folder, records)
    answer = {"key": TEXT, "family": TEXT, "language": TEXT, "before": "wrong", "after": "right", "said_before": TEXT,
              "said_after": TEXT}  # fmt: skip
    (folder / "predictions" / f"{records[1].case}.probes.jsonl").write_text(json.dumps(answer), encoding="utf-8")
    about = {"command": ["pytest", TEXT], "distributions": {TEXT: TEXT}, "note": TEXT}
    (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")
    tests = {"by_case": {records[0].case: {f"test_x.py::test_{TEXT}": "failed"}}, "others": {}, "finished": True}
    (folder / "tests.json").write_text(json.dumps(tests), encoding="utf-8")
    claim = dict.fromkeys(("id", "source", "kind", "verdict", "expected", "says", "sentence"), TEXT)
    (folder / "claims.json").write_text(json.dumps([claim]), encoding="utf-8")
    return folder
