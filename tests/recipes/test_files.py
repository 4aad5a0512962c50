"""One recipe out of layers, the later over the earlier; every mistake in a file is named by file and key."""

import json
import math
import shutil
from dataclasses import asdict, replace
from hashlib import sha256

import pytest

from bench.core.case import Case, parse_case
from bench.core.files import BadFile
from bench.core.paths import RECIPES, RESULTS
from bench.core.recipe import LATER_FIELDS, Recipe
from bench.methods import METHODS
from bench.models import MODELS
from bench.recipes.files import FIELDS, read_defaults, read_task_file
from bench.recipes.of_case import recipe_for
from bench.records.record import read_records
from bench.tasks import TASKS

CASE = Case("toy", "tiny_bert", "lora", "cpu")
LAYERS = """
[task]
rank = 1
[sample]
rank = 2
[full]
rank = 3
[models.tiny_bert]
rank = 4
[methods.lora]
rank = 5
[sample.methods.lora]
rank = 6
"""
OTHER_VALUES = {
    "data": "full",
    "engine": "trainer",
    "schedule": "cosine",
    "precision": "float16",
    "padding": "max_length",
    "loss": "chunked",
    "optimizer": "paged_adamw_8bit",
    "adapter_precision": "bfloat16",
    int: 77,
    float: 0.77,
}


@pytest.fixture
def folder(tmp_path):
    """Recipes with the project's own defaults and no task's file."""
    shutil.copy(RECIPES / "defaults.toml", tmp_path)
    return tmp_path


@pytest.fixture
def plain(folder):
    return recipe_for(CASE, folder=folder)


def test_without_a_task_file_the_defaults_hold(plain):
    assert (plain.epochs, plain.batch_size, plain.rank, plain.data) == (3, 16, 8, "sample")


def test_size_of_data_is_in_the_recipe(folder):
    assert recipe_for(CASE, "full", folder).data == "full"


@pytest.mark.parametrize("layers", range(1, 7))
def test_later_layer_wins(folder, layers):
    """Of the first so many tables of the file the last one decides; [full] does not speak of the sample."""
    text = "[" + "[".join(LAYERS.split("[")[1 : layers + 1])
    (folder / "toy.toml").write_text(text, encoding="utf-8")
    assert recipe_for(CASE, folder=folder).rank == (1, 2, 2, 4, 5, 6)[layers - 1]


def test_order_of_tables_in_the_file_does_not_matter(folder):
    (folder / "toy.toml").write_text("[" + "[".join(reversed(LAYERS.split("[")[1:])), encoding="utf-8")
    assert recipe_for(CASE, folder=folder).rank == 6


def test_full_data_has_its_own_layer(folder):
    (folder / "toy.toml").write_text("[task]\nrank = 1\n[full]\nrank = 3\n[full.methods.lora]\nalpha = 9\n", "utf-8")
    recipe = recipe_for(CASE, "full", folder)
    assert (recipe.rank, recipe.alpha) == (3, 9.0)


def test_command_line_wins_over_every_file(folder):
    (folder / "toy.toml").write_text(LAYERS, encoding="utf-8")
    assert recipe_for(CASE, folder=folder, rank=7).rank == 7


def test_other_models_and_methods_layers_do_not_matter(folder):
    (folder / "toy.toml").write_text("[models.gpt2]\nrank = 4\n[methods.dora]\nrank = 5\n", encoding="utf-8")
    assert recipe_for(CASE, folder=folder).rank == 8


def test_layers_leave_what_they_do_not_name(folder, plain):
    (folder / "toy.toml").write_text("[task]\nrank = 3\n[methods.lora]\nalpha = 5.0\n", encoding="utf-8")
    assert recipe_for(CASE, folder=folder) == replace(plain, rank=3, alpha=5.0)


def test_whole_number_becomes_a_fraction_where_the_field_is_one(folder):
    (folder / "toy.toml").write_text("[task]\nalpha = 32\n", encoding="utf-8")
    assert repr(recipe_for(CASE, folder=folder).alpha) == "32.0"


