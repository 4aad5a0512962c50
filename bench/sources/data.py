"""Sources of a task's rows: the small samples of this project, or the Hub's data set, from a mirror or the Hub.

An existing but broken file is an error, never a reason to use another source: the user would not notice.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.paths import SAMPLES
from bench.core.registry import nearest
from bench.sources.errors import SourceError, first_line
from bench.sources.hub import hub_answers

UNPINNED = "main"  # a branch: its content on the Hub may change
PARQUET = ".parquet"
EMPTY: tuple[Any, ...] = (None, "", [], {})
Row = dict[str, Any]


@dataclass(frozen=True)
class DataSpec:
    """The data that a task reads: a Hub data set's columns and splits, and the sample files that stand in for it."""

    hub_id: str
    columns: tuple[str, ...]
    splits: tuple[str, ...]
    samples: tuple[str, ...]  # file names in fixtures/data, one JSON object per line
    revision: str = UNPINNED  # the Hub's commit
    files: tuple[tuple[str, str], ...] = ()  # (split, path) of a user's own data, without samples or Hub
    paper_size: bool = True  # whether the full data is so large that a run takes hours


@dataclass(frozen=True)
class Rows:
    """Rows by split, with only the spec's columns; the samples form a single split, "all"."""

    splits: dict[str, list[Row]]
    origin: str  # "mirror", "cache", "hub", "sample" or "file"
    reason: str  # one sentence: why this source, and why not the earlier ones
    identity: str  # "sha256:…" over the rows as canonical JSON


def load_rows(spec: DataSpec, size: str, mirror: Path | None, samples: Path = SAMPLES) -> Rows:
    """The spec's rows, of size "sample" or "full". Raises SourceError naming the wrong file and line or row."""
    if spec.files:
        own = {split: read_file(Path(path), spec.columns) for split, path in spec.files}
        return with_identity(
            own, "file", f"{' and '.join(Path(path).name for _, path in spec.files)}, as the task names"
        )
    if size == "sample":
        rows = [row for name in spec.samples for row in read_sample(samples / name, spec.columns)]
        return with_identity({"all": rows}, "sample", "the sample written for this project, as asked for")
    if size != "full":
        raise ValueError(f"size={size!r} must be sample or full")
    if mirror is not None and find_full(spec, mirror) is not None:
        splits = {split: read_parquet(mirror_file(spec, mirror, split), spec.columns) for split in spec.splits}
        return with_identity(splits, "mirror", f"{spec.hub_id} from the mirror")
    refusal = why_not_mirror(spec, mirror)
    splits, origin = load_from_hub(spec, refusal)
    source = "the Hub" if origin == "hub" else f"the Hugging Face cache, {hub_answers().reason}"
    at = f"at {spec.revision}" if spec.revision != UNPINNED else f"as its branch {UNPINNED} is, for no commit is pinned"
    return with_identity(splits, origin, f"{spec.hub_id} from {source}, {at}; {refusal}")


def mirror_file(spec: DataSpec, mirror: Path, split: str) -> Path:
    return mirror / "datasets" / spec.hub_id / f"{split}.parquet"


def find_full(spec: DataSpec, mirror: Path | None) -> str | None:
    """The mirror's folder of the data set if every split is there; reads nothing."""
    if mirror is None or not all(mirror_file(spec, mirror, split).is_file() for split in spec.splits):
        return None
    return str(mirror / "datasets" / spec.hub_id)


def size_at_hand(spec: DataSpec, mirror: Path | None) -> str:
    """The default size of data: full if a mirror has it, else the sample."""
    return "full" if find_full(spec, mirror) else "sample"


def size_of(spec: DataSpec, wanted: str, mirror: Path | None) -> str:
    """The wanted size of data, or the default for "auto"; a user's own data has only one size."""
    if spec.files:
        return "sample"
    if not spec.samples:
        return "full"
    return size_at_hand(spec, mirror) if wanted == "auto" else wanted


def why_not_mirror(spec: DataSpec, mirror: Path | None) -> str:
    if mirror is None:
        return "no mirror was given"
    lacking = [split for split in spec.splits if not mirror_file(spec, mirror, split).is_file()]
    return f"the mirror lacks {mirror_file(spec, mirror, lacking[0])}"


