"""Fresh seeds: the options that run them, and whether two runs that are given as such may decide.

Seeds that raised a suspicion cannot confirm it, and those of another recipe or of other libraries say nothing of it.
"""

from bench.judge.compare.sides import Side, code_difference
from bench.records.basis import basis_differences, basis_of, described, group_of
from bench.records.record import Record

OWN_ENGINE = "bench"  # the default of --engine


class NotFresh(ValueError):
    """Runs that cannot decide about a suspect; says why in one sentence."""


def check_fresh(sides: tuple[Side, Side], fresh: tuple[Side, Side]) -> None:
    """Raises NotFresh unless both runs have seeds of their own, by the recipes and with the libraries of their side."""
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
    """In what a fresh seed was run otherwise than its case was in the side; empty if it was not."""
    like = [one for one in side.records.values() if group_of(one) == group_of(record)]
    parts = ("recipe", "libraries") if like else ("libraries",)
    first = like[0] if like else next(iter(side.records.values()))
    found = basis_differences(basis_of(first), basis_of(record), parts)
    return described(found) or code_difference(first.environment, record.environment)
