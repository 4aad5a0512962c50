"""The exit codes that a session adds to pytest's. They are far above pytest's, which may add more.

Exit code 1 means that tests failed. A run that could not be stored takes precedence over a failure and a pass, because
nobody can judge it again. An interruption, an internal error and a mistake on the command line keep their codes.
"""

import pytest

NOT_STORED = 20  # the run could not be written
NOTHING_JUDGED = 21  # every selected test was skipped
WITHOUT_A_STORED_RUN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)  # the codes that NOT_STORED replaces


def final_code(code: int, stored: bool, whole: bool, judged: bool) -> int:
    """The session's exit code from pytest's.

    stored: whether the run was written; whole: whether a replay judged every stored case that it should;
    judged: whether any test ran, rather than all being skipped.
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
    """What an exit code means; empty for 0 and 1."""
    if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return ""
    return MEANINGS.get(code, f"exit code {code}")
