"""`python -m bench compare`: what is printed, written and returned, and what is refused in one sentence."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from compared_runs import POS, SUPPORT, committed, run_of, seeds_of

from bench.__main__ import main
from bench.commands import upgrade
from bench.records.tested import CaseTests, write_tested
from bench.upgrade.trial import JUDGING, TINY

SMOKE = committed()
BROKEN = ("compare", "virtual-tokens", "virtual-tokens-transformers-5-24")
PREFIX = "support-smollm2_135m-prefix-cpu-s0"


@pytest.fixture(autouse=True)
def without_ci(monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def test_the_worked_example_is_red_and_names_package_and_suspect(capsys):
    assert main([*BROKEN]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "virtual-tokens → virtual-tokens-transformers-5-24", "4 cases: 3 worse, 1 same", "  transformers 5.23.0 → 5.24.0",
    ]  # fmt: skip
    assert f"worse        {PREFIX}  generation_distance  6.79e-07 → 0.541" in lines
    assert any(line.strip().startswith("suspect: generation: the cache") for line in lines)
    assert lines[-1].startswith("repeat it with: pytest suites --tasks ")


@pytest.mark.parametrize("form", [(), ("--markdown",)])
def test_an_installed_lorabench_names_its_own_commands(form, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["/usr/bin/lorabench"])
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    main([*BROKEN, *form])
    for said in (capsys.readouterr().out, (tmp_path / "summary.md").read_text(encoding="utf-8")):
        assert "lorabench test --tasks support --models smollm2_135m --methods prefix" in said
        assert "pytest suites" not in said


def test_an_installed_lorabench_plans_an_upgrade_in_its_own_commands(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["/usr/bin/lorabench"])
    monkeypatch.setattr(upgrade, "selected_cases", lambda python, selection: [])
    upgrade.print_plan([], [TINY])
    assert (
        f"  lorabench test {' '.join(JUDGING)} --devices cpu --workers 2 -k 'wide or test_libraries'"
        in capsys.readouterr().out
    )


def test_markdown_has_red_rows_first_and_folds_the_rest(capsys):
    main([*BROKEN, "--markdown"])
    said = capsys.readouterr().out
    assert said.startswith("**virtual-tokens → virtual-tokens-transformers-5-24**: 4 cases: 3 worse, 1 same\n")
    assert "Versions that differ: transformers 5.23.0 → 5.24.0" in said
    assert f"| worse | {PREFIX} | generation_distance | 6.79e-07 | 0.541 |" in said
    assert "<details><summary>The same</summary>" in said


def test_json_holds_every_finding_and_the_exit_code(capsys):
    main([*BROKEN, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == 1
    assert said["versions"] == {"transformers": ["5.23.0", "5.24.0"]}
    assert {"case", "kind", "state", "figure", "says", "before", "after", "suspect", "fresh", "points_to_loss"} == said[
        "findings"
    ][0].keys()


def test_a_red_test_without_a_case_is_repeated_by_its_name(tmp_path, capsys):
    test = "suites/test_libraries.py::test_models_own_loss_is_ours[tiny_bert-whole]"
    runs = [run_of(tmp_path / name, [SMOKE[POS]]) for name in ("a", "b")]
    for run, outcome in zip(runs, ("passed", "failed"), strict=True):
        write_tested(run, CaseTests(True, 0, {}, {test: outcome}))
    assert main(["compare", *map(str, runs)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"worse        {test}  test" in lines
    assert lines[-1] == f"repeat it with: pytest '{test}'"


def test_junit_has_a_failure_for_each_red_kind_of_a_case(tmp_path, capsys):
    main([*BROKEN, "--junit", str(tmp_path / "junit.xml")])
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    failed = {case.get("name") for case in suite if case.find("failure") is not None}
    assert failed == {
        "pos-minilm_l6-prefix-cpu-s0-status", f"{PREFIX}-evidence", "support-smollm2_135m-prompt-cpu-s0-evidence",
    }  # fmt: skip
    assert suite.get("failures") == "3"
    assert int(suite.get("tests")) == len(suite)


def test_the_summary_of_ci_gets_the_markdown(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    main([*BROKEN])
    assert "| worse |" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_a_summary_of_ci_that_cannot_be_written_leaves_the_verdict(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    assert main([*BROKEN]) == 1
    out, err = capsys.readouterr()
    assert "worse" in out
    assert err.startswith(f"GITHUB_STEP_SUMMARY {tmp_path} cannot be written: Is a directory\n")


def test_nothing_comparable_is_exit_code_2_and_says_why(capsys):
    assert main(["compare", "smoke", "seeds-smoke"]) == 2
    out, err = capsys.readouterr()
    assert "lorabench's own code differs" in out
    assert err == "nothing could be compared: no case of the first run ended well in both on one basis\n"


@pytest.mark.parametrize(
    ("words", "code"), [([], 3), (["--allow-inconclusive"], 0), (["--fail-on", "incomparable"], 1)]
)
def test_a_case_that_could_not_be_compared_is_exit_code_3(words, code, tmp_path, capsys):
    before = run_of(tmp_path / "a", [SMOKE[POS], SMOKE[SUPPORT]])
    after = run_of(tmp_path / "b", [SMOKE[POS], replace(SMOKE[SUPPORT], recipe_digest="other")])
    assert main(["compare", str(before), str(after), *words]) == code


def test_what_changed_is_told_and_passes_unless_asked_for(tmp_path, capsys):
    record = SMOKE[POS]
    before = run_of(tmp_path / "a", [record])
    after = run_of(tmp_path / "b", [replace(record, losses=[*record.losses[:-1], record.losses[-1] * 1.00001])])
    assert main(["compare", str(before), str(after)]) == 0
    assert "changed" in capsys.readouterr().out
    assert main(["compare", str(before), str(after), "--fail-on", "worse,changed"]) == 1


def test_what_is_worse_fails_whatever_else_is_asked_for(capsys):
    assert main([*BROKEN, "--fail-on", "changed"]) == 1


def test_the_first_line_counts_quality_over_several_seeds(tmp_path, capsys):
    before = seeds_of(SMOKE[POS], (0.900, 0.901, 0.899), "f1")
    after = [
        replace(one, quality={**one.quality, "f1": one.quality["f1"] - 0.3}, losses=[loss + 1 for loss in one.losses])
        for one in before
    ]
    assert main(["compare", str(run_of(tmp_path / "a", before)), str(run_of(tmp_path / "b", after))]) == 1
    assert capsys.readouterr().out.splitlines()[1] == "3 cases: 3 worse"


def test_text_from_a_record_is_made_safe(tmp_path, capsys):
    before = run_of(tmp_path / "a", [SMOKE[POS]])
    after = run_of(tmp_path / "b", [replace(SMOKE[POS], status="failed", reason="\x1b[31mred")])
    for form in ([], ["--markdown"], ["--junit", str(tmp_path / "junit.xml")]):
        assert main(["compare", str(before), str(after), *form]) == 1
        assert "\x1b" not in capsys.readouterr().out
    assert ElementTree.parse(tmp_path / "junit.xml")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["smoke", "nowhere"], "nowhere: no run with a records.jsonl there"),
        (["smoke", "smoke"], "smoke and smoke are the same run; give two"),
        (["smoke", "virtual-tokens", "--fail-on", "worst"], "--fail-on worst: did you mean worse?"),
        (["smoke", "virtual-tokens", "--fail-on", ""], "--fail-on is empty; worse and missing always fail"),
        (["smoke", "virtual-tokens", "--time", "a,b,c,d,e,f"], "--time names 6 cases"),
    ],
)
def test_a_mistake_is_one_sentence(words, says, capsys):
    assert main(["compare", *words]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"bench: {says}")
    assert (out, err.count("\n")) == ("", 1)


def test_calibrate_prints_a_table(capsys):
    assert main(["calibrate", "--gates", "2"]) == 0
    assert capsys.readouterr().out.startswith("| rate | seen | goal | reached | at the cost of |\n")


def test_calibrate_fits_the_prior(capsys):
    assert main(["calibrate", "--prior"]) == 0
    assert "deviation = 0." in capsys.readouterr().out


def test_calibrate_refuses_no_gates(capsys):
    assert main(["calibrate", "--gates", "0"]) == 2
