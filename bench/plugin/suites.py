"""The plugin that lets `lorabench test` find the suites from any folder: all by default, one by its file name."""

import pytest

from bench.core.paths import SUITES


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.prog = "lorabench test"  # in --help and usage errors


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Replace file names of suites with their paths, and add the folder of suites if no file is named."""
    files = early_config.known_args_namespace.file_or_dir
    args[:] = [path_of_suite(word) if word in files else word for word in args]
    if not files:
        args.append(str(SUITES))


def path_of_suite(word: str) -> str:
    """The path for test_speed.py, suites/test_speed.py or either followed by ::test_x; other words stay unchanged."""
    file, *names = word.split("::")
    path = SUITES / file.removeprefix("suites/")
    return "::".join([str(path), *names]) if path.is_file() else word
