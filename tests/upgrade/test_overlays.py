"""Overlays: what pip resolves, kept once and whole; its reasons in one sentence; requirements of what is put together."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.__main__ import main
from bench.commands import upgrade
from bench.core.case import parse_case
from bench.upgrade import overlays
from bench.upgrade.overlays import (
    CannotInstall,
    Conflict,
    Wanted,
    import_path,
    install,
    python_path,
    reason_of,
    resolve,
)
from bench.upgrade.requirements import Unmet, unmet
from bench.upgrade.trial import REST, TINY

PYTHON = Path(sys.executable)
REPORT = {
    "install": [
        {"metadata": {"name": "Peft_X", "version": "9.0"}, "download_info": {"archive_info": {"hashes": {"sha256": "abc"}}}},
        {"metadata": {"name": "alpha", "version": "1"}, "download_info": {}},
    ]
}  # fmt: skip
NO_VERSION = """\
ERROR: Ignored the following yanked versions: 4.14.0, 5.10.0
ERROR: Could not find a version that satisfies the requirement transformers==5.99.0 (from versions: 0.1, 5.24.0)
ERROR: No matching distribution found for transformers==5.99.0
"""
UNREACHABLE = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)': /simple/peft/
ERROR: No matching distribution found for peft
"""
CONFLICT = """\
ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io
"""


