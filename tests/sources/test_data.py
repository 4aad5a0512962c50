"""Rows from samples, a mirror and the Hub, and one sentence for everything that can be wrong with a file."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hub_server import serving

from bench.core.paths import ROOT
from bench.sources import DataSpec, SourceError, data, find_full, load_rows
from bench.sources.hub import Answer

SPEC = DataSpec("owner/rows", ("words", "labels"), ("train", "test"), ("one.jsonl", "two.jsonl"))
ROWS = [
    {"words": ["a", "b"], "labels": ["X", "Y"], "extra": 1},
    {"words": ["été", "漢"], "labels": ["Z", "Z"], "extra": 2},
]
KEPT = [{"words": row["words"], "labels": row["labels"]} for row in ROWS]


def write_sample(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def parquet_bytes(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    write_sample(tmp_path / "one.jsonl", ROWS[:1])
    write_sample(tmp_path / "two.jsonl", ROWS[1:])
    return tmp_path


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror" / "datasets" / "owner" / "rows"
    folder.mkdir(parents=True)
    for split in SPEC.splits:
        (folder / f"{split}.parquet").write_bytes(parquet_bytes(ROWS))
    return tmp_path / "mirror"


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "hub_answers", lambda: Answer(False, "the Hub is away"))


# --- samples


def test_samples_are_one_split_with_the_wanted_columns(samples: Path) -> None:
    rows = load_rows(SPEC, "sample", None, samples)
    assert rows.splits == {"all": KEPT}
    assert rows.origin == "sample"


def test_the_identity_follows_the_rows_and_not_the_file(samples: Path) -> None:
    before = load_rows(SPEC, "sample", None, samples).identity
    write_sample(samples / "one.jsonl", [dict(reversed(ROWS[0].items())) | {"extra": 3}])
    assert load_rows(SPEC, "sample", None, samples).identity == before
    write_sample(samples / "one.jsonl", [ROWS[0] | {"words": ["a", "c"]}])
    assert load_rows(SPEC, "sample", None, samples).identity != before
    assert before.startswith("sha256:")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "one.jsonl: an empty file"),
        (b"\n \n", "one.jsonl: an empty file"),
        (b'{"words": "a", "labels": "b"}\n\xff\n', "one.jsonl:2: not UTF-8 at byte 30"),
        (b'{"words": "a", "labels": "b"}\n{"words": "a", "lab', "one.jsonl:2: cut or broken JSON (Unterminated string"),
        (b"[" * 100_000, "one.jsonl:1: cut or broken JSON (nested too deeply)"),
        (b"\n[1]", "one.jsonl:2: a JSON list, expected an object with words, labels"),
        (
            b'{"words": "a", "label": "b"}',
            "one.jsonl:1: no column 'labels', it has words, label; did you mean label?",
        ),
        (b'{"words": [], "labels": null}', "one.jsonl:1: an empty row, expected something in words, labels"),
    ],
    ids=["empty", "blank", "utf8", "cut", "deep", "list", "column", "empty-row"],
)
def test_a_wrong_sample_names_its_line(samples: Path, content: bytes, sentence: str) -> None:
    (samples / "one.jsonl").write_bytes(content)
    with pytest.raises(SourceError) as caught:
        load_rows(SPEC, "sample", None, samples)
    assert f"{samples}/{sentence}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_sample_is_named(samples: Path) -> None:
    (samples / "two.jsonl").unlink()
    with pytest.raises(
        SourceError, match=r"two\.jsonl: the data cannot be read \(No such file .*; correct its name, or put it there"
    ):
        load_rows(SPEC, "sample", None, samples)


def test_line_ends_and_a_byte_order_mark_do_not_matter(samples: Path) -> None:
    before = load_rows(SPEC, "sample", None, samples)
    text = (samples / "one.jsonl").read_bytes()
    (samples / "one.jsonl").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert load_rows(SPEC, "sample", None, samples) == before


# --- the mirror


def test_the_mirror_gives_every_split(mirror: Path) -> None:
    rows = load_rows(SPEC, "full", mirror)
    assert rows.splits == {"train": KEPT, "test": KEPT}
    assert (rows.origin, rows.reason) == ("mirror", "owner/rows from the mirror")
    assert find_full(SPEC, mirror) == str(mirror / "datasets" / "owner" / "rows")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PAR1 not parquet", "test.parquet: not a whole parquet file"),
        (b"", "test.parquet: not a whole parquet file"),
        (parquet_bytes(ROWS)[:-50], "test.parquet: not a whole parquet file"),
        (parquet_bytes([{"words": ["a"], "tags": ["b"]}]), "test.parquet: no column 'labels', it has words, tags"),
        (parquet_bytes([ROWS[0], {"words": [], "labels": []}]), "test.parquet row 2: an empty row"),
    ],
    ids=["text", "empty", "cut", "column", "empty-row"],
)
def test_a_wrong_parquet_file_is_an_error_and_not_passed_over(mirror: Path, content: bytes, sentence: str) -> None:
    path = mirror / "datasets" / "owner" / "rows" / "test.parquet"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        load_rows(SPEC, "full", mirror)
    assert f"{path.parent}/{sentence}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_without_rows_is_an_error(mirror: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    path = mirror / "datasets" / "owner" / "rows" / "test.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS).slice(0, 0), path)
    with pytest.raises(SourceError, match=r"test\.parquet: no rows"):
        load_rows(SPEC, "full", mirror)


@pytest.mark.usefixtures("no_hub")
def test_without_mirror_and_hub_the_error_says_what_to_do(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mirror / "datasets" / "owner" / "rows" / "test.parquet").unlink()
    monkeypatch.setitem(sys.modules, "datasets", None)  # importing it fails
    assert find_full(SPEC, mirror) is None
    assert find_full(SPEC, None) is None
    with pytest.raises(SourceError, match=r"the mirror lacks .*test\.parquet; `datasets` cannot be imported") as caught:
        load_rows(SPEC, "full", mirror)
    assert "--mirror DIR, or drop --data full" in str(caught.value)


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="size='large' must be sample or full"):
        load_rows(SPEC, "large", None)


# --- the Hub

LOAD = """
import json, sys
from dataclasses import asdict
from bench.sources import DataSpec, SourceError, load_rows

