"""A user's own models, data and methods: one file for all of them, or paths on the command line.

    entries = ["my_methods.py"]       modules that add methods, families, models or tasks

    [models.my_model]
    folder = "my-model"               a folder as models on the Hub have one, or: hub = "owner/name"

    [tasks.tickets]                   its other keys: bench/tasks/own.py
    data = "tickets.jsonl"

    [tasks.tickets.recipe]            what differs from the recipe that every task starts from
    epochs = 2
    [tasks.tickets.recipe.methods.lora]
    learning_rate = 1e-3

The file is lorabench.toml in the current folder, or any that --entries names. Paths are relative to it. Its contents
are checked here and passed to workers as text, so a change of the file during a run has no effect.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.files import BadFile, check_texts, read_toml
from bench.core.registry import Registry, nearest, register_entry
from bench.models import MODELS
from bench.models.of_config import name_for, own_entry
from bench.recipes.files import add_own_recipe
from bench.sources.errors import SourceError
from bench.sources.hub import CONFIG, config_file
from bench.tasks import TASKS
from bench.tasks.own import FORMS, HUB_ID, own_task

FILE = "lorabench.toml"
FOR_WORKERS = "bench.plan.own:add_from_text"
OF_FILE = ("entries", "models", "tasks")
OF_MODEL = {
    "folder": "a folder with config.json, model.safetensors and a tokenizer",
    "hub": "the model's id on the Hub, as owner/name",
    "revision": "the commit on the Hub (default main)",
}
ADDED: dict[tuple[str, str], Any] = {}  # kind and name -> the table that added it, to detect duplicates


@dataclass
class Own:
    """What a user added: entries for workers to import or call, and the names given to paths."""

    entries: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # a path of the command line -> the model or task it is now
    files: list[Path] = field(default_factory=list)

    def replace_paths(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The words, with paths replaced by names."""
        return tuple(self.names.get(word, word) for word in words)


@dataclass(frozen=True)
class Table:
    """A model or a task as a user wrote it, with absolute paths, and its place."""

    kind: str
    name: str
    where: str
    values: dict[str, Any]
    recipe: dict[str, Any] = field(default_factory=dict)


def add_own(
    words: tuple[str, ...], mirror: Path | None = None, models: tuple[str, ...] = (), tasks: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
) -> Own:  # fmt: skip
    """Register what --entries names, the file of the current folder, and models and tasks that are paths.

    Raises ValueError with one sentence that names the file and key at fault.
    """
    own = Own()
    files = [FILE] if Path(FILE).is_file() else []
    files += [word for word in words if word.endswith(".toml") and Path(word).resolve() != Path(FILE).resolve()]
    for word in (word for word in words if not word.endswith(".toml")):
        add_module(word, Path(), f"--entries {word}", own)
    register([table for file in files for table in read_own_file(Path(file), mirror, own)], own)
    register([*paths_of_models(models, mirror, own), *paths_of_tasks(tasks, columns, own)], own)  # under free names
    return own


def register(tables: list[Table], own: Own) -> None:
    """Register the tables here, and in workers by the same text."""
    if tables:
        text = json.dumps([vars(table) for table in tables])
        add_from_text(text)
        own.entries.append(f"{FOR_WORKERS} {text}")


def add_module(word: str, folder: Path, where: str, own: Own) -> None:
    """Import a module by name, or a .py file of the folder."""
    entry = word
    if word.endswith(".py"):
        path = (folder / word).resolve()
        if not path.is_file():
            raise BadFile(f"{where}: there is no file {path}{near_in(path, '*.py')}")
        entry = f"bench.core.registry:import_file {path}"
    try:
        register_entry(entry)
    except Exception as error:  # whatever a person's module raises
        raise ValueError(f"{where}: {type(error).__name__}: {error}") from None
    own.entries.append(entry)


def near_in(path: Path, pattern: str) -> str:
    """Files in the folder with names similar to the path, as the end of a sentence."""
    names = sorted(one.name for one in path.parent.glob(pattern)) if path.parent.is_dir() else []
    near = nearest(path.name, names)
    return f"; did you mean {', '.join(near)}?" if near else ""


def read_own_file(path: Path, mirror: Path | None, own: Own) -> Iterator[Table]:
    """The file's tables, after its modules were imported. Raises BadFile naming file and key."""
    if not path.is_file():
        raise BadFile(f"--entries {path}: there is no such file{near_in(path.resolve(), '*.toml')}")
    own.files.append(path)
    values = read_toml(path)
    for key in values:
        if key not in OF_FILE:
            near = nearest(key, list(OF_FILE))
            raise BadFile(f"{path}: no key {key!r}; did you mean {', '.join(near or OF_FILE)}?")
    modules = values.get("entries", [])
    if not isinstance(modules, list) or not all(isinstance(word, str) for word in modules):
        raise BadFile(f'{path}: entries = {modules!r} must be a list of modules, as ["my_methods.py"]')
    for word in modules:
        add_module(word, path.parent, f"{path}: entries: {word}", own)
    for kind, reads in (("models", model_table), ("tasks", task_table)):
        for name, table in tables_of(values, kind, path):
            yield reads(name, table, f"{path} [{kind}.{name}]", path.parent.resolve(), mirror)