@pytest.mark.parametrize("field", [name for name, kind in FIELDS.items() if kind is not bool])
def test_digest_changes_with_any_field(plain, field):
    changed = replace(plain, **{field: OTHER_VALUES.get(field, OTHER_VALUES.get(FIELDS[field]))})
    assert changed.digest() != plain.digest()


@pytest.mark.parametrize("field", [name for name, kind in FIELDS.items() if kind is bool])
def test_digest_changes_with_any_switch(plain, field):
    assert replace(plain, **{field: not getattr(plain, field)}).digest() != plain.digest()


def test_the_start_of_a_warm_up_is_not_in_the_digest_where_there_is_none(plain):
    cold = replace(plain, warmup_fraction=0.0)
    assert replace(cold, warmup_from_zero=True).digest() == replace(cold, warmup_from_zero=False).digest()


def test_later_fields_that_do_as_ever_leave_the_digest(plain):
    """Records and thresholds of recipes that had no such field stand."""
    before = {name: value for name, value in asdict(plain).items() if name not in LATER_FIELDS}
    text = json.dumps(before, sort_keys=True)
    assert replace(plain, **LATER_FIELDS).digest() == sha256(text.encode()).hexdigest()[:12]


@pytest.mark.parametrize("run", ["smoke", "pos-full"])
def test_committed_records_keep_their_digests(run):
    """Read as a recipe of today, what a record of before says has the digest that stands beside it."""
    records, _ = read_records(RESULTS / "runs" / run / "records.jsonl")
    assert records
    assert [case for case, one in records.items() if Recipe(**one.recipe).digest() != one.recipe_digest] == []


@pytest.mark.parametrize(("run", "full"), [("pos-full", True), ("numbers", False), ("medqa-ranks", False)])
def test_committed_runs_are_of_todays_recipes(run, full):
    """They took hours or are what a claim stands on: a change of defaults must not make them another recipe's."""
    records, _ = read_records(RESULTS / "runs" / run / "records.jsonl")
    size = "full" if full else "sample"
    told = {case: one.recipe["precision"] for case, one in records.items()}
    today = {case: recipe_for(parse_case(case), size, precision=told[case]).digest() for case in records}
    assert today == {case: one.recipe_digest for case, one in records.items()}


def test_a_warm_up_begins_at_a_rate_unless_a_recipe_says_otherwise(plain):
    assert not plain.warmup_from_zero
    assert LATER_FIELDS["warmup_from_zero"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("warmup_fraction", 1.0), ("warmup_fraction", 0.0), ("dropout", 0.99), ("dropout", 0.01), ("dropout", 0.0)],
)
def test_ends_of_a_range_are_in_it(folder, field, value):
    assert getattr(recipe_for(CASE, folder=folder, **{field: value}), field) == value


def test_what_a_method_is_made_of_holds_in_every_task(folder):
    text = "[task]\nrank = 3\n[methods.lora]\nalpha = 5.0\n"
    (folder / "toy.toml").write_text(text, encoding="utf-8")
    with (folder / "defaults.toml").open("a", encoding="utf-8") as file:
        file.write('[methods.lora]\nloss = "chunked"\nrank = 2\nalpha = 2.0\n')
    recipe = recipe_for(CASE, folder=folder)
    assert (recipe.loss, recipe.rank, recipe.alpha) == ("chunked", 3, 5.0)
    assert recipe_for(replace(CASE, method="dora"), folder=folder).loss == "logits"


def test_methods_of_the_defaults_exist():
    assert set(read_defaults(RECIPES)[1]) <= set(METHODS.names())


def test_digest_is_the_same_for_the_same_recipe(plain):
    assert replace(plain, rank=8).digest() == plain.digest()
    assert len(plain.digest()) == 12


