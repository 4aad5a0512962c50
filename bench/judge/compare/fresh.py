"""Fresh seeds: the options that run them, and whether two runs given as fresh may decide.

Seeds that raised a suspicion cannot confirm it, and seeds of another recipe or other libraries say nothing about it.
"""

from bench.judge.compare.sides import Side, code_difference
from bench.records.basis import basis_differences, basis_of, differences_text, group_of
from bench.records.record import Record

OWN_ENGINE = "bench"  # the default of --engine


class NotFresh(ValueError):
    """Runs cannot decide about a suspect; the message states why in one sentence."""


def check_fresh(sides: tuple[Side, Side], fresh: tuple[Side, Side]) -> None:
    """Raise NotFresh unless both runs have new seeds, with the recipes and libraries of their side."""
    if fresh[0].folder.resolve() == fresh[1].folder.resolve():
        raise NotFresh(f"--fresh names {fresh[0].name} twice; give a run of fresh seeds of each side")
    used = {case for side in sides for case, record in side.records.items() if record.ok}
    for side, more in zip(sides, fresh, strict=True):
        if again := [case for case, record in more.records.items() if record.ok and case in used]:
            raise NotFresh(f"--fresh {more.name}: {again[0]} was compared before, and only other seeds can decide")
        for record in more.records.values():
            if why := difference(side, record):
                raise NotFresh(f"--fresh {more.name} was not run as {side.name}: {record.case}, {why}")


def difference(side: Side, record: Record) -> str:
    """How the run of a fresh seed differs from its case's run in the side; empty if it does not."""
    like = [one for one in side.records.values() if group_of(one) == group_of(record)]
    parts = ("recipe", "libraries") if like else ("libraries",)
    first = like[0] if like else next(iter(side.records.values()))
    found = basis_differences(basis_of(first), basis_of(record), parts)
    return differences_text(found) or code_difference(first.environment, record.environment)