def with_identity(splits: dict[str, list[Row]], origin: str, reason: str) -> Rows:
    text = json.dumps(splits, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    sha256 = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return Rows(splits, origin, reason, f"sha256:{sha256}")


def check_columns(there: Iterable[str], columns: tuple[str, ...], where: str) -> None:
    """Raise SourceError naming the missing columns, the existing ones, and similar names."""
    names = list(there)
    for column in columns:
        if column not in names:
            near = nearest(column, names) if names else []
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise SourceError(f"{where}: no column {column!r}, it has {', '.join(names) or 'none'}{hint}")


def keep(row: Row, columns: tuple[str, ...], where: str) -> Row:
    """The row's wanted columns. Raises SourceError if all of them are empty."""
    kept = {column: row[column] for column in columns}
    if all(value in EMPTY for value in kept.values()):
        raise SourceError(f"{where}: an empty row, expected something in {', '.join(columns)}; remove the row")
    return kept


def columns_of(path: Path) -> list[str]:
    """The columns of a file's first row, read without the rest. Raises SourceError naming file and line."""
    if path.suffix.lower() == PARQUET:
        return parquet_columns(path)
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        number, line = next(((number, line) for number, line in enumerate(file, 1) if line.strip()), (1, ""))
    if not line:
        raise SourceError(f"{path}: an empty file, expected one JSON object a line")
    return list(parse_line(line, (), f"{path}:{number}"))


def read_file(path: Path, columns: tuple[str, ...]) -> list[Row]:
    """The rows of a user's own file. Raises SourceError naming file and line or row."""
    return read_parquet(path, columns) if path.suffix.lower() == PARQUET else read_sample(path, columns)


def read_sample(path: Path, columns: tuple[str, ...]) -> list[Row]:
    """The objects of a JSON-lines file. Raises SourceError naming file and line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        remedy = "restore it from git" if path.parent == SAMPLES else "correct its name, or put it there"
        raise SourceError(f"{path}: the data cannot be read ({error.strerror}); {remedy}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        broken = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{path}:{broken}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(parse_line(line, columns, f"{path}:{number}"))
    if not rows:
        raise SourceError(f"{path}: an empty file, expected one JSON object a line")
    return rows


def parse_line(line: str, columns: tuple[str, ...], where: str) -> Row:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        says = getattr(error, "msg", "nested too deeply")
        raise SourceError(f"{where}: cut or broken JSON ({says}), expected one object a line") from None
    if not isinstance(row, dict):
        holding = f" with {', '.join(columns)}" if columns else ""
        raise SourceError(f"{where}: a JSON {type(row).__name__}, expected an object{holding}")
    check_columns(row, columns, where)
    return keep(row, columns, where) if columns else row


def read_parquet(path: Path, columns: tuple[str, ...]) -> list[Row]:
    """The rows of a parquet file. Raises SourceError naming file and row."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            check_columns(file.schema_arrow.names, columns, str(path))
            rows = file.read(columns=list(columns)).to_pylist()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: a text that is not UTF-8 ({error.reason}); write the file again") from None
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError(f"{path}: not a whole parquet file ({first_line(error)}); fetch it again") from None
    return checked_rows(rows, columns, str(path))


def parquet_columns(path: Path) -> list[str]:
    import pyarrow
    from pyarrow import parquet

    try:
        return list(parquet.read_schema(path).names)
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError(f"{path}: not a whole parquet file ({first_line(error)}); write it again") from None


def checked_rows(rows: Iterable[Row], columns: tuple[str, ...], where: str) -> list[Row]:
    kept = [keep(row, columns, f"{where} row {number}") for number, row in enumerate(rows, 1)]
    if not kept:
        raise SourceError(f"{where}: no rows, expected some")
    return kept


@contextmanager
def offline() -> Iterator[None]:
    """Let `datasets` use only its cache; otherwise it retries a Hub that is known not to answer."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def load_from_hub(spec: DataSpec, refusal: str) -> tuple[dict[str, list[Row]], str]:
    """The data set loaded with `datasets`, from the Hub or its cache. Raises SourceError with what to do."""
    remedy = "give --mirror DIR, or drop --data full" if spec.paper_size else "give --mirror DIR"
    try:
        import datasets
    except ImportError as error:
        raise SourceError(
            f"{spec.hub_id} cannot be had: {refusal}; `datasets` cannot be imported ({first_line(error)}); "
            f"install it, {remedy}"
        ) from error
    answer = hub_answers()
    try:
        if answer.ok:
            loaded = datasets.load_dataset(spec.hub_id, revision=spec.revision)
        else:
            with offline():
                loaded = datasets.load_dataset(spec.hub_id, revision=spec.revision)
    except Exception as error:  # datasets passes on the errors of every library that it uses
        seen = first_line(error) if answer.ok else f"{answer.reason}, and the Hugging Face cache does not hold it"
        raise SourceError(f"{spec.hub_id} cannot be had: {refusal}; {seen}; {remedy}") from error
    splits = {}
    for split in spec.splits:
        if split not in loaded:
            raise SourceError(f"{spec.hub_id} has no split {split!r}, it has {', '.join(map(str, loaded))}")
        check_columns(loaded[split].column_names, spec.columns, f"{spec.hub_id} {split}")
        rows = loaded[split].select_columns(list(spec.columns)).to_list()
        splits[split] = checked_rows(rows, spec.columns, f"{spec.hub_id} {split}")
    return splits, "hub" if answer.ok else "cache"