found = {}
for name in sys.argv[1:]:
    try:
        spec = DataSpec("owner/" + name, ("words", "labels"), ("train", "test"), ())
        found[name] = asdict(load_rows(spec, "full", None))
    except SourceError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


def load(home: Path, endpoint: str, *names: str, **environment: str) -> dict[str, Any]:
    """What a fresh process loads, with this Hub and this home of Hugging Face."""
    settings = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home)}
    settings.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-c", LOAD, *names]
    result = subprocess.run(command, cwd=ROOT, env=settings | environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_the_hub_gives_the_rows_and_then_its_cache_does(tmp_path: Path) -> None:
    content = parquet_bytes(ROWS)
    whole = {f"data/{split}-00000-of-00001.parquet": content for split in SPEC.splits}
    with serving({"datasets/owner/rows": whole, "datasets/owner/half": dict(list(whole.items())[:1])}) as hub:
        found = load(tmp_path, hub.address, "rows", "half", "missing", "gated")
        asked = len(hub.asked)
        offline = load(tmp_path, hub.address, "rows", HF_HUB_OFFLINE="1")["rows"]
        assert len(hub.asked) == asked
        address = hub.address
    assert found["rows"]["splits"] == {"train": KEPT, "test": KEPT}
    assert (found["rows"]["origin"], found["rows"]["reason"]) == (
        "hub",
        "owner/rows from the Hub, as its branch main is, for no commit is pinned; no mirror was given",
    )
    assert found["half"] == "owner/half has no split 'test', it has train"
    assert "owner/missing cannot be had: no mirror was given; DatasetNotFoundError" in found["missing"]
    assert "gated" in found["gated"]
    assert found["gated"].endswith("give --mirror DIR, or drop --data full")
    assert (offline["origin"], offline["identity"]) == ("cache", found["rows"]["identity"])
    away = load(tmp_path, address, "rows", "other")  # the server is gone
    assert away["rows"]["origin"] == "cache"
    assert "the Hub could not be reached" in away["rows"]["reason"]
    assert "the Hugging Face cache does not hold it; give --mirror DIR, or drop --data full" in away["other"]
