"""Named entries that register themselves: models, methods, tasks.

Adding a thing means writing one entry. All code that needs the list of entries asks the registry, so there is no
second list to extend.
"""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

Entry = TypeVar("Entry")
NAMED = 3  # the most names that a sentence lists


class UnknownName(KeyError):
    """A name that the registry does not have; the message lists similar ones."""

    def __str__(self) -> str:
        return str(self.args[0])


def nearest(name: str, names: list[str]) -> list[str]:
    """At most three of names that look like name; all of them if there are few and none is similar."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return near or (names if len(names) <= 6 else [])


def is_one_slip(name: str, other: str) -> bool:
    """Whether the names differ by one added, missing or wrong letter, or by two swapped letters."""
    pairs = enumerate(zip(name, other, strict=False))
    same = next((at for at, (one, another) in pairs if one != another), min(len(name), len(other)))
    first, second = name[same:], other[same:]
    swapped = first[:2] == second[1::-1] and first[2:] == second[2:]
    return first != second and (swapped or second[1:] in (first, first[1:]) or first[1:] == second)


def unknown(kind: str, name: str, names: list[str]) -> UnknownName:
    """The error for a name that does not exist; its message lists similar names."""
    near = nearest(name, names)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(names) or 'none'}"
    return UnknownName(f"no {kind} named {name!r}; {hint}")


def names_in(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def first_few(names: Iterable[str], most: int = NAMED) -> str:
    """The first names, at most so many, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def register_entry(entry: str) -> None:
    """Import a module that registers entries, or call a function that does: MODULE, or MODULE:FUNCTION ARGUMENT.

    Modules may import torch and other heavy libraries inside functions only: pytest's process never loads them.
    """
    target, _, argument = entry.partition(" ")
    module, _, function = target.partition(":")
    found = importlib.import_module(module)
    if function:
        getattr(found, function)(argument)


def import_file(path: str) -> None:
    """Import the Python file as a module of its name, once."""
    name = Path(path).stem
    if (there := sys.modules.get(name)) is not None:
        if getattr(there, "__file__", None) != path:
            raise ImportError(f"a module {name} is imported already; give the file another name")
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a file that ends in .py always has one; this line is for mypy
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


class Registry(Generic[Entry]):
    """Entries of one kind by name, in the order they were added."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def put(self, name: str, entry: Entry) -> Entry:
        """Add an entry. Raises ValueError if the name is taken."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def add(self, name: str, make: Callable[..., Entry], **facts: Any) -> Callable[[Callable], Callable]:
        """Decorate the function that does the entry's work: make(name=, run=, says=, **facts) builds the entry."""

        def decorate(run: Callable) -> Callable:
            says = (run.__doc__ or "").strip().splitlines()[0] if run.__doc__ else ""
            self.put(name, make(name=name, run=run, says=says, **facts))
            return run

        return decorate

    def remove(self, name: str) -> None:
        """Remove an entry, for tests that add a toy."""
        del self._entries[name]

    def names(self) -> list[str]:
        return list(self._entries)

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            raise unknown(self.kind, name, self.names())
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)
