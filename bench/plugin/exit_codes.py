"""The exit codes that a session has beside pytest's own, far above those, for pytest goes on adding some.

An exit code of 1 says that tests failed. A run that could not be stored counts for more than that, and than a pass,
because nobody can judge it again; an interruption, an internal error and a mistake on the command line keep their code.
"""

import pytest

NOT_STORED = 20  # the run could not be written
NOTHING_JUDGED = 21  # every selected test was skipped
WITHOUT_A_STORED_RUN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)  # what NOT_STORED takes the place of


def final_code(code: int, stored: bool, whole: bool, judged: bool) -> int:
    """The session's exit code from pytest's.

    stored: whether the run was written; whole: whether a replay judged every stored case that it should;
    judged: whether a test was run, and not only skipped.
    """
    if code in WITHOUT_A_STORED_RUN and not stored:
        return NOT_STORED
    if code == pytest.ExitCode.OK and not whole:
        return pytest.ExitCode.TESTS_FAILED
    return NOTHING_JUDGED if code == pytest.ExitCode.OK and not judged else code


MEANINGS = {
    int(pytest.ExitCode.INTERRUPTED): "interrupted",
    int(pytest.ExitCode.INTERNAL_ERROR): "ended by an internal error",
    NOT_STORED: "the run could not be stored",
    NOTHING_JUDGED: "nothing was judged",
}


def meaning(code: int) -> str:
    """What an exit code says beyond failed tests; empty for 0 and 1."""
    if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return ""
    return MEANINGS.get(code, f"exit code {code}")
