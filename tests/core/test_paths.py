"""Folders that a person names or moves."""

from pathlib import Path

import pytest

from bench.core.paths import cache_folder, named_folder


def test_a_folder_is_named_by_an_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    assert named_folder(tmp_path.name, "--mirror") == tmp_path.resolve()
    assert named_folder("", "--mirror") is None


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_folder_that_is_not_there_is_one_sentence(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=rf"^--mirror {tmp_path / name}: there is no such folder$"):
        named_folder(str(tmp_path / name), "--mirror")


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"LORABENCH_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/lorabench")),
        ({}, Path.home() / ".cache/lorabench"),
    ],
)
def test_variables_move_the_cache(monkeypatch, variables, folder):
    for name in ("LORABENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == folder
