"""The search for weights: mirror, Hugging Face cache, Hub, package, random weights.

The Hub is a server on this machine, and its client runs in a process of its own, because huggingface_hub reads its
settings when it is imported.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer, serving

from bench.core.paths import ROOT
from bench.core.registry import UnknownName
from bench.models import MODELS, ModelEntry
from bench.sources import Answer, SourceError, describe_weights, fetch, find_weights, folder_at_hand, weights
from bench.sources import hub as hub_module
from bench.sources.fetch import NeededSources, look_up
from bench.sources.snapshot import complaint, wanted_files
from bench.sources.weights import odd_shape

HEADER = json.dumps({"weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
SAFETENSORS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(8)
TOY_FILES = {
    "config.json": b'{"model_type": "bert", "hidden_size": 4}',
    "model.safetensors": SAFETENSORS,
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "modeling_toy.py": b"raise SystemExit('never run')",
    "onnx/model.safetensors": b"another",
}
HUB_FILES = {
    "models/owner/toy": TOY_FILES,
    "models/owner/adapted": TOY_FILES | {"adapter_config.json": b"{}"},
    "models/owner/pickled": {"config.json": b"{}", "pytorch_model.bin": b""},
}
TOY = replace(
    MODELS["tiny_bert"], name="toy", hub_id="owner/toy", config=MODELS["tiny_bert"].config | {"hidden_size": 4}
)

SEARCH = """
import json, sys, time
from dataclasses import asdict, replace
from bench.models import MODELS
from bench.sources import find_weights, hub, hub_answers

TOY = replace(MODELS["tiny_bert"], config={**MODELS["tiny_bert"].config, "hidden_size": 4})
hub.REQUEST_SECONDS = 1.0
started = time.monotonic()
found = {"answer": asdict(hub_answers()), "seconds": time.monotonic() - started}
for name in sys.argv[1:]:
    entry = replace(TOY, name=name, hub_id="owner/" + name)
    found[name] = asdict(find_weights(entry, None))
print(json.dumps(found, default=str))
"""


def search(home: Path, endpoint: str, *names: str, **environment: str) -> dict[str, Any]:
    """What a fresh process finds, with this Hub and this home of Hugging Face."""
    settings = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "LORABENCH_CACHE": str(home / "lorabench")}
    settings.pop("HF_HUB_OFFLINE", None)
    result = subprocess.run(
        [sys.executable, "-c", SEARCH, *names],
        cwd=ROOT,
        env=settings | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def write_model(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with serving(HUB_FILES) as server:
        yield server


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path / "lorabench"))


@pytest.fixture
def only_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """No source but the mirror: what is in this machine's Hugging Face cache does not matter."""
    monkeypatch.setattr(weights, "SOURCES", {"mirror": weights.from_mirror})


# --- the Hub


def test_the_hub_gives_safetensors_and_no_pickles(hub: HubServer, tmp_path: Path) -> None:
    toy = search(tmp_path, hub.address, "toy")["toy"]
    assert toy["origin"] == "hub"
    assert toy["reason"] == (
        "from the Hub at commit 0123456789abcdef0123456789abcdef01234567, for its revision main is not pinned; "
        "no mirror was given; no package carries it; the Hugging Face cache does not hold owner/toy"
    )
    assert {path.name for path in Path(toy["folder"]).iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json",
    }  # fmt: skip
    assert not [path for path in hub.asked if "pickle" in path or ".bin" in path or ".py" in path or "onnx" in path]


def test_a_complete_snapshot_in_the_cache_is_used_without_the_network(hub: HubServer, tmp_path: Path) -> None:
    fetched = search(tmp_path, hub.address, "toy")["toy"]
    asked = len(hub.asked)
    cached = search(tmp_path, hub.address, "toy", HF_HUB_OFFLINE="1")["toy"]
    assert cached["origin"] == "cache"
    assert (cached["folder"], cached["identity"]) == (fetched["folder"], fetched["identity"])
    assert len(hub.asked) == asked


def test_an_incomplete_snapshot_in_the_cache_is_not_used(hub: HubServer, tmp_path: Path) -> None:
    fetched = search(tmp_path, hub.address, "toy")["toy"]
    (Path(fetched["folder"]) / "model.safetensors").unlink()
    offline = search(tmp_path, hub.address, "toy", HF_HUB_OFFLINE="1")["toy"]
    assert offline["origin"] == "synthetic"
    assert "snapshot of owner/toy has no model.safetensors; the Hub is not asked" in offline["reason"]
    assert search(tmp_path, hub.address, "toy")["toy"]["origin"] == "hub"


