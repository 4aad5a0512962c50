"""What the tests of one case came to, in words: all passed, or how many failed and which."""

from dataclasses import dataclass, field

MOST_NAMES = 3  # of failed tests in a line


@dataclass
class CaseTests:
    """Counts of one case's tests; failed has their names. broken: why the case has no record to judge."""

    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    broken: str = ""

    @property
    def ran(self) -> int:
        return self.passed + len(self.failed)

    @property
    def is_good(self) -> bool:
        return not self.failed and self.passed > 0

    def count(self) -> str:
        """In few words: 14 passed, 1 of 14 failed, not judged."""
        if self.broken or not self.ran:
            return "not judged"
        return f"{len(self.failed)} of {self.ran} failed" if self.failed else f"{self.passed} passed"

    def verdict(self) -> str:
        """With the names of what failed: 1 of 14 failed: generates_what_it_reads."""
        if self.broken:
            return f"not judged: {self.broken}"
        more = f" and {len(self.failed) - MOST_NAMES} more" if len(self.failed) > MOST_NAMES else ""
        names = f": {', '.join(self.failed[:MOST_NAMES])}{more}" if self.failed else ""
        return self.count() + names
