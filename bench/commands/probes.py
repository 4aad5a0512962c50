"""`python -m bench probes`: what is asked, how well answers are read, and the files that are made from probes."""

import argparse
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, need_checkout, records_of, show
from bench.core.files import write_atomically
from bench.core.paths import ROOT
from bench.judge.probe_thresholds import FILE, bands_toml, measure_bands
from bench.probes import PROBES
from bench.probes.agreement import SETS, agreement_table, disagreements, read_answers
from bench.probes.export import files
from bench.report.tables import text_lines


def add(commands: Commands) -> None:
    parser = add_command(commands, "probes", "list what probes ask a model before and after tuning")
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="print the items of these families")
    parser.add_argument(
        "--language", default="", metavar="LANGUAGE", help="only items in this language, for example de"
    )
    parser.add_argument(
        "--agreement", choices=SETS, help="instead: how often the parsers agree with a set of the answers that "
        "people have read, and where they do not"
    )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="write the data of the task numbers and the lm-eval tasks")
    parser.add_argument(
        "--thresholds", nargs="+", default=[], metavar="RUN", help="write thresholds measured in these runs"
    )
    parser.set_defaults(work=work, next="pytest suites/test_probes.py --probes all asks them of every decoder")


def write(texts: dict[Path, str]) -> int:
    for path, text in texts.items():
        write_atomically(path, text)
        show(str(path.relative_to(ROOT)))
    return 0


def work(arguments: argparse.Namespace) -> int:
    if arguments.thresholds or arguments.write:
        need_checkout("probes --write or --thresholds")
    if arguments.thresholds:
        records = [record for run in arguments.thresholds for record in records_of(run)]
        if not (bands := measure_bands(records)):
            raise Mistake("no record of these runs was asked probes on real weights; run them with --probes all first")
        return write({FILE: bands_toml(bands)})
    if arguments.write:
        return write(files())
    return show_agreement(arguments) if arguments.agreement else show_items(arguments)


def show_agreement(arguments: argparse.Namespace) -> int:
    """A table for each family, and every answer that is read otherwise than by people."""
    answers = read_answers(arguments.agreement)
    families = dict.fromkeys(answer.item.family for answer in answers)
    for name in arguments.families:
        if PROBES[name].name not in families:
            raise Mistake(f"{name}: no answers are written for it; they are for {', '.join(families)}")
    for name in arguments.families or families:
        show("\n".join(text_lines(agreement_table(answers, name), names=1)))
    for line in disagreements(one for one in answers if one.item.family in (arguments.families or families)):
        show(line)
    return 0


def show_items(arguments: argparse.Namespace) -> int:
    if not (arguments.families or arguments.language):
        for family in PROBES:
            asked_in = ",".join(sorted({item.language for item in family.items}))
            show(f"{family.name:12} {len(family.items):4} items  {asked_in:27} {family.says}")
        return 0
    asked = [item for name in arguments.families or PROBES.names() for item in PROBES[name].items]
    found = [item for item in asked if arguments.language in ("", item.language)]
    if not found:
        languages = ", ".join(sorted({item.language for item in asked}))
        raise Mistake(f"--language {arguments.language}: no item in it; the items are in {languages}")
    for item in found:
        show(f"{item.id}: {item.prompt!r} {' | '.join(item.choices)} -> {item.answer}")
    return 0
