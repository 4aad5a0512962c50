"""One basis: which part differs, for which purpose, in words; and what unknown parts are equal to."""

from dataclasses import replace

import pytest

from bench.records.basis import (
    CLOCK,
    EXACT,
    METHODS,
    QUALITY,
    RESUME,
    TIME,
    Basis,
    basis_differences,
    basis_of,
    differences_text,
)
from bench.records.record import Record

BASIS = Basis(
    recipe="0123456789ab",
    data="sha256:" + "d" * 64,
    rows="sha256:" + "e" * 64,
    weights="sha256:" + "a" * 64,
    files="sha256:" + "f" * 64,
    origin="package",
    libraries={"python": "3.11.7", "torch": "2.13.0"},
    machine={"system": "Linux", "processor": "P", "cores": 2, "threads": 2, "accelerator": None},
)
CHANGES = {
    "recipe": {"recipe": "other"},
    "data": {"data": "sha256:" + "0" * 64},
    "weights": {"weights": "synthetic", "files": "", "origin": "synthetic"},
    "libraries": {"libraries": {"python": "3.11.7", "torch": "1.0.0"}},
    "machine": {"machine": {**BASIS.machine, "processor": "Q"}},
    "emulation": {"emulation": "t4"},
}
PURPOSES = {
    "quality": (QUALITY, {"recipe", "data", "weights"}),
    "exact": (EXACT, {"recipe", "data", "weights", "libraries"}),
    "time": (TIME, set(CHANGES)),
    "resume": (RESUME, set(CHANGES)),
    "methods": (METHODS, {"data", "weights"}),
    "clock": (CLOCK, {"libraries", "machine", "emulation"}),
}


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("part", CHANGES)
def test_a_part_differs_for_the_purposes_that_it_counts_for(part, purpose):
    parts, counted = PURPOSES[purpose]
    other = replace(BASIS, **CHANGES[part])
    assert list(basis_differences(BASIS, other, parts)) == [part] * (part in counted)
    assert basis_differences(other, other, parts) == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("recipe", "recipe differs (other, now 0123456789ab)"),
        ("data", "data differ (sha256:000000000000, now sha256:dddddddddddd)"),
        ("weights", "weights differ (synthetic, now sha256:aaaaaaaaaaaa from package)"),
        ("libraries", "libraries differ (torch 1.0.0, now 2.13.0)"),
        ("machine", "machine differs (processor Q, now P)"),
        ("emulation", "emulation differs (t4, now the card itself)"),
    ],
)
def test_a_difference_says_what_was_and_what_is(change, says):
    assert differences_text(basis_differences(replace(BASIS, **CHANGES[change]), BASIS, RESUME)) == says


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"rows": "sha256:x"}, []),  # the examples are known, and they are the same
        ({"data": ""}, []),  # by the rows, which are the same
        ({"data": "", "rows": "sha256:x"}, ["data"]),
        ({"data": "", "rows": ""}, ["data"]),
        ({"files": ""}, []),  # an older record
        ({"files": "sha256:x"}, ["weights"]),
        ({"weights": ""}, ["weights"]),
        ({"origin": "hub"}, []),  # the same files from elsewhere
        ({"recipe": ""}, ["recipe"]),
        ({"libraries": {}}, ["libraries"]),
    ],
)
def test_identities_are_compared_where_both_are_known(change, parts):
    other = replace(BASIS, **change)
    assert list(basis_differences(BASIS, other, RESUME)) == list(basis_differences(other, BASIS, RESUME)) == parts


def test_unknown_data_and_weights_equal_nothing_and_what_neither_side_states_of_the_rest_is_equal():
    assert list(basis_differences(Basis(), Basis(), RESUME)) == ["data", "weights"]


@pytest.mark.parametrize("part", ["recipe", "libraries", "machine"])
def test_what_one_side_states_alone_differs(part):
    known = replace(Basis(), **{part: getattr(BASIS, part)})
    assert (
        list(basis_differences(known, Basis(), (part,))) == list(basis_differences(Basis(), known, (part,))) == [part]
    )


def test_other_files_beside_the_same_weights_are_said():
    says = basis_differences(replace(BASIS, files="sha256:" + "0" * 64), BASIS, QUALITY)["weights"]
    assert says == "the same safetensors with other files beside them, sha256:000000000000, now sha256:ffffffffffff"


def test_a_records_basis_is_what_it_keeps():
    record = Record(
        case="pos-minilm_l6-lora-cpu-s0",
        status="ok",
        recipe_digest="0123456789ab",
        data={"identity": "d", "rows": "r"},
        weights={"identity": "w", "origin": "package", "files": "f"},
        environment={"python": "3.11", "libraries": {"torch": "2"}, "cores": 2, "threads": 1, "emulation": "t4"},
    )
    assert basis_of(record) == Basis(
        "0123456789ab", "d", "r", "w", "f", "package", {"python": "3.11", "torch": "2"},
        {"system": None, "processor": None, "cores": 2, "threads": 1, "accelerator": None}, "t4",
    )  # fmt: skip
