"""The compatibility table as a page and as JSON: what works, what breaks once for all partners, what was not run."""

import json
import re
from dataclasses import replace

import pytest

from bench.core.paths import RESULTS, ROOT
from bench.judge.compare.finding import EVIDENCE, STATUS, TESTS, WORSE, Finding
from bench.report.compatibility import name_sets, page
from bench.upgrade.compatibility import (
    BREAKS,
    CONFLICT,
    OPEN,
    UNDECIDED,
    WORKS,
    BadTable,
    Cell,
    Table,
    as_json,
    read_table,
)
from bench.upgrade.matrix import PACKAGES

PREFIX, BERT = "support-tiny_llama-prefix-cpu-s0", "pos-tiny_bert-prefix-cpu-s0"
SUSPECT = "generation: the cache"
RED = (
    Finding(PREFIX, EVIDENCE, WORSE, "generation_distance", "allowed is 1e-6", "2e-07", "1.05", SUSPECT),
    Finding(PREFIX, TESTS, WORSE, "tests", "passed before, now failed: test_generates_what_it_reads"),
    Finding(BERT, STATUS, WORSE, "status", "ValueError: Model does not support [past]", "ok", "failed"),
)
LATER = (replace(RED[0], after="1.07"), *RED[1:])
CELLS = (
    Cell({"transformers": "5.24.0", "peft": "0.21.2"}, BREAKS, red=RED),
    Cell({"transformers": "5.24.0", "peft": "0.9.0"}, BREAKS, red=LATER),
    Cell({"transformers": "5.23.0", "peft": "0.21.2"}, WORKS),
    Cell({"transformers": "5.23.0", "peft": "0.9.0"}, CONFLICT, "peft 0.9.0 depends on transformers<5"),
    Cell({"accelerate": "1.15.0"}, WORKS, changed={"new: FutureWarning in x, `past`": 2}),
    Cell({"accelerate": "1.14.0"}, WORKS, brings={"psutil": ("7.2.2", "7.0.0")}),
    Cell({"accelerate": "1.9.0"}, OPEN, "the same command continues with it"),
    Cell({"accelerate": "1.7.0"}, OPEN, "the same command continues with it"),
    Cell({"accelerate": "1.8.0"}, BREAKS, red=RED[2:]),
    Cell({"accelerate": "1.6.0"}, UNDECIDED, "pos f1 inconclusive"),
)
ABOUT = {"torch": "2.13.0", "python": "3.11.9", "processor": "AMD EPYC", "kind": "avx512", "code": "abc"}
TODAY = {"transformers": "5.23.0", "peft": "0.21.2", "accelerate": "1.15.0"}
COMMITTED = read_table(RESULTS / "COMPATIBILITY.json")
TABLE = Table(
    "python -m bench matrix --peft 0.19..0.21",
    "2026-11-30",
    ABOUT,
    TODAY,
    ("test_methods.py", "test_libraries.py"),
    (PREFIX, BERT),
    (),
    CELLS,
)


def test_a_grid_of_pairs_and_a_list_of_single_releases():
    text = page(TABLE)
    for line in (
        "| transformers | peft 0.21.2 | peft 0.9.0 |",
        "| 5.24.0 | breaks prefix (1) | breaks prefix (1) |",
        "| 5.23.0 | today's packages | not installable together |",
        "| accelerate | with today's other packages |",
        "| 1.15.0 | today's packages |",
        "| 1.14.0 | works |",
        "| 1.9.0 | not run |",
        "| 1.8.0 | breaks prefix (2) |",
        "| 1.6.0 | not decided |",
    ):
        assert line in text.splitlines(), line


def test_what_breaks_is_said_once_with_its_case_and_check():
    text = page(TABLE)
    assert "**1.** transformers 5.24.0:" in text, "with both partners"
    assert "**2.** accelerate 1.8.0:" in text
    assert (
        f"- `{PREFIX}`: generation_distance 2e-07 → 1.05; passed before, now failed: test_generates_what_it_reads\n"
        in text
    )
    assert f"- `{BERT}`: failed (ValueError: Model does not support \\[past\\])\n" in text
    assert f"- suspect: {SUSPECT}\n" in text


def test_a_broken_test_without_a_case_is_named_in_words():
    test = "suites/test_libraries.py::test_models_own_loss_is_ours[tiny_bert-whole]"
    red = (Finding(test, TESTS, WORSE, "test", "passed before, now failed"),)
    text = page(replace(TABLE, cells=(Cell({"accelerate": "1.8.0"}, BREAKS, red=red),)))
    assert "| 1.8.0 | breaks models own loss is ours (1) |" in text
    assert f"- `{test}`: passed before, now failed" in text


