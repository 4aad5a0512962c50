"""What waits for a card: every entry is a selection that exists, mistakes are named, and each can be rehearsed."""

import pytest

from bench.campaign.entries import FILE, PROCESSOR, read_entries, rehearsal
from bench.core.files import BadFile
from bench.models import MODELS

ENTRIES = {entry.name: entry for entry in read_entries()}


def read(tmp_path, text):
    path = tmp_path / "campaign.toml"
    path.write_text(text, encoding="utf-8")
    return read_entries(path)


def test_every_entry_runs_cases_or_tests_that_are_there():
    assert len(ENTRIES) > 20
    for entry in ENTRIES.values():
        assert entry.cases or all((FILE.parents[1] / path).is_file() for path in entry.tests)


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if not entry.tests])
def test_an_entry_is_rehearsed_on_tiny_models_of_the_same_families(name):
    entry, tried = ENTRIES[name], rehearsal(ENTRIES[name])
    assert {MODELS[model].family_name for model in tried.models} == {
        MODELS[model].family_name for model in entry.models
    }
    assert all(MODELS[case.model].tiny and case.device == PROCESSOR for case in tried.cases)
    assert {case.method for case in tried.cases} <= {case.method for case in entry.cases}
    assert all(tried.recipe(case).max_steps == 2 for case in tried.cases)


def test_options_are_those_of_the_suites():
    words = ENTRIES["llama31_70b-as-t4"].options("mirror")
    assert words[words.index("--emulate") + 1] == "t4"
    assert "--attempt" in words
    assert words[words.index("--mirror") + 1] == "mirror"
    assert "--max-steps" not in words
    assert ENTRIES["llama31_70b-as-t4"].recipe(ENTRIES["llama31_70b-as-t4"].cases[0]).precision == "float16"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[a]\ntasks = ["pos"]', "campaign.toml [a]: says must be a few words on what is settled"),
        ('[a]\nsays = "x"\ntask = ["pos"]', "campaign.toml [a]: no key 'task'; did you mean tasks?"),
        ('[a]\nsays = "x"\ntasks = "pos"', "campaign.toml [a]: tasks = 'pos' is of another type than tuple[str, ...]"),
        ('[a]\nsays = "x"\nmodels = ["bert_bas"]', "campaign.toml [a]: no model named 'bert_bas'; did you mean bert_base"),
        ('[a]\nsays = "x"\ntasks = ["pos"]\nmodels = ["gpt2"]', "pos is a task for encoder models, and gpt2 is not one"),
        ('[a]\nsays = "x"\ntasks = ["pos"]\ndata = "all"', "campaign.toml [a]: data = 'all' must be one of sample, full"),
        ('[a]\nsays = "x"\ntasks = ["pos"]\nemulate = "t5"', "campaign.toml [a]: no card named 't5'; did you mean t4"),
        ('[a]\nsays = "x"\ntasks = ["pos"]\nfigure = "accurac"', "campaign.toml [a]: no figure 'accurac'; did you mean"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path, text, says):
    with pytest.raises(BadFile) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
