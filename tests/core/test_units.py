"""Amounts in words."""

from bench.core.units import gigabytes, gigabytes_or_megabytes


def test_a_gigabyte_is_a_thousand_million_bytes():
    assert gigabytes(1_234_567_890) == "1.23 GB"
    assert gigabytes(1_234_567_890, decimals=1) == "1.2 GB"


def test_what_would_round_to_nothing_is_in_megabytes():
    assert [gigabytes_or_megabytes(count) for count in (6.94e9, 1e8, 9.99e7)] == ["6.9 GB", "0.1 GB", "99.9 MB"]
