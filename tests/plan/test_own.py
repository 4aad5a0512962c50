"""A person's own file: its models, tasks, methods and recipes are registered, and a mistake is one sentence."""

import json
from dataclasses import asdict

import pytest

from bench.core.case import Case
from bench.core.files import BadFile
from bench.core.registry import register_entry
from bench.methods import METHODS
from bench.models import MODELS
from bench.plan import own
from bench.plan.own import add_own
from bench.recipes import files
from bench.recipes.of_case import recipe_for
from bench.tasks import TASKS

CONFIG = {
    "model_type": "llama", "vocab_size": 264, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 128, "max_position_embeddings": 512, "torch_dtype": "float32",
}  # fmt: skip
METHOD = """
from dataclasses import replace
from bench.methods import METHODS
METHODS.put("own_lora", replace(METHODS["lora"], name="own_lora"))
"""
REGISTRIES = (TASKS, MODELS, METHODS)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a model and data; what is registered meanwhile is taken out again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own, "ADDED", {})
    monkeypatch.setattr(files, "OWN", {})
    monkeypatch.setattr("bench.recipes.of_case.OWN", files.OWN)
    before = [set(registry.names()) for registry in REGISTRIES]
    (tmp_path / "My-Model").mkdir()
    (tmp_path / "My-Model" / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (tmp_path / "tickets.jsonl").write_text('{"question": "Why?", "answer": "So."}\n', encoding="utf-8")
    yield tmp_path
    for registry, names in zip(REGISTRIES, before, strict=True):
        for name in set(registry.names()) - names:
            registry.remove(name)


def write(folder, text, name=own.FILE):
    (folder / name).write_text(text, encoding="utf-8")


TASK = '[tasks.tickets]\ndata = "tickets.jsonl"\ninstruction = "question"\nresponse = "answer"\n'


def test_the_file_of_the_current_folder_is_read(here):
    write(here, f'entries = ["own_of_plan.py"]\n[models.mine]\nfolder = "My-Model"\n{TASK}')
    write(here, METHOD, "own_of_plan.py")
    added = add_own(())
    assert MODELS["mine"].config["num_key_value_heads"] == 4
    assert MODELS["mine"].folder == str(here / "My-Model")
    assert not MODELS["mine"].tiny
    assert TASKS["tickets"].suits(MODELS["mine"])
    assert "own_lora" in METHODS
    assert [str(file) for file in added.files] == [own.FILE]
    assert added.entries[0] == f"bench.core.registry:import_file {here / 'own_of_plan.py'}"


def test_without_a_file_nothing_is_added(here):
    assert add_own(()) == own.Own()


def test_a_worker_registers_the_same_from_text_in_another_folder(here, tmp_path_factory, monkeypatch):
    write(here, f'[models.mine]\nfolder = "My-Model"\n{TASK}')
    added = add_own(())
    seen = [asdict(TASKS["tickets"].data), asdict(MODELS["mine"])]
    for registry, name in ((TASKS, "tickets"), (MODELS, "mine")):
        registry.remove(name)
    own.ADDED.clear()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    for entry in added.entries:
        register_entry(entry)
    assert [asdict(TASKS["tickets"].data), asdict(MODELS["mine"])] == seen


def test_paths_of_the_command_line_become_names(here):
    added = add_own((), models=("./My-Model", "tiny_llama"), tasks=("tickets.jsonl", "pos"),
                    columns=("instruction=question", "response=answer"))  # fmt: skip
    assert added.replace_paths(("./My-Model", "tiny_llama")) == ("my_model", "tiny_llama")
    assert added.replace_paths(("tickets.jsonl", "pos")) == ("tickets", "pos")
    assert Case("tickets", "my_model", "lora", "cpu").id == "tickets-my_model-lora-cpu-s0"


def test_a_name_that_is_taken_by_the_project_gets_another(here):
    (here / "tickets.jsonl").rename(here / "support.jsonl")
    (here / "My-Model").rename(here / "tiny_llama")
    added = add_own((), models=("./tiny_llama",), tasks=("support.jsonl",),
                    columns=("instruction=question", "response=answer"))  # fmt: skip
    assert added.names == {"./tiny_llama": "my_tiny_llama", "support.jsonl": "my_support"}


def test_a_name_that_is_taken_by_the_file_gets_another_too(here):
    write(here, TASK)
    added = add_own((), tasks=("tickets.jsonl",), columns=("instruction=question", "response=answer"))
    assert added.names == {"tickets.jsonl": "my_tickets"}
    assert {"tickets", "my_tickets"} <= set(TASKS.names())


def test_the_recipe_of_an_own_task(here):
    write(here, f"{TASK}[tasks.tickets.recipe]\nepochs = 2\n[tasks.tickets.recipe.methods.lora]\nlearning_rate = 1\n"
                "[tasks.tickets.recipe.models.tiny_llama]\nbatch_size = 3\n")  # fmt: skip
    add_own(())
    recipe = recipe_for(Case("tickets", "tiny_llama", "lora", "cpu"))
    assert (recipe.epochs, recipe.learning_rate, recipe.batch_size) == (2, 1.0, 3)
    assert recipe_for(Case("tickets", "tiny_gpt2", "dora", "cpu")).learning_rate == 1e-3


def test_the_same_file_twice_is_once(here):
    write(here, TASK)
    add_own((own.FILE,))
    add_own(())
    assert TASKS.names().count("tickets") == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[taks.a]\n", "lorabench.toml: no key 'taks'; did you mean tasks?"),
        ('tasks = "a"\n', "lorabench.toml: tasks = 'a' must be tables, as [tasks.my_name]"),
        ('[tasks]\na = "a.jsonl"\n', "lorabench.toml: tasks.a = 'a.jsonl' must be a table, as [tasks.a]"),
        ('entries = "a"\n', "lorabench.toml: entries = 'a' must be a list of modules, as [\"my_methods.py\"]"),
        ('entries = ["no.py"]\n', "lorabench.toml: entries: no.py: there is no file FOLDER/no.py"),
        ('[models.a]\nfolder = "my-model"\n', "lorabench.toml [models.a]: folder = 'my-model': there is no such folder; did you mean My-Model?"),
        ('[models.a]\nfolde = "My-Model"\n', "lorabench.toml [models.a]: no key 'folde'; did you mean folder?"),
        ("[models.a]\n", "lorabench.toml [models.a]: name a folder or hub, one of them: a folder with config.json, model.safetensors and a tokenizer, or the model's id on the Hub, as owner/name"),
        ('[models.a]\nhub = "name"\n', "lorabench.toml [models.a]: hub = 'name' is no id of the Hub, as owner/name"),
        ('[models.lora-model]\nfolder = "My-Model"\n', "lorabench.toml [models.lora-model]: the name 'lora-model' must be lower-case words joined by '_', for it is part of case ids"),
        ('[models.tiny_llama]\nfolder = "My-Model"\n', "lorabench.toml [models.tiny_llama]: there is a model 'tiny_llama' already; take another name"),
        ('[tasks.a]\ndata = "ticket.jsonl"\n', "lorabench.toml [tasks.a]: data = 'FOLDER/ticket.jsonl': there is no such file; did you mean tickets.jsonl?"),
        (f"{TASK}recipe = 3\n", "lorabench.toml [tasks.tickets]: recipe = 3 must be a table, as [tasks.tickets.recipe]"),
        (f"{TASK}[tasks.tickets.recipe]\nepoch = 3\n", "lorabench.toml [tasks.tickets] recipe: no hyperparameter 'epoch'; did you mean epochs?"),
        ("[tasks.a\n", "lorabench.toml: Expected ']' at the end of a table declaration (at line 1, column 9)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_key_and_what_is_near(text, says, here):
    write(here, text)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the sentence is compared
        add_own(())
    assert str(caught.value).replace(str(here), "FOLDER") == says


def test_a_family_that_is_missing_is_named_with_the_page_that_adds_one(here):
    (here / "My-Model" / "config.json").write_text('{"model_type": "distilbert"}', encoding="utf-8")
    with pytest.raises(BadFile) as caught:
        add_own((), models=("./My-Model",))
    assert "is of model_type 'distilbert'" in str(caught.value)
    assert "docs/adding-a-model.md shows how a module of yours adds one" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"models": ("./my-model",)}, "--models ./my-model: folder = './my-model': there is no such folder; did you mean My-Model?"),
        ({"columns": ("a=b",)}, "--columns names the columns of a file of --tasks; add --tasks FILE"),
        ({"columns": ("question",), "tasks": ("tickets.jsonl",)}, "--columns question: write KEY=COLUMN, as instruction=question,response=answer"),
        ({"tasks": ("tickets.jsonl",)}, "--tasks tickets.jsonl: name the columns by instruction and response, or by words and labels; the data has question, answer"),
        ({"words": ("no.toml",)}, "--entries no.toml: there is no such file"),
        ({"words": ("no_module",)}, "--entries no_module: ModuleNotFoundError: No module named 'no_module'"),
    ],
)  # fmt: skip
def test_a_wrong_word_of_the_command_line(arguments, says, here):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the sentence is compared
        add_own(**{"words": (), **arguments})
    assert str(caught.value) == says


def test_a_model_of_the_hub_is_read_from_the_mirror(here):
    folder = here / "mirror" / "models" / "owner" / "Name-1B"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    added = add_own((), here / "mirror", models=("owner/Name-1B",))
    assert added.names == {"owner/Name-1B": "name_1b"}
    assert (MODELS["name_1b"].hub_id, MODELS["name_1b"].folder) == ("owner/Name-1B", "")


def test_a_model_of_the_hub_whose_config_cannot_be_had(here, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(here))
    monkeypatch.setattr(
        "bench.sources.hub.hub_answers", lambda: type("Away", (), {"ok": False, "reason": "the Hub is away"})
    )
    with pytest.raises(BadFile) as caught:
        add_own((), models=("owner/no-such-model",))
    assert str(caught.value) == (
        "--models owner/no-such-model: the Hugging Face cache has no config.json of owner/no-such-model, and the Hub is away"
    )