MISTAKES = {
    "unknown field": ("[task]\nlearning_rat = 1e-3", "[task]: no hyperparameter 'learning_rat'; did you mean learning_r"),
    "unknown field of a method": ("[methods.lora]\nranc = 4", "[methods].lora: no hyperparameter 'ranc'"),
    "unknown field of a sized method": ("[sample.methods.lora]\nranc = 4", "[sample].methods.lora: no hyperparameter 'ranc'"),
    "unknown field of a model": ("[models.gpt2]\nranc = 4", "[models].gpt2: no hyperparameter 'ranc'"),
    "text for a number": ('[task]\nrank = "8"', "[task]: rank = '8' must be int, not str"),
    "fraction for a whole number": ("[task]\nrank = 8.0", "[task]: rank = 8.0 must be int, not float"),
    "switch for a number": ("[task]\nrank = true", "[task]: rank = True must be int, not bool"),
    "number for a switch": ("[task]\npacking = 1", "[task]: packing = 1 must be bool, not int"),
    "wrong choice": ('[task]\nschedule = "cosin"', "schedule = 'cosin' must be one of linear, cosine, constant"),
    "negative rate": ("[task]\nlearning_rate = -1e-3", "learning_rate = -0.001 must not be negative"),
    "negative steps": ("[task]\nmax_steps = -1", "max_steps = -1 must not be negative"),
    "zero batch": ("[sample]\nbatch_size = 0", "[sample]: batch_size = 0 must be at least 1"),
    "not a number": ("[task]\nlearning_rate = nan", "[task]: learning_rate = nan must be a finite number"),
    "more than all of the steps": ("[task]\nwarmup_fraction = 6.0", "[task]: warmup_fraction = 6.0 must be at most 1; write 0.06"),
    "more than all of the values": ("[methods.lora]\ndropout = 1.5", "[methods].lora: dropout = 1.5 must be 0, or at least 0.01 and below 1; write 0.1"),
    "all of the values": ("[task]\ndropout = 1", "[task]: dropout = 1.0 must be 0, or at least 0.01 and below 1"),
    "too small a share to be seen": ("[task]\ndropout = 0.0005", "[task]: dropout = 0.0005 must be 0, or at least 0.01"),
    "negative share": ("[task]\ndropout = -0.1", "[task]: dropout = -0.1 must not be negative"),
    "no rate": ("[task]\nlearning_rate = 0.0", "[task]: learning_rate = 0.0 must be above 0; at 0 nothing is learned"),
    "no scale": ("[task]\nalpha = 0", "[task]: alpha = 0.0 must be above 0; it scales the adapter"),
    "no virtual tokens": ("[task]\nvirtual_tokens = 0", "[task]: virtual_tokens = 0 must be at least 1"),
    "no initial rank": ("[task]\ninitial_rank = 0", "[task]: initial_rank = 0 must be at least 1"),
    "infinite": ("[task]\nlearning_rate = inf", "[task]: learning_rate = inf must be a finite number"),
    "unknown table": ("[tasks]\nrank = 4", "[tasks]: tables are [task], [sample], [full]"),
    "field outside a table": ("rank = 4", "[rank]: tables are [task]"),
    "model that is no table": ("[models]\ngpt2 = 4", "[models].gpt2: expected a table, saw 4"),
    "methods that are no table": ("[sample]\nmethods = 4", "[sample].methods: expected a table, saw 4"),
    "methods where they would not be read": ("[task.methods.lora]\nrank = 4", "[task]: no hyperparameter 'methods'"),
    "mistyped model": ("[models.lama31_8b]\nrank = 4", "[models.lama31_8b]: no model named 'lama31_8b'; did you mean llama31_8b?"),
    "mistyped method": ("[methods.qloraa]\nrank = 4", "[methods.qloraa]: no method named 'qloraa'; did you mean qlora?"),
    "mistyped sized method": ("[full.methods.lroa]\nrank = 4", "[full.methods.lroa]: no method named 'lroa'; did you mean lora"),
    "broken TOML": ("[task\nrank = 4", "line 1"),
    "key given twice": ("[task]\nrank = 4\nrank = 5", "Cannot overwrite a value"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_named_by_file_and_key(folder, text, says):
    path = folder / "toy.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as raised:
        recipe_for(CASE, folder=folder)
    assert str(raised.value).startswith(str(path))
    assert says in str(raised.value)


def test_mistyped_method_of_the_defaults_is_named(folder):
    with (folder / "defaults.toml").open("a", encoding="utf-8") as file:
        file.write("[methods.qlora_laen]\nrank = 2\n")
    with pytest.raises(
        BadFile, match=r"defaults\.toml \[methods\.qlora_laen\]: no method .* did you mean qlora_lean\?"
    ):
        recipe_for(CASE, folder=folder)


def test_names_unlike_any_may_be_a_persons_own(folder, plain):
    (folder / "toy.toml").write_text("[models.my_own]\nrank = 4\n[methods.lora_mine]\nrank = 5\n", encoding="utf-8")
    assert recipe_for(CASE, folder=folder) == plain


def test_names_near_others_that_are_registered_are_theirs(folder):
    METHODS.put("lora2", replace(METHODS["lora"], name="lora2"))
    (folder / "toy.toml").write_text("[methods.lora2]\nrank = 5\n", encoding="utf-8")
    assert recipe_for(replace(CASE, method="lora2"), folder=folder).rank == 5
    METHODS.remove("lora2")
    with pytest.raises(BadFile, match="no method named 'lora2'; did you mean lora"):
        recipe_for(CASE, folder=folder)


def test_file_that_is_not_utf8_is_named(folder):
    (folder / "toy.toml").write_bytes(b"[task]\n# f\xfcr\nrank = 4\n")
    with pytest.raises(BadFile, match=r"toy\.toml: .*utf-8.*0xfc"):
        recipe_for(CASE, folder=folder)


def test_missing_default_is_named(folder):
    kept = [line for line in (folder / "defaults.toml").read_text("utf-8").splitlines() if not line.startswith("rank")]
    (folder / "defaults.toml").write_text("\n".join(kept), encoding="utf-8")
    with pytest.raises(BadFile, match=r"defaults\.toml: missing rank$"):
        recipe_for(CASE, folder=folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("engine", "accelerate"), ("learning_rate", math.nan), ("ranc", 4), ("dropout", 1.5), ("warmup_fraction", 6.0)],
)
def test_mistake_on_the_command_line_is_named(folder, field, value):
    with pytest.raises(BadFile, match=f"^command line: .*{field}"):
        recipe_for(CASE, folder=folder, **{field: value})


@pytest.mark.parametrize("task", [task.name for task in TASKS if not task.variant_of])
def test_project_recipes_name_models_and_methods_that_exist(task):
    tables = read_task_file(RECIPES / f"{task}.toml")
    assert set(tables.get("models", {})) <= set(MODELS.names())
    assert set(tables.get("methods", {})) <= set(METHODS.names())
    assert set(tables.get("sample", {}).get("methods", {})) <= set(METHODS.names())
    assert set(tables.get("full", {}).get("methods", {})) <= set(METHODS.names())


@pytest.mark.parametrize("size", ["sample", "full"])
@pytest.mark.parametrize("task", TASKS.names())
def test_every_case_of_the_project_has_a_recipe(task, size):
    recipes = [recipe_for(Case(task, m, method, "cpu"), size) for m in MODELS.names() for method in METHODS.names()]
    assert {recipe.data for recipe in recipes} == {size}


@pytest.mark.parametrize(
    ("word", "device", "units", "precision"),
    [
        ("native", "cpu", True, "bfloat16"),
        ("native", "cpu", False, "float32"),
        ("portable", "cpu", True, "float32"),
        ("portable", "cpu", False, "float32"),
        ("portable", "cuda", True, "bfloat16"),
        ("float16", "cuda", True, "float16"),
    ],
)
def test_word_for_a_number_format_is_settled_by_the_device(folder, word, device, units, precision):
    (folder / "toy.toml").write_text(f'[task]\nprecision = "{word}"\n', encoding="utf-8")
    assert recipe_for(replace(CASE, device=device), folder=folder, bfloat16=units).precision == precision


def test_samples_recipe_is_the_same_on_every_processor():
    for task in TASKS:
        kinds = {recipe_for(Case(task.name, "tiny_llama", "lora", "cpu"), bfloat16=units) for units in (True, False)}
        assert len(kinds) == 1, task.name