def test_every_refusal_of_the_hub_is_a_sentence_and_the_search_goes_on(hub: HubServer, tmp_path: Path) -> None:
    expected = {
        "missing": "the Hub has no owner/missing for this login (404)",
        "private": "the Hub has no owner/private for this login (401)",
        "unrevised": "owner/unrevised has no revision main on the Hub, which the model's entry names; correct it there",
        "gated": "owner/gated is gated on the Hub: accept its licence there",
        "broken": "the Hub answered 500 for owner/broken",
        "hanging": "owner/hanging could not be fetched from the Hub (ReadTimeout",
        "adapted": "owner/adapted on the Hub has an adapter_config.json, so that an adapter would be loaded",
        "pickled": "owner/pickled on the Hub has pytorch_model.bin but no safetensors, and pickles are refused",
    }
    found = search(tmp_path, hub.address, *expected)
    for name, sentence in expected.items():
        assert sentence in found[name]["reason"]
        assert "\n" not in found[name]["reason"]
        assert (found[name]["folder"], found[name]["origin"]) == (None, "synthetic")


def test_the_hub_is_asked_once_a_process(hub: HubServer, tmp_path: Path) -> None:
    search(tmp_path, hub.address, "missing", "broken")
    assert hub.asked.count("HEAD /") == 1


def test_a_hub_that_refuses_connections_costs_no_time(tmp_path: Path) -> None:
    with socket.socket() as bound:  # bound and not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        found = search(tmp_path, f"http://127.0.0.1:{bound.getsockname()[1]}", "toy")
    assert not found["answer"]["ok"]
    assert "the Hub could not be reached (ConnectError" in found["toy"]["reason"]
    assert found["seconds"] < 3