def distribution(folder, name, version, *requires):
    """A distribution's metadata in a folder."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    (about / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def said_by_pip(monkeypatch):
    """What pip is asked; it answers with the report, or fills the folder that it is to install into."""
    asked = []

    def pip(python, words, what):
        asked.append(words)
        if "--target" in words:
            (Path(words[words.index("--target") + 1]) / "package").mkdir(parents=True)
        return json.dumps(REPORT)

    monkeypatch.setattr(overlays, "pip", pip)
    monkeypatch.setattr(overlays, "version_of", lambda python, name: "2.13.0")
    return asked


def test_what_pip_would_install_is_what_is_wanted(said_by_pip):
    assert [str(one) for one in resolve(PYTHON, ["peft==9.0"])] == ["alpha 1", "peft-x 9.0"]


@pytest.mark.parametrize(
    ("requirement", "held"), [("peft==9.0", True), ("torch-geometric", True), ("torch>=2.14", False)]
)
def test_torch_stays_as_it_is_unless_it_is_named(requirement, held, said_by_pip):
    resolve(PYTHON, [requirement])
    assert ("torch==2.13.0" in said_by_pip[0]) == held


def test_a_distribution_from_a_file_is_refused_in_one_sentence(said_by_pip, monkeypatch):
    """The index has another distribution of that version, or none."""
    wheel = {
        "metadata": {"name": "peft", "version": "9.0"},
        "download_info": {"url": "file:///w/peft.whl"},
        "is_direct": True,
    }
    monkeypatch.setitem(REPORT, "install", [*REPORT["install"], wheel])
    with pytest.raises(CannotInstall, match=r"^peft 9.0 would come from file:///w/peft.whl, .*name a release"):
        resolve(PYTHON, ["/w/peft.whl"])


def test_an_index_that_does_not_answer_is_one_sentence(monkeypatch):
    def hangs(command, timeout, **_):
        raise overlays.subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(overlays.subprocess, "run", hangs)
    with pytest.raises(CannotInstall, match="the releases of peft cannot be listed: pip did not end within 1800 s"):
        overlays.releases_of(PYTHON, "peft")


def test_a_selection_is_split_as_a_shell_splits_it(said_by_pip, capsys):
    assert main(["upgrade", "peft==9.0", "--dry-run", "--select", "-m 'slow"]) == 2
    assert "--select -m 'slow: No closing quotation" in capsys.readouterr().err
    stages = upgrade.stages_of(SimpleNamespace(select="-m 'slow or not slow' --tasks pos"))
    assert stages == [("-m", "slow or not slow", "--tasks", "pos")]


def test_a_file_of_constraints_is_handed_on(said_by_pip, tmp_path):
    resolve(PYTHON, ["peft"], tmp_path / "constraints.txt")
    assert said_by_pip[0][said_by_pip[0].index("--constraint") + 1] == str(tmp_path / "constraints.txt")


def test_an_overlay_is_installed_once(said_by_pip, cache):
    wanted = Wanted("peft", "9.0", "abc")
    for _ in range(2):
        assert (install(PYTHON, wanted) / "package").is_dir()
    assert len(said_by_pip) == 1
    assert "--no-deps" in said_by_pip[0]


def test_an_overlay_that_cannot_be_installed_leaves_nothing(cache, monkeypatch):
    def fails(python, words, what):
        (Path(words[words.index("--target") + 1]) / "half").mkdir(parents=True)
        raise CannotInstall("no")

    monkeypatch.setattr(overlays, "pip", fails)
    with pytest.raises(CannotInstall):
        install(PYTHON, Wanted("peft", "9.0", "abc"))
    assert list((cache / "overlays").iterdir()) == []


def test_no_room_on_the_disk_is_one_sentence(cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(overlays, "pip", full)
    with pytest.raises(CannotInstall, match="peft 9.0 cannot be kept in .*overlays: No space left on device"):
        install(PYTHON, Wanted("peft", "9.0", "abc"))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (UNREACHABLE, "the package index does not answer"),
        (NO_VERSION, "Could not find a version that satisfies the requirement transformers==5.99.0"),
        (CONFLICT, "Cannot install a==1 and b==2 because these package versions have conflicting dependencies"),
        ("", "pip said nothing"),
    ],
)
def test_pips_reason_is_one_sentence_without_its_list_of_versions(said, reason):
    assert reason_of(said) == reason


def test_a_contradiction_is_said_in_pips_words(monkeypatch):
    """A quiet pip names the packages alone, so it is asked again aloud."""
    aloud = (
        "Collecting a\n\nThe conflict is caused by:\n    The user requested b==2\n    a 1 depends on b<2\n\nTo fix this"
    )

    def run(command, **_):
        return subprocess.CompletedProcess(command, 1, "" if "--quiet" in command else aloud, CONFLICT)

    monkeypatch.setattr(overlays.subprocess, "run", run)
    with pytest.raises(Conflict, match=r"^a==1 b==2 cannot be installed: The user requested b==2; a 1 depends on b<2$"):
        overlays.pip(PYTHON, [], "a==1 b==2 cannot be installed")


def test_overlays_come_first_on_the_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "mine")
    assert python_path([Path("a"), Path("b")]) == os.pathsep.join(["a", "b", "mine"])


def test_what_is_no_interpreter_is_one_sentence(tmp_path):
    with pytest.raises(CannotInstall, match="is no Python interpreter"):
        import_path(tmp_path / "python")
    assert sys.prefix in "".join(import_path(PYTHON))


def test_an_unmet_requirement_of_an_overlay_is_named(tmp_path):
    own = distribution(tmp_path / "own", "transformers", "5.23.0", "hub>=2", 'extra; extra == "x"')
    distribution(tmp_path / "own", "hub", "2.4.0")
    over = distribution(tmp_path / "over", "transformers", "5.17.0", "hub<2", "absent", 'other; python_version < "3"')
    assert unmet([own]) == set()
    assert sorted(map(str, unmet([over, own]))) == [
        "transformers 5.17.0 needs absent, and the environment does not have it",
        "transformers 5.17.0 needs hub<2, and the environment has 2.4.0",
    ]


def test_a_dry_run_says_what_would_be_installed_and_run(said_by_pip, cache, capsys):
    """The cases are those that pytest collects, so that -k counts."""
    select = "--models tiny_bert,tiny_llama --methods lora,ia3 --devices cpu -k tiny_bert"
    words = ["--select", select, "--time", "pos-minilm_l6-lora-cpu-s0,pos-bert_base-lora-cpu-s0"]
    assert main(["upgrade", "peft==9.0", "--dry-run", *words]) == 0
    out = capsys.readouterr().out
    assert "  alpha 1\n  peft-x 9.0\n" in out
    assert f"{select}  (2 cases, about 1 minute on two quiet cores)\n" in out
    assert "would then time, if nothing is worse, in 10 processes a side:\n  pos-minilm_l6-lora-cpu-s0, pos-" in out
    assert "(2 cases; how long 1 of them take is not known)\n" in out
    assert not cache.exists()


def test_the_two_stages_are_the_smoke_run_in_two_parts():
    tiny, rest, whole = (upgrade.selected_cases(PYTHON, stage) for stage in (TINY, REST, ("--devices", "cpu")))
    assert sorted([*tiny, *rest]) == sorted(whole)
    assert upgrade.duration(tiny, 2) == "56 cases, about 3 minutes on two quiet cores"
    assert all(parse_case(one).model.endswith("_wide") for one in tiny)


def test_a_timed_case_takes_a_process_of_its_own_ten_times_a_side():
    assert upgrade.duration(["pos-tiny_bert-lora-cpu-s0"], 20) == "1 case, about 14 minutes on two quiet cores"
    assert "not known" in upgrade.duration(["pos-tiny_bert-lora-cuda-s0"], 20)


def test_a_selection_that_pytest_refuses_is_one_sentence_before_anything_runs(said_by_pip, capsys):
    assert main(["upgrade", "peft==9.0", "--dry-run", "--select", "--tasks poss"]) == 2
    assert "--tasks poss cannot be run: no task named 'poss'; did you mean pos?" in capsys.readouterr().err


def test_current_that_is_no_interpreter_is_one_sentence(tmp_path, capsys):
    for path in (tmp_path / "python", tmp_path):
        assert main(["upgrade", "peft==9.0", "--current", str(path)]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert said[-1] == f"bench: {path} is no Python interpreter of version 3.11 or later"
        assert len(said) == 1


def test_an_upgrade_that_changes_nothing_is_one_sentence(said_by_pip, monkeypatch, capsys):
    monkeypatch.setitem(REPORT, "install", [])
    assert main(["upgrade", "peft==9.0"]) == 2
    assert "peft==9.0 changes nothing: the environment has it already" in capsys.readouterr().err


def test_an_unmet_requirement_stops_before_anything_runs(said_by_pip, cache, monkeypatch, capsys):
    found = iter([{Unmet("a", "1", "b<2", "2")}, set()])
    monkeypatch.setattr(upgrade, "unmet", lambda folders: next(found))
    monkeypatch.setattr(upgrade, "run_stage", lambda *_: pytest.fail("it ran"))
    assert main(["upgrade", "peft==9.0"]) == 2
    assert (
        "a 1 needs b<2, and the environment has 2; upgrade that too, or give --allow-unmet" in capsys.readouterr().err
    )
