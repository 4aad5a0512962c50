"""Warnings of a case are kept once each, by a name that is the same on every machine, and shown as before."""

import warnings

import pytest

from bench.worker.warned import kept_warnings, module_of


def test_each_warning_is_kept_once_and_shown():
    with warnings.catch_warnings(record=True) as shown, kept_warnings() as kept:
        warnings.simplefilter("always")
        for _ in range(2):
            warnings.warn_explicit("renamed", FutureWarning, "/x/site-packages/peft/model.py", 7)
    assert kept == [{"category": "FutureWarning", "module": "peft/model.py", "text": "renamed"}]
    assert len(shown) == 2


def test_afterwards_nothing_is_kept():
    with kept_warnings() as kept:
        pass
    with pytest.warns(UserWarning, match="later"):
        warnings.warn("later", stacklevel=1)
    assert kept == []


@pytest.mark.parametrize(
    ("filename", "name"),
    [("/a/lib/python3/site-packages/torch/nn/x.py", "torch/nn/x.py"), ("/home/me/project/mine.py", "project/mine.py")],
)
def test_a_module_is_named_below_its_installation(filename, name):
    assert module_of(filename) == name
