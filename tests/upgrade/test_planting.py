"""Every fault of fixtures/faults: its file is whole, its target exists, and what its symptom sees changes with it."""

import shlex
import subprocess
import sys

import pytest

from bench.__main__ import main
from bench.core.files import BadFile
from bench.core.registry import UnknownName
from bench.judge.compare.baselines import PLANTS_A_FAULT
from bench.methods import METHODS
from bench.plan.selection import Selection, all_cases
from bench.upgrade import planting
from bench.upgrade.planting import fault_names, find_target, load_fault, plant, read_fault

SOURCE = '"""Breaks it.\n\nModelled on no report.\n"""\n\nTARGET = "json:dumps"\nSELECT = "--devices cpu"\n'


def test_there_is_a_fault_of_at_least_twelve_targets():
    assert len({read_fault(name).target for name in fault_names()}) >= 12


@pytest.mark.parametrize("name", fault_names())
def test_a_fault_changes_what_its_symptom_sees(name, monkeypatch):
    fault = load_fault(name)
    owner, attribute, original = find_target(fault.TARGET)
    before = fault.symptom()
    assert fault.symptom() == before
    monkeypatch.setattr(owner, attribute, fault.broken(original))
    assert fault.symptom() != before


@pytest.mark.parametrize("name", fault_names())
def test_a_faults_selection_has_few_cases(name):
    words = [word for word in read_fault(name).select if not word.endswith(".py")]
    named = {
        option.removeprefix("--"): tuple(value.split(","))
        for option, value in zip(words[::2], words[1::2], strict=True)
    }
    chosen = {key: value for key, value in named.items() if key in ("tasks", "models", "methods", "devices")}
    assert 1 <= len(all_cases(Selection(**chosen))) <= len(METHODS)


def test_reading_the_faults_imports_no_torch():
    code = (
        "import sys; from bench.upgrade.planting import fault_names, plant, read_fault\n"
        "for name in fault_names(): read_fault(name), plant(name)\n"
        "assert 'torch' not in sys.modules and 'peft' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_fault_is_planted_where_torch_is_loaded(tmp_path, monkeypatch):
    lines = f"{SOURCE}\n\ndef broken(original):\n    return lambda value: 'broken ' + original(value)\n"
    (tmp_path / "broken_json.py").write_text(lines, encoding="utf-8")
    monkeypatch.setattr(planting, "FAULTS", tmp_path)
    import json

    import torch  # noqa: F401

    monkeypatch.setattr(json, "dumps", json.dumps)  # put back afterwards
    plant("broken_json")
    assert json.dumps(1) == "broken 1"


def test_an_unknown_fault_is_one_sentence_with_similar_names(capsys):
    with pytest.raises(UnknownName, match="no fault named 'alpha_of'; did you mean alpha_off"):
        plant("alpha_of")
    assert main(["faults", "alpha_of"]) == 2
    assert capsys.readouterr().err.startswith("bench: no fault named 'alpha_of'; did you mean alpha_off")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Modelled on no report.", "the docstring must end with a paragraph that begins with 'Modelled on'"),
        ('TARGET = "json:dumps"', "TARGET must be a text"),
        ('SELECT = "--devices cpu"', "SELECT must be a text"),
    ],
)
def test_a_file_that_lacks_something_is_named(line, says, tmp_path, monkeypatch):
    (tmp_path / "half.py").write_text(SOURCE.replace(line, ""), encoding="utf-8")
    monkeypatch.setattr(planting, "FAULTS", tmp_path)
    with pytest.raises(BadFile, match=f"half.py: {says}"):
        read_fault("half")


def test_a_faults_entry_is_a_function_that_exists():
    owner, attribute, _ = find_target(shlex.split(read_fault("alpha_off").entry)[0])
    assert getattr(owner, attribute) is plant
    assert read_fault("alpha_off").entry == f"{PLANTS_A_FAULT} alpha_off"
