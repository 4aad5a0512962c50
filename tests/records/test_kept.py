"""Kept folders are found by run and case, checked against their manifest, and refused in one sentence."""

import json
import shutil
from dataclasses import replace

import pytest
from kept_manifests import CASE, KEPT, OTHER
from run_files import append_record

from bench.records.kept import (
    CARD,
    MANIFEST,
    NotKept,
    digests,
    find_kept,
    kept_folder,
    kept_lines,
    lacks_kept,
    name_with_run,
    not_kept,
    read_kept,
    refuse_other_base,
    run_of,
)  # fmt: skip
from bench.records.model_card import model_card
from bench.records.record import Record


@pytest.fixture
def run(tmp_path):
    """A run with one kept adapter, and a case of which nothing could be kept."""
    folder = kept_folder(tmp_path / "mine", CASE)
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / CARD).write_text(model_card(KEPT), encoding="utf-8")
    kept = replace(KEPT, files=digests(folder))
    (folder / MANIFEST).write_text(kept.to_text(), encoding="utf-8")
    append_record(tmp_path / "mine" / "records.jsonl", Record(case=CASE, status="ok", kept=kept.of_record()))
    append_record(
        tmp_path / "mine" / "records.jsonl", Record(case=OTHER, status="ok", kept=not_kept("it has none", "adapter"))
    )
    return tmp_path / "mine"


def test_a_kept_folder_is_found_by_run_and_case_and_by_its_path(run):
    folder = kept_folder(run, CASE)
    assert find_kept(f"{run}/{CASE}") == find_kept(str(folder)) == folder
    assert read_kept(folder) == replace(KEPT, files=digests(folder))
    assert run_of(folder) == run


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{run}/{case}x", f"has no such case; did you mean {CASE}?"),
        ("{run}/{other}", "nothing was kept, it has none"),
        ("{run}", f"is a run; give RUN/CASE, and kept of it is {CASE}"),
        ("{run}/adapters", f"is no kept adapter: it has no {MANIFEST}"),
        ("nowhere/{case}", "nowhere: no run with a records.jsonl there"),
        ("{case}", "give RUN/CASE or the folder of a kept adapter"),
    ],
)
def test_what_is_no_kept_adapter_is_refused_in_one_sentence(run, text, says):
    with pytest.raises(ValueError, match=".") as refused:
        find_kept(text.format(run=run, case=CASE, other=OTHER))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_adapter_of_others_is_refused_because_its_base_cannot_be_checked(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(NotKept, match="an adapter without a lorabench.json, so its base cannot be checked"):
        find_kept(str(tmp_path))


def test_a_changed_or_missing_file_is_named(run):
    folder = kept_folder(run, CASE)
    (folder / "adapter_model.safetensors").write_bytes(b"other weights")
    with pytest.raises(NotKept, match=r"adapter_model.safetensors is not the file that was kept: it has sha256:"):
        read_kept(folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(NotKept, match=r"adapter_model.safetensors is missing; keep the adapter again"):
        read_kept(folder)


def test_a_card_may_be_extended(run):
    folder = kept_folder(run, CASE)
    (folder / CARD).write_text("mine", encoding="utf-8")
    assert read_kept(folder).case == CASE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"case": 1}'])
def test_a_damaged_manifest_is_refused(run, text):
    folder = kept_folder(run, CASE)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(NotKept, match=r"lorabench.json is damaged"):
        read_kept(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "part\\secret", ""])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(run, name):
    folder = kept_folder(run, CASE)
    (folder / MANIFEST).write_text(replace(KEPT, files={name: "sha256:1"}).to_text(), encoding="utf-8")
    with pytest.raises(NotKept, match="its files must lie in its own folder"):
        read_kept(folder)


def test_a_base_of_another_identity_is_refused():
    refuse_other_base(KEPT, "sha256:1", "from the Hub")
    with pytest.raises(
        NotKept, match=r"was trained on gpt2 with the weights sha256:1 \(from the Hub\), and here they are"
    ):
        refuse_other_base(KEPT, "sha256:2", "from the mirror")


def test_a_resumed_run_keeps_what_it_lacks(run):
    kept, refused = Record(case=CASE, status="ok", kept={"what": "adapter"}), Record(case=OTHER, status="ok")
    assert not lacks_kept(kept, run, "adapter")
    assert lacks_kept(kept, run, "merged")
    assert lacks_kept(refused, run, "adapter")
    assert not lacks_kept(refused, run, "none")
    assert not lacks_kept(replace(kept, kept={"what": "model"}), run, "adapter")


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        (not_kept("prefix has no weights that could be merged", "merged", lasting=True), True),  # another request
        (not_kept("it has none", "adapter", lasting=True), False),
        (not_kept("it could not be written: No space left on device", "adapter"), True),
        ({"what": "none", "reason": "of a record that does not say what was asked"}, True),
    ],
)
def test_a_refused_case_is_skipped_only_for_the_same_request_and_a_lasting_reason(run, found, lacks):
    assert lacks_kept(Record(case=OTHER, status="ok", kept=found), run, "adapter") is lacks


def test_a_name_with_its_run_tells_copies_apart(run, tmp_path):
    folder = kept_folder(run, CASE)
    assert name_with_run(folder, CASE) == f"{run.name}/{CASE}"
    shutil.copytree(folder, tmp_path / "elsewhere" / "copy")
    assert name_with_run(tmp_path / "elsewhere" / "copy", CASE) == "elsewhere/copy"


def test_a_session_says_what_it_kept_and_what_not(run):
    records = [Record(case=CASE, status="ok", kept=KEPT.of_record() | {"files": {"a": "sha256:1"}}),
               Record(case=OTHER, status="ok", kept=not_kept("it has none", "adapter"))]  # fmt: skip
    assert kept_lines(records, "here") == [f"kept: {CASE} in here/adapters", f"not kept: {OTHER}, it has none"]


def test_the_manifest_is_json_that_names_base_and_files(run):
    values = json.loads((kept_folder(run, CASE) / MANIFEST).read_text(encoding="utf-8"))
    assert values["base"]["identity"] == "sha256:1"
    assert values["files"].keys() == {"adapter_model.safetensors", CARD}
