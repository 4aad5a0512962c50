"""The pages by their titles, in the order of the menu. What a person can mend is one sentence on its page."""

from collections.abc import Callable

from bench.app import ask_page, claims_page, compare_page, fit_page, methods_page, runs_page
from bench.app.showing import refuse
from bench.core.registry import UnknownName

PAGES = {
    "Runs": runs_page.show,
    "Compare": compare_page.show,
    "Methods": methods_page.show,
    "Claims": claims_page.show,
    "Fit": fit_page.show,
    "Ask": ask_page.show,
}


def in_one_sentence(show: Callable[[], None]) -> Callable[[], None]:
    """The page, or the sentence of what a person can mend, as a damaged file."""

    def page() -> None:
        try:
            show()
        except (ValueError, RuntimeError, OSError, UnknownName) as error:
            refuse("This cannot be shown.", error)
        except KeyError as error:
            refuse("This cannot be shown.", f"a stored record lacks {error}; its run may be of an older version")

    return page
