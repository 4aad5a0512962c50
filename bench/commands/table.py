"""`python -m bench table RUN`: the table of a run's records, its probes, epochs, confusions or utilisation."""

import argparse
from collections.abc import Sequence

from bench import epoch_report, probe_report, report, utilisation_report
from bench.commands import Commands, Mistake, add_command, records_of, show
from bench.record import Record
from bench.stored_runs import RUN_HELP
from bench.tables import Table, markdown_lines, text_lines
from bench.thresholds import read_thresholds


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
    table, names, missing = chosen(arguments, records_of(arguments.run))
    if len(table) == 1 and missing:
        raise Mistake(f"{arguments.run}: {missing}")
    show("\n".join(markdown_lines(table, names) if arguments.markdown else text_lines(table, names)))
    return 0


def chosen(arguments: argparse.Namespace, records: Sequence[Record]) -> tuple[Table, int, str]:
    """The table that is asked for, how many of its columns are names, and what to say where it has no line."""
    if asked := arguments.probes or arguments.probes_over_seeds:
        tables = probe_report.probes_table if arguments.probes else probe_report.seeds_table
        missing = "no probes were asked on real weights; run it with --probes all"
        return tables(records, by_language=asked == "language"), probe_report.NAMES, missing
    if arguments.epochs:
        missing = "no case was evaluated after each epoch on real weights; --data full with pos is"
        return epoch_report.epochs_table(records), epoch_report.NAMES, missing
    if arguments.epoch_seconds:
        return epoch_report.seconds_table(records), epoch_report.SECONDS_NAMES, "no case trained"
    if arguments.confusions:
        missing = "no record has a confusion matrix; those of pos on real weights have one"
        return epoch_report.confusions_table(records), epoch_report.CONFUSION_NAMES, missing
    if arguments.utilisation:
        return utilisation_report.utilisation_table(records), utilisation_report.NAMES, "no case trained"
    return report.table_of(records, read_thresholds()), report.NAMES, ""
