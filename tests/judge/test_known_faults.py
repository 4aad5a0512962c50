"""fixtures/known_faults.toml: what an entry must say. tests/plugin/test_libraries.py checks the tests that it names."""

import pytest

from bench.core.files import BadFile
from bench.core.paths import ROOT
from bench.judge.known_faults import read_known_faults

ENTRY = {
    "tests": ["test_libraries.py::test_a[tiny_bert]"], "library": "peft", "versions": "<=0.21.2",
    "says": "it loses a weight",
    "reproduction": "get_peft_model(model, config)", "issue": "none",
}  # fmt: skip


def written(path, *entries):
    text = "".join("[[fault]]\n" + "".join(f"{key} = {value!r}\n" for key, value in one.items()) for one in entries)
    path.write_text(text, encoding="utf-8")
    return path


def test_an_entry_says_what_is_wrong_and_what_to_do_when_it_is_mended(tmp_path):
    (fault,) = read_known_faults(written(tmp_path / "faults.toml", ENTRY))
    assert fault.sentence() == (
        "known fault of peft <=0.21.2: it loses a weight; reproduce it with: get_peft_model(model, config); if the test "
        "passes, correct the versions in fixtures/known_faults.toml"
    )
    assert fault.applies_to({"peft": "0.19.0"})
    assert not fault.applies_to({"peft": "0.22.0"})
    assert not fault.applies_to({"peft": None})


@pytest.mark.parametrize(("entries", "sentence"), [
    ([{**ENTRY, "libary": "peft"}], "no key 'libary'; did you mean library"),
    ([{**ENTRY, "says": " "}], "says = ' ' must be text: what the library does"),
    ([{**ENTRY, "library": "pefft"}], "library = 'pefft' must be one of torch, transformers,"),
    ([{key: ENTRY[key] for key in ENTRY if key != "issue"}], r"\[\[fault\]\] 1: lacks issue"),
    ([{**ENTRY, "versions": "0.21 and older"}], "versions = '0.21 and older' must be the versions that have the fault"),
    ([{**ENTRY, "tests": []}], "tests = .. must be a list of file::test"),
])  # fmt: skip
def test_a_wrong_entry_is_one_sentence(tmp_path, entries, sentence):
    with pytest.raises(BadFile, match=sentence):
        read_known_faults(written(tmp_path / "faults.toml", *entries))


def test_the_file_is_shipped():
    assert read_known_faults()
    assert (ROOT / "fixtures" / "known_faults.toml").is_file()
