"""Amounts in words, each with its unit: GB are 10^9 bytes, GiB are 2^30, and the two are never mixed."""

LEAST_IN_GB = 1e8  # bytes; fewer would round to almost nothing in GB


def gigabytes(count: float, decimals: int = 2) -> str:
    return f"{count / 1e9:.{decimals}f} GB"


def gigabytes_or_megabytes(count: float) -> str:
    """The amount with one decimal, in MB where it would round to almost nothing in GB."""
    return gigabytes(count, 1) if count >= LEAST_IN_GB else f"{count / 1e6:.1f} MB"
