"""`python -m bench calibrate`: how often the comparison of two runs is wrong, by simulation."""

import argparse

from bench.commands import Commands, Mistake, add_command, show
from bench.judge.compare.calibrate import CASES, GATES, Rate, calibrate, fitted_prior, measured_deviations
from bench.report.tables import markdown_lines

HEADINGS = ["rate", "seen", "goal", "reached", "at the cost of"]


def add(commands: Commands) -> None:
    says = "simulate comparisons of two runs: how often a regression is missed or made up"
    parser = add_command(commands, "calibrate", says)
    parser.add_argument("--gates", type=int, default=GATES, metavar="N",
                        help=f"comparisons of {CASES} cases to simulate (default {GATES})")  # fmt: skip
    parser.add_argument("--prior", action="store_true",
                        help="instead: fit the noise of fixtures/gate.toml to the stored runs")  # fmt: skip
    parser.set_defaults(work=print_rates, next="docs/upgrades.md says what these rates mean for an upgrade")


def print_rates(arguments: argparse.Namespace) -> int:
    if arguments.gates < 1:
        raise Mistake(f"--gates {arguments.gates} must be at least 1")
    if arguments.prior:
        deviations = measured_deviations()
        prior = fitted_prior(deviations)
        show(f"of {len(deviations)} cases: deviation = {prior.variance**0.5:.3f}, degrees = {prior.degrees:.2f}")
        return 0
    rates = calibrate(arguments.gates)
    show("\n".join(markdown_lines([HEADINGS, *map(row, rates)], 1)))
    return 0


def row(rate: Rate) -> list[str]:
    goal = f"{'≤' if rate.at_most else '≥'} {rate.goal:.0%}"
    return [rate.what, f"{rate.seen:.1%}", goal, "yes" if rate.reached else "no", rate.note or "–"]
