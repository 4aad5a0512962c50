"""`python -m bench test`: the suites, run by pytest from any folder, with all of pytest's options.

pytest reads nothing of the folder where the person stands: neither its pytest.ini or pyproject.toml nor its
conftest.py, for their options and plugins are made for other tests.
"""

import os
from collections.abc import Sequence

from bench.commands import Commands
from bench.core.paths import INSTALLED, ROOT, cache_folder
from bench.plugin import PLUGINS

ANYTHING = "\0"  # a prefix that no word has: argparse leaves every word to pytest
SAYS = "run the suites with pytest's options, from any folder; test --help lists them"


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "test", help=SAYS, description=f"{SAYS[0].upper()}{SAYS[1:]}.", prefix_chars=ANYTHING, add_help=False
    )
    parser.add_argument("words", nargs="*", metavar="ARGUMENT", help="options of pytest and of pytest suites, or files "
                        "of suites, for example test_speed.py --devices cpu")  # fmt: skip
    parser.set_defaults(
        work=lambda arguments: run_suites(arguments.words, arguments.entries), pytest_imports_entries=True
    )


def run_suites(words: Sequence[str], entries: Sequence[str] = ()) -> int:
    """Run pytest on the suites in this process; returns its exit code."""
    import pytest

    named = [f"--entries={','.join(entries)}"] if entries else []
    return int(pytest.main([*settings(), *named, *words]))


def settings() -> list[str]:
    """What pyproject.toml and conftest.py give pytest in a checkout; markers and warnings come from the plugin."""
    plugins = [word for name in (*PLUGINS, "bench.plugin.suites", "no:anyio") for word in ("-p", name)]
    cache = ["-o", f"cache_dir={cache_folder() / 'pytest'}"] if INSTALLED else []
    return ["-c", os.devnull, f"--rootdir={ROOT}", "--noconftest", *plugins, *cache]