def test_a_hub_that_hangs_costs_seconds(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        found = search(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", "toy", "another")
    assert not found["answer"]["ok"]
    assert found["seconds"] < 4
    assert found["toy"]["origin"] == found["another"]["origin"] == "synthetic"


def test_a_name_that_does_not_resolve_in_time_costs_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(hub_module, "ask", lambda endpoint: release.wait(30))
    monkeypatch.setattr(hub_module, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert hub_module.hub_answers.__wrapped__() == Answer(False, "the Hub gave no answer within 0.1 s")
    release.set()


def test_an_offline_setting_is_honoured(hub: HubServer, tmp_path: Path) -> None:
    found = search(tmp_path, hub.address, "toy", HF_HUB_OFFLINE="1")
    assert found["answer"] == {"ok": False, "reason": "the Hub is not asked, HF_HUB_OFFLINE is set"}
    assert hub.asked == []


# --- the mirror and the order


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    write_model(tmp_path / "mirror" / "models" / "owner" / "toy", TOY_FILES)
    return tmp_path / "mirror"


def test_the_mirror_comes_first(mirror: Path) -> None:
    found = find_weights(TOY, mirror)
    assert (found.folder, found.origin, found.reason) == (mirror / "models/owner/toy", "mirror", "from the mirror")
    assert describe_weights(TOY, mirror) == "the mirror"


def test_a_persons_own_folder_is_used_and_nothing_else(mirror: Path) -> None:
    folder = mirror / "models" / TOY.hub_id
    own = replace(TOY, name="mine", hub_id="", folder=str(folder))
    found = find_weights(own, None)
    assert (found.folder, found.origin, found.reason) == (folder, "folder", f"from your folder {folder}")
    in_mirror = find_weights(TOY, mirror)
    assert (found.identity, found.files) == (in_mirror.identity, in_mirror.files)
    assert describe_weights(own, mirror) == f"your folder {folder}"
    assert folder_at_hand(own, None) == folder
    assert find_weights(own, None, synthetic=True).origin == "synthetic"
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        SourceError, match="pickles are refused because reading one runs code; mend it, or name another folder"
    ):
        find_weights(own, None)


def test_a_folder_at_hand_is_found_without_the_hub(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> Path:
        raise AssertionError("the Hub was asked")

    monkeypatch.setitem(weights.SOURCES, "hub", asked)
    assert folder_at_hand(TOY, mirror) == mirror / "models/owner/toy"
    assert folder_at_hand(TOY, None) is None
    assert folder_at_hand(MODELS["tiny_llama"], mirror) is None


def test_the_identity_follows_the_weights(mirror: Path) -> None:
    file = mirror / "models" / "owner" / "toy" / "model.safetensors"
    before = find_weights(TOY, mirror).identity
    assert find_weights(TOY, mirror).identity == before
    file.write_bytes(SAFETENSORS[:-1] + b"x")
    assert find_weights(TOY, mirror).identity != before
    file.write_bytes(SAFETENSORS)
    assert find_weights(TOY, mirror).identity == before


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("config.json", True),
        ("tokenizer.json", True),
        ("tokenizer_config.json", True),
        ("generation_config.json", True),
        ("merges.txt", True),
        ("tokenizer.model", True),
        ("chat_template.jinja", True),
        ("additional_chat_templates/tools.jinja", True),
        ("README.md", False),
        ("pytorch_model.bin", False),
        ("onnx/model.safetensors", False),
        ("manifest.json", False),
    ],
)
def test_every_file_that_is_loaded_is_in_the_identity_of_files(mirror: Path, name: str, counts: bool) -> None:
    before = find_weights(TOY, mirror)
    file = mirror / "models" / "owner" / "toy" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes((file.read_bytes() if file.exists() else b"{}") + b" ")
    after = find_weights(TOY, mirror)
    assert (after.files != before.files) is counts
    assert after.identity == before.identity, "of the safetensors alone, as thresholds of older records have it"


def test_the_identity_of_files_follows_the_weights_too(mirror: Path) -> None:
    before = find_weights(TOY, mirror)
    (mirror / "models" / "owner" / "toy" / "model.safetensors").write_bytes(SAFETENSORS[:-1] + b"x")
    after = find_weights(TOY, mirror)
    assert after.files != before.files
    assert after.identities() == {"origin": "mirror", "identity": after.identity, "files": after.files}


def test_random_weights_say_whether_they_were_asked_for(mirror: Path) -> None:
    assert find_weights(TOY, mirror, synthetic=True).identities() == {
        "origin": "synthetic", "identity": "synthetic", "asked_for": True,
    }  # fmt: skip
    assert find_weights(MODELS["tiny_bert"], None).identities() == {"origin": "synthetic", "identity": "synthetic"}


@pytest.mark.parametrize("name", [entry.name for entry in MODELS if not entry.tiny])
def test_every_model_of_the_hub_is_pinned_to_a_commit(name: str) -> None:
    assert MODELS[name].is_pinned
    assert not replace(MODELS[name], revision="main").is_pinned


def test_a_model_in_a_package_does_not_depend_on_caches_or_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thresholds were measured with the package's weights; a mirror is a person's own word and comes first."""
    asked = []

    def refuse(origin: str) -> Callable[[ModelEntry, Path | None], Path]:
        def look(entry: ModelEntry, mirror: Path | None) -> Path:
            asked.append(origin)
            raise SourceError("not here")

        return look

    monkeypatch.setattr(weights, "SOURCES", {origin: refuse(origin) for origin in weights.SOURCES})
    find_weights(MODELS["smollm2_135m"], None)
    assert asked == ["mirror", "package", "cache", "hub"]


def test_the_identity_needs_no_cache(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = find_weights(TOY, mirror).identity
    monkeypatch.setenv("LORABENCH_CACHE", str(mirror / "models/owner/toy/config.json/below-a-file"))
    assert find_weights(TOY, mirror).identity == before


def test_a_folder_of_another_shape_is_used_and_says_so(mirror: Path) -> None:
    entry = replace(TOY, config=TOY.config | {"hidden_size": 768})
    assert find_weights(entry, mirror).reason == "from the mirror, whose hidden_size is 4 where the entry says 768"


OTHER = ", whose layers, parameters or window of attention are not the entry's"


@pytest.mark.parametrize(("model", "change", "remark"), [
    ("mistral_7b", {}, ""),
    ("mistral_7b", {"head_dim": None}, ""),
    ("mistral_7b", {"head_dim": 128}, ""),
    ("mistral_7b", {"head_dim": 64}, OTHER),
    ("mistral_7b", {"sliding_window": 4096}, OTHER),
    ("mistral_7b", {"sliding_window": "32"}, ", but the config of mistral_7b has sliding_window = '32'; it must be a whole"
                                             " number of at least 1"),
    ("mistral_7b", {"model_type": "llama"}, ", but the config of mistral_7b has model_type = 'llama'; that is not of the "
                                            "family mistral"),
    ("llama31_8b", {"attention_bias": True}, OTHER),
    ("llama31_8b", {"tie_word_embeddings": True}, OTHER),
    ("llama31_8b", {"hidden_act": "gelu"}, ", but the config of llama31_8b has hidden_act = 'gelu'; llama's formulas here "
                                           "are for silu"),
    ("qwen3_8b", {"head_dim": 64}, ", whose head_dim is 64 where the entry says 128"),
    ("qwen25_7b", {"sliding_window": 131072, "max_window_layers": 28}, ""),
])  # fmt: skip
def test_what_an_entry_may_vary_is_compared(tmp_path: Path, model: str, change: dict, remark: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**MODELS[model].config, **change}), encoding="utf-8")
    assert odd_shape(tmp_path, MODELS[model]) == remark


INDEX = json.dumps({"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}).encode()
SHARDED = {
    **{name: data for name, data in TOY_FILES.items() if name != "model.safetensors"},
    "model.safetensors.index.json": INDEX,
    "model-1-of-2.safetensors": SAFETENSORS,
    "model-2-of-2.safetensors": SAFETENSORS,
}


def without(files: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {key: data for key, data in files.items() if key != name}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"config.json": b"{}", "pytorch_model.bin": b"x"}, "has pytorch_model.bin but no safetensors, and pickles"),
        ({"config.json": b"{}"}, "has no model.safetensors"),
        (TOY_FILES | {"model.safetensors": SAFETENSORS[:-3]}, "a model.safetensors that has "),
        (TOY_FILES | {"model.safetensors": b""}, "a model.safetensors that is cut or no safetensors"),
        (TOY_FILES | {"model.safetensors": b"\x02" + bytes(7) + b"[]"}, "that has no safetensors header"),
        (TOY_FILES | {"config.json": b"{"}, "has no config.json that names a model_type"),
        (
            TOY_FILES | {"adapter_config.json": b"{}"},
            "toy has an adapter_config.json, so that an adapter would be loaded",
        ),
        (without(TOY_FILES, "tokenizer.json"), "has no tokenizer (tokenizer.json"),
        (without(SHARDED, "model-2-of-2.safetensors"), "has a model-2-of-2.safetensors that is missing"),
    ],
    ids=["pickle", "nothing", "cut", "empty", "no-header", "config", "adapter", "tokenizer", "shard"],
)
def test_a_mirror_folder_that_cannot_be_used_is_an_error(
    tmp_path: Path, files: dict[str, bytes], sentence: str
) -> None:
    """Another source in its place would not be noticed; of a session it is one sentence, beside the other models'."""
    write_model(tmp_path / "models" / "owner" / "toy", files)
    with pytest.raises(SourceError, match="^the mirror's models/owner/toy has .*; mend or remove it") as raised:
        find_weights(TOY, tmp_path)
    assert sentence in str(raised.value)
    assert find_weights(TOY, tmp_path, synthetic=True).origin == "synthetic"


def test_a_session_says_which_weights_cannot_be_used(tmp_path: Path) -> None:
    write_model(tmp_path / "models" / MODELS["minilm_l6"].hub_id, TOY_FILES | {"adapter_config.json": b"{}"})
    found = look_up(NeededSources(("minilm_l6", "tiny_bert"), tmp_path))
    assert found["weights"]["minilm_l6"]["identity"] == ""
    assert "has an adapter_config.json" in found["weights"]["minilm_l6"]["reason"]
    assert found["weights"]["tiny_bert"]["origin"] == "synthetic"


def test_shards_are_one_model(tmp_path: Path) -> None:
    write_model(tmp_path / "models" / "owner" / "toy", SHARDED)
    assert complaint(tmp_path / "models" / "owner" / "toy") == ""
    assert find_weights(TOY, tmp_path).origin == "mirror"


def test_one_set_of_weights_is_fetched() -> None:
    assert "consolidated.safetensors" not in wanted_files([*SHARDED, "consolidated.safetensors"])
    assert "model-1-of-2.safetensors" in wanted_files([*SHARDED])
    assert "model-1-of-2.safetensors" not in wanted_files([*SHARDED, "model.safetensors"])


def test_every_source_passed_over_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(entry: ModelEntry, mirror: Path | None) -> Path:
        raise SourceError("not today")

    monkeypatch.setattr(weights, "SOURCES", dict.fromkeys(["mirror", "cache", "hub", "package"], refuse))
    found = find_weights(MODELS["minilm_l6"], None)
    assert (found.folder, found.identity) == (None, "synthetic")
    assert found.reason == "random weights; not today; not today; not today; not today"


def test_random_weights_where_asked_for(mirror: Path) -> None:
    assert find_weights(TOY, mirror, synthetic=True).reason == "random weights, as asked for"


@pytest.mark.parametrize("name", [entry.name for entry in MODELS if entry.tiny])
def test_tiny_models_are_always_random(name: str) -> None:
    found = find_weights(MODELS[name], None)
    assert (found.origin, found.folder) == ("synthetic", None)
    assert name in found.reason


# --- fetch


def test_fetch_takes_the_embedded_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SOURCES", {})
    assert [name for name, _ in fetch([], None)] == ["minilm_l6", "smollm2_135m"]
    assert [name for name, _ in fetch(["tiny_bert"], None)] == ["tiny_bert"]


def test_fetch_names_what_is_near_before_it_fetches() -> None:
    with pytest.raises(UnknownName, match=r"did you mean .*minilm_l6"):
        fetch(["minilm"], None)


def test_asking_where_weights_are_imports_nothing_heavy() -> None:
    code = (
        "import sys, bench.sources as s; from bench.models import MODELS; "
        "[s.describe_weights(entry, None) for entry in MODELS]; "
        "print([name for name in ('torch', 'transformers', 'datasets', 'pyarrow') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