def tables_of(values: Mapping[str, Any], kind: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    group = values.get(kind, {})
    if not isinstance(group, dict):
        raise BadFile(f"{path}: {kind} = {group!r} must be tables, as [{kind}.my_name]")
    for name, table in group.items():
        if not isinstance(table, dict):
            raise BadFile(f"{path}: {kind}.{name} = {table!r} must be a table, as [{kind}.{name}]")
        yield name, table


def model_table(name: str, table: dict[str, Any], where: str, folder: Path, mirror: Path | None) -> Table:
    """The table with its config.json found. Raises BadFile if there is none, or the folder does not exist."""
    check_texts(table, OF_MODEL, where)
    if ("folder" in table) == ("hub" in table):
        raise BadFile(f"{where}: name a folder or hub, one of them: {OF_MODEL['folder']}, or {OF_MODEL['hub']}")
    if "folder" in table:
        place = (folder / Path(table["folder"]).expanduser()).resolve()
        if not place.is_dir():
            raise BadFile(f"{where}: folder = {table['folder']!r}: there is no such folder{near_in(place, '*/')}")
        return Table("models", name, where, {"folder": str(place), "config": str(place / CONFIG)})
    hub, revision = table["hub"], table.get("revision", "main")
    if not HUB_ID.fullmatch(hub):
        raise BadFile(f"{where}: hub = {hub!r} is no id of the Hub, as owner/name")
    mirrored = mirror / "models" / hub / CONFIG if mirror else None
    try:
        config = mirrored if mirrored and mirrored.is_file() else config_file(hub, revision)
    except SourceError as error:
        raise BadFile(f"{where}: {error}") from None
    return Table("models", name, where, {"hub_id": hub, "revision": revision, "config": str(config.resolve())})


def task_table(name: str, table: dict[str, Any], where: str, folder: Path, mirror: Path | None) -> Table:
    """The table with absolute paths of its files, and its recipe separate."""
    values = {key: value for key, value in table.items() if key != "recipe"}
    for key in ("data", "held_out"):
        if isinstance(value := values.get(key), str) and Path(value).suffix.lower() in FORMS:
            values[key] = str((folder / Path(value).expanduser()).resolve())
    recipe = table.get("recipe", {})
    if not isinstance(recipe, dict):
        raise BadFile(f"{where}: recipe = {recipe!r} must be a table, as [tasks.{name}.recipe]")
    return Table("tasks", name, where, values, recipe)


def paths_of_models(words: tuple[str, ...], mirror: Path | None, own: Own) -> Iterator[Table]:
    """The models that --models names by a folder or a Hub's id."""
    for word in words:
        if word in MODELS or not ("/" in word or Path(word).is_dir()):
            continue
        own.names[word] = name_for(word.rstrip("/").rpartition("/")[2], MODELS)
        is_hub = HUB_ID.fullmatch(word) and not Path(word).exists() and not word.startswith(".")
        table = {"hub" if is_hub else "folder": word}
        yield model_table(own.names[word], table, f"--models {word}", Path.cwd(), mirror)


def paths_of_tasks(words: tuple[str, ...], columns: tuple[str, ...], own: Own) -> Iterator[Table]:
    """The tasks that --tasks names by a file or a Hub's id, with --columns as KEY=COLUMN."""
    pairs = [word.partition("=") for word in columns]
    if bad := next((word for word, pair in zip(columns, pairs, strict=True) if not (pair[0] and pair[2])), ""):
        raise ValueError(f"--columns {bad}: write KEY=COLUMN, as instruction=question,response=answer")
    named = [word for word in words if word not in TASKS and ("/" in word or Path(word).suffix.lower() in FORMS)]
    if columns and not named:
        raise ValueError("--columns names the columns of a file of --tasks; add --tasks FILE")
    for word in named:
        own.names[word] = name_for(Path(word).stem, TASKS)
        table = {"data": word, **{key: column for key, _, column in pairs}}
        yield task_table(own.names[word], table, f"--tasks {word}", Path.cwd(), None)


def add_from_text(text: str) -> None:
    """Register the tables, each once. Raises BadFile for a name that is taken."""
    for fields in json.loads(text):
        table = Table(**fields)
        if ADDED.get((table.kind, table.name)) == table:
            continue
        registry, make = KINDS[table.kind]
        if table.name in registry:
            raise BadFile(f"{table.where}: there is a {registry.kind} {table.name!r} already; take another name")
        entry = make(table.name, table.values, table.where)
        if table.recipe:
            add_own_recipe(table.name, table.recipe, f"{table.where} recipe")
        registry.put(table.name, entry)
        ADDED[table.kind, table.name] = table


KINDS: dict[str, tuple[Registry, Callable[..., Any]]] = {"models": (MODELS, own_entry), "tasks": (TASKS, own_task)}
