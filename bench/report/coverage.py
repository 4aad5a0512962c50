"""The page results/COVERAGE.md: each part of the five sources, with its claims and their verdicts, or a reason."""

from collections.abc import Mapping, Sequence

from bench.judge.claims.claim import Claim
from bench.judge.claims.coverage import Part, claims_without_part
from bench.report.tables import markdown_lines

INTRODUCTION = """# The sources, part by part

Written by `python -m bench coverage`; a test compares this page with the command. Every paragraph, table and figure of
the five sources is here in its order: with the claims that speak of it, which [CLAIMS.md](CLAIMS.md) judges, or with
the reason why none does.
"""
HEADINGS = ("part", "begins with", "claims", "what no claim speaks of, and why")


def summary(parts: Sequence[Part]) -> list[list[str]]:
    """The headings, and how many parts of each source have claims and how many only a reason."""
    lines = []
    for source in dict.fromkeys(part.source for part in parts):
        own = [part for part in parts if part.source == source]
        spoken = [part for part in own if part.claims]
        names = {name for part in own for name in part.claims}
        lines.append([source, str(len(own)), str(len(spoken)), str(len(own) - len(spoken)), str(len(names))])
    return [["source", "parts", "with claims", "with a reason alone", "claims"], *lines]


def as_markdown(parts: Sequence[Part], claims: Mapping[str, Claim]) -> str:
    lines = [INTRODUCTION, *markdown_lines(summary(parts), 1)]
    for source in dict.fromkeys(part.source for part in parts):
        title = next(claim.title for claim in claims.values() if claim.source == source)
        rows = [
            [part.place, f"{part.opening} …", ", ".join(part.claims), part.reason]
            for part in parts
            if part.source == source
        ]
        lines += ["", f"## {source}: {title}", "", *markdown_lines([list(HEADINGS), *rows], len(HEADINGS))]
    if missing := claims_without_part(parts, claims):
        lines += ["", "## Claims that no part names", "", ", ".join(missing)]
    return "\n".join(lines) + "\n"
