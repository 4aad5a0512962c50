"""TOML with its mistakes named, and text that is written whole or not at all."""

import os

import pytest

from bench.core.files import BadFile, read_toml, write_atomically


def test_tables_are_read(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("[one]\ntwo = 3\n", encoding="utf-8")
    assert read_toml(path) == {"one": {"two": 3}}


@pytest.mark.parametrize(
    ("content", "says"), [(b"[one]\ntwo = \n", "a.toml: .*line 2"), (b"\xff\xfe", "a.toml: 'utf-8' codec can't decode")]
)
def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path, content, says):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=says):
        read_toml(path)


def test_text_is_written_into_a_new_folder(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_atomically(path, "é\n")
    assert path.read_text(encoding="utf-8") == "é\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_keeps_its_text_where_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomically(path, "before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "after")
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]
