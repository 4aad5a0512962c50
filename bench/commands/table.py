"""`python -m bench table RUN`: the table of a run's records, its probes, epochs, confusions or utilisation."""

import argparse
from collections.abc import Sequence

from bench.commands import Commands, Mistake, add_command, records_of, show
from bench.judge.thresholds import own_thresholds, read_with_own
from bench.records.record import Record
from bench.records.stored_runs import RUN_HELP
from bench.report import cases, epochs, probes, utilisation
from bench.report.tables import Table, markdown_lines, text_lines


def add(commands: Commands) -> None:
    parser = add_command(commands, "table", "print a run as a table: quality, memory, speed, parameters")
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--probes", choices=("group", "language"), help="instead: probes of each case, by group or by language"
    )
    what.add_argument(
        "--probes-over-seeds", choices=("group", "language"), help="instead: probes, all seeds of a case together"
    )
    what.add_argument(
        "--epochs", action="store_true", help="instead: loss and quality after each epoch, over all seeds"
    )
    what.add_argument("--epoch-seconds", action="store_true", help="instead: seconds of an epoch, from the median step")
    what.add_argument("--confusions", action="store_true", help="instead: the tags that were most often confused")
    what.add_argument(
        "--utilisation", action="store_true", help="instead: model and hardware FLOP/s, and their shares of the peak"
    )
    parser.set_defaults(
        work=print_table, next="python -m bench picture {run} draws it; pytest suites --replay {run} judges it again"
    )


def print_table(arguments: argparse.Namespace) -> int:
    table, names, missing = choose_table(arguments, records_of(arguments.run))
    if len(table) == 1 and missing:
        raise Mistake(f"{arguments.run}: {missing}")
    show("\n".join(markdown_lines(table, names) if arguments.markdown else text_lines(table, names)))
    return 0


def choose_table(arguments: argparse.Namespace, records: Sequence[Record]) -> tuple[Table, int, str]:
    """The table that is asked for, how many of its columns are names, and what to say where it has no line."""
    if asked := arguments.probes or arguments.probes_over_seeds:
        tables = probes.probes_table if arguments.probes else probes.seeds_table
        missing = "no probes were asked on real weights; run it with --probes all"
        return tables(records, by_language=asked == "language"), probes.NAMES, missing
    if arguments.epochs:
        missing = "no case was evaluated after each epoch on real weights; --data full with pos is"
        return epochs.epochs_table(records), epochs.NAMES, missing
    if arguments.epoch_seconds:
        return epochs.seconds_table(records), epochs.SECONDS_NAMES, "no case trained"
    if arguments.confusions:
        missing = "no record has a confusion matrix; those of pos on real weights have one"
        return epochs.confusions_table(records), epochs.CONFUSION_NAMES, missing
    if arguments.utilisation:
        return utilisation.utilisation_table(records), utilisation.NAMES, "no case trained"
    return cases.table_of(records, read_with_own(own_thresholds())), cases.NAMES, ""
