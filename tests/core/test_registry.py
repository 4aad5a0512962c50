"""Names register themselves once, and a wrong name says what is near."""

from dataclasses import dataclass
from typing import Any

import pytest

from bench.core.registry import Registry, UnknownName, is_one_slip, nearest


@dataclass(frozen=True)
class Toy:
    name: str
    run: Any
    says: str
    paper: str = ""


@pytest.fixture
def toys():
    registry = Registry("toy")
    for name in ("ball", "doll", "kite", "train", "blocks", "puzzle", "top"):
        registry.put(name, name.upper())
    return registry


def test_entries_keep_the_order_they_came_in(toys):
    assert toys.names() == ["ball", "doll", "kite", "train", "blocks", "puzzle", "top"]
    assert list(toys)[:2] == ["BALL", "DOLL"]
    assert len(toys) == 7


def test_entry_is_found_by_its_name(toys):
    assert toys["kite"] == "KITE"
    assert "kite" in toys
    assert "kit" not in toys


def test_name_that_is_taken_is_refused_and_changes_nothing(toys):
    with pytest.raises(ValueError, match="toy 'kite' is registered twice"):
        toys.put("kite", "another")
    assert toys["kite"] == "KITE"


def test_unknown_name_says_what_is_near(toys):
    with pytest.raises(UnknownName) as raised:
        toys["trian"]
    assert str(raised.value) == "no toy named 'trian'; did you mean train?"


def test_unknown_name_like_nothing_gets_the_whole_list(toys):
    with pytest.raises(UnknownName) as raised:
        toys["xyz"]
    assert str(raised.value) == "no toy named 'xyz'; there are ball, doll, kite, train, blocks, puzzle, top"


def test_few_names_are_all_near():
    assert nearest("xyz", ["cpu", "cuda"]) == ["cpu", "cuda"]


def test_at_most_three_names_are_near():
    assert len(nearest("lora", ["lora1", "lora2", "lora3", "lora4", "full", "head", "ia3"])) == 3


@pytest.mark.parametrize(
    ("name", "slip"),
    [
        ("lama31_8b", True), ("llama31_8bb", True), ("llama31_9b", True), ("lalma31_8b", True), ("llama31_b8", True),
        ("llama31_8b", False), ("llama31_405b", False), ("my_llama31_8b", False), ("llama2_7b", False), ("", False),
    ],
)  # fmt: skip
def test_a_slip_is_of_one_letter(name, slip):
    assert is_one_slip(name, "llama31_8b") is slip
    assert is_one_slip("llama31_8b", name) is slip


def test_empty_registry_says_so():
    with pytest.raises(UnknownName, match="^no toy named 'ball'; there are none$"):
        Registry("toy")["ball"]


def test_decorator_takes_what_it_says_from_the_docstring(toys):
    @toys.add("yoyo", Toy, paper="arXiv:1")
    def yoyo():
        """Up and down.

        And up again.
        """

    assert toys["yoyo"] == Toy("yoyo", yoyo, "Up and down.", "arXiv:1")


def test_decorator_takes_a_function_without_docstring(toys):
    toys.add("nothing", Toy)(lambda: None)
    assert toys["nothing"].says == ""


def test_removed_entry_may_come_again(toys):
    toys.remove("kite")
    assert "kite" not in toys
    toys.put("kite", "new")
    assert toys.names()[-1] == "kite"