def test_sets_are_named_by_the_release_that_all_of_them_share():
    pairs = [Cell({"transformers": a, "peft": b}, WORKS) for a in ("5.24.0", "5.23.0") for b in ("0.21.2", "0.20.0")]
    others = [Cell({"peft": "0.19.1"}, OPEN), Cell({"transformers": "5.23.0", "peft": "0.19.1"}, CONFLICT)]
    cells = [*pairs, *others]
    assert name_sets(pairs[:2], cells) == ["transformers 5.24.0"]
    assert name_sets([pairs[0], pairs[2]], cells) == ["peft 0.21.2"]
    assert name_sets(pairs, cells) == ["transformers 5.24.0, 5.23.0"]
    assert name_sets(pairs[:3], cells) == ["transformers 5.24.0", "peft 0.21.2"]
    assert name_sets(pairs[:1], cells) == ["transformers 5.24.0 with peft 0.21.2"]


def test_what_was_not_run_and_what_else_changed_are_said():
    text = page(TABLE)
    assert "- transformers 5.23.0 with peft 0.9.0: peft 0.9.0 depends on transformers<5\n" in text
    assert "- accelerate 1.9.0; accelerate 1.7.0: the same command continues with it\n" in text
    assert "- accelerate 1.6.0: pos f1 inconclusive\n" in text
    assert "- accelerate 1.15.0:\n  - new: FutureWarning in x, \\`past\\` (2 cases)\n" in text
    assert "- accelerate 1.14.0: psutil 7.2.2 → 7.0.0\n" in text
    assert "## Tests that fail" not in text
    assert "- `test_x of pos`" in page(replace(TABLE, failing=("test_x of pos",)))


def test_the_page_says_which_tests_judged():
    text = page(TABLE)
    assert "The tests of `test_methods.py` and `test_libraries.py` judged every run." in joined(text)
    assert "Not tested" not in text


def test_without_the_libraries_tests_the_page_says_so_and_names_known_faults_of_the_old_releases():
    cells = (Cell({"peft": "0.21.2"}, WORKS), Cell({"peft": "0.19.1"}, WORKS))
    text = joined(page(replace(TABLE, suites=("test_methods.py",), cells=cells)))
    assert "The tests of `test_methods.py` judged every run." in text
    assert "**Not tested: what the libraries do by themselves.** `suites/test_libraries.py` tests" in text
    assert (
        "- peft 0.19.1: load_adapter of transformers (5.17.0 and 5.23.0 were tried) reads none of the weights" in text
    )
    assert "`test_transformers_loads_an_adapter_as_peft_does`" in text
    assert "merge_and_unload adds the delta twice" not in text, "today's release has that fault too"
    only_today = joined(page(replace(TABLE, suites=("test_methods.py",), cells=cells[:1])))
    assert "**Not tested" in only_today
    assert "have a fault that is known" not in only_today


def joined(text):
    """The text with every run of blanks as one, whatever its lines."""
    return " ".join(text.split())


def test_a_table_comes_back_from_its_file(tmp_path):
    file = tmp_path / "table.json"
    file.write_text(as_json(TABLE), encoding="utf-8")
    assert as_json(read_table(file)) == as_json(TABLE)
    assert page(read_table(file)) == page(TABLE)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "there is no such file"),
        ("{", "is no compatibility table"),
        ("[]", "is no compatibility table"),
        (json.dumps({**json.loads(as_json(TABLE)), "cells": [{"packages": {}, "state": "odd", "red": []}]}), "state='odd'"),
        (json.dumps({"cells": []}), "is no compatibility table"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_one_sentence(text, says, tmp_path):
    file = tmp_path / "table.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(BadTable, match=says):
        read_table(file)


def test_the_committed_page_is_what_the_committed_table_gives():
    """`python -m bench matrix --show results/COMPATIBILITY.json --markdown results/COMPATIBILITY.md` makes it anew."""
    assert (RESULTS / "COMPATIBILITY.md").read_text(encoding="utf-8") == page(COMMITTED)


def test_the_guide_has_the_command_of_the_committed_page():
    guide = joined((ROOT / "docs" / "upgrades.md").read_text(encoding="utf-8")).replace(" \\ ", " ")
    assert f"$ {COMMITTED.command} --json table.json --markdown table.md" in guide


def test_the_committed_table_has_every_pair_and_names_no_folder():
    text = (RESULTS / "COMPATIBILITY.json").read_text(encoding="utf-8")
    assert as_json(COMMITTED) == text
    versions = {name: {cell.packages[name] for cell in COMMITTED.cells if name in cell.packages} for name in PACKAGES}
    pairs = [cell for cell in COMMITTED.cells if set(cell.packages) == {"transformers", "peft"}]
    assert len(pairs) == len(versions["transformers"]) * len(versions["peft"])
    assert len(versions["transformers"]) >= 6
    assert all(len(versions[name]) >= 3 for name in PACKAGES)
    assert COMMITTED.failing == ()
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|usr|work|opt)\b", text) == []


def test_the_committed_table_says_that_the_libraries_own_ways_did_not_judge_it():
    """Its runs were made before suites/test_libraries.py existed."""
    assert COMMITTED.suites == ("test_methods.py", "test_cost.py", "test_quality.py")


def test_the_committed_table_knows_the_break_of_transformers_5_24():
    (cell,) = [one for one in COMMITTED.cells if one.packages == {"transformers": "5.24.0", "peft": "0.21.2"}]
    assert cell.state == BREAKS
    assert {one.case.split("-")[2] for one in cell.red} == {"prefix", "prompt"}
