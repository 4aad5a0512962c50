"""Keeps collections of garbage short: they would scan the libraries and thousands of tests, a second each time."""

import gc

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
