"""Packages that a machine lacks: what each costs, and which entries cannot do without it."""

from bench.campaign import packages
from bench.campaign.entries import read_entries
from bench.campaign.packages import PACKAGES, lacking_packages, why_left_out

ENTRIES = {entry.name: entry for entry in read_entries()}
BY_NAME = {package.name: package for package in PACKAGES}


def test_a_lacking_package_leaves_out_what_needs_it():
    assert why_left_out(ENTRIES["llama31_8b-alpaca"], [BY_NAME["bitsandbytes"]]) == "needs bitsandbytes"
    assert why_left_out(ENTRIES["llama31_8b-olora"], [BY_NAME["bitsandbytes"]]) == ""
    assert why_left_out(ENTRIES["roberta_base"], [BY_NAME["seqeval"]]) == "needs seqeval"
    assert why_left_out(ENTRIES["llama31_8b-liger"], [BY_NAME["liger-kernel"]]) == "needs liger-kernel"
    others = [BY_NAME[name] for name in ("datasets", "fvcore", "lm-eval")]
    assert not any(why_left_out(entry, others) for entry in ENTRIES.values())


def test_what_cannot_be_found_is_lacking(monkeypatch):
    there = {package.module for package in PACKAGES} - {"seqeval"}
    monkeypatch.setattr(packages, "find_spec", lambda name: name if name in there else None)
    assert [package.name for package in lacking_packages()] == ["seqeval"]
