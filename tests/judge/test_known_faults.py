"""fixtures/known_faults.toml: what an entry must say, and that each names a test that exists."""

import pytest

from bench.core.files import BadFile
from bench.core.paths import ROOT, SUITES
from bench.judge.known_faults import read_known_faults

ENTRY = {
    "test": "test_libraries.py::test_a[tiny_bert]", "library": "peft", "version": "0.21.2", "says": "it loses a weight",
    "reproduction": "get_peft_model(model, config)", "issue": "none",
}  # fmt: skip


def written(path, *entries):
    text = "".join("[[fault]]\n" + "".join(f"{key} = {value!r}\n" for key, value in one.items()) for one in entries)
    path.write_text(text, encoding="utf-8")
    return path


def test_an_entry_says_what_is_wrong_and_what_to_do_when_it_is_mended(tmp_path):
    (fault,) = read_known_faults(written(tmp_path / "faults.toml", ENTRY)).values()
    assert fault.sentence() == (
        "known fault of peft 0.21.2: it loses a weight; reproduce it with: get_peft_model(model, config); when the test "
        "passes, remove its entry from fixtures/known_faults.toml"
    )
    assert fault.is_of({"peft": "0.21.2"})
    assert not fault.is_of({"peft": "0.22.0"})


@pytest.mark.parametrize(("entries", "sentence"), [
    ([{**ENTRY, "libary": "peft"}], "no key 'libary'; did you mean library"),
    ([{**ENTRY, "says": " "}], "says = ' ' must be text: what the library does"),
    ([{**ENTRY, "library": "pefft"}], "library = 'pefft' must be one of torch, transformers,"),
    ([{key: ENTRY[key] for key in ENTRY if key != "issue"}], r"\[\[fault\]\] 1: lacks issue"),
    ([ENTRY, ENTRY], "has an entry already"),
])  # fmt: skip
def test_a_wrong_entry_is_one_sentence(tmp_path, entries, sentence):
    with pytest.raises(BadFile, match=sentence):
        read_known_faults(written(tmp_path / "faults.toml", *entries))


def test_every_entry_names_a_file_and_a_function_of_the_suites():
    for test in read_known_faults():
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (SUITES / file).read_text(encoding="utf-8"), test


def test_the_file_is_shipped():
    assert read_known_faults()
    assert (ROOT / "fixtures" / "known_faults.toml").is_file()
