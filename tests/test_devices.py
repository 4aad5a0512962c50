"""Which cards a case may have, without asking torch."""

import pytest

from bench.devices import DEVICES, visible

CARDS = ["GPU-11aa", "GPU-11bb", "GPU-22cc"]


@pytest.mark.parametrize(
    ("setting", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2,0", [2, 0]),
        (" 1 , 2", [1, 2]),
        ("0,7,1", [0]),
        ("GPU-22", [2]),
        ("GPU-11", []),  # two cards' UUIDs begin so
        ("MIG-9f", [0, 1, 2]),
    ],
)
def test_cards_are_those_that_cuda_shows(setting, indices):
    assert visible(CARDS, setting) == indices


def test_there_is_a_processor():
    assert DEVICES["cpu"].torch_name == "cpu"
