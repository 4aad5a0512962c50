"""`python -m bench predict`: what a person sees, and one sentence for what cannot be asked."""

import json
import re

import pytest

from bench.__main__ import main
from bench.cards import CARDS
from bench.methods import METHODS
from bench.predict import ways
from bench.predict.budget import read_budget
from bench.predict.closed_form import closed_form
from bench.predict.fit import fit
from bench.predict.question import ask
from bench.predict.report import Prediction, as_text
from bench.predict.search import DoesNotFit, largest, largest_that_fits
from bench.predict.terms import Peaks
from bench.registry import unknown

QUICK = ("predict", "--model", "llama31_8b", "--method", "qlora", "--quick")
GIB = 2**30


def told(capsys, *words):
    """(exit code, what was printed, what was said of a mistake)."""
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def no_trace(monkeypatch):
    """The closed form in the trace's place: what the command does with it is the same, and takes no time."""
    monkeypatch.setattr(ways, "trace_of", lambda question: Peaks(closed_form(question).phases))


def test_quick_answer_has_terms_phases_and_cards(capsys):
    code, out, _ = told(capsys, *QUICK, "--batch", "2", "--length", "2048")
    assert code == 0
    for said in ("batch 2 × 2048 tokens, rank 16", "weights, quantised codes", "logits and loss", "GiB by phase"):
        assert said in out
    assert [line.split()[0] for line in out.splitlines() if " GiB  " in line] == CARDS.names()
    assert "  rtx4060_8gb       7.8     6.8 GiB  lacks " in out
    assert "  h200            139.7   134.7 GiB  fits, " in out


@pytest.mark.usefixtures("no_trace")
def test_both_ways_stand_side_by_side(capsys):
    _, out, _ = told(capsys, *QUICK[:-1])
    assert "closed form         trace" in out


@pytest.mark.usefixtures("no_trace")
def test_json_has_all_of_it(capsys):
    _, out, _ = told(capsys, *QUICK[:-1], "--rank", "32", "--json")
    found = json.loads(out)
    assert (found["model"], found["rank"], found["length"]) == ("llama31_8b", 32, 2048)
    assert found["closed_form"] == found["trace"]
    assert found["peak_bytes"] == max(sum(phase.values()) for phase in found["trace"].values())
    assert found["fits"].keys() == set(CARDS.names())


def test_a_method_without_closed_form_says_so_beside_its_trace():
    asked = ask("tiny_llama", "dora", max_length=64)
    lines = as_text(Prediction(asked, None, Peaks({"forward": {"what trains": 1}}), ["dora has no closed form: so"]))
    assert "note: dora has no closed form: so" in lines


@pytest.mark.parametrize("what", ["length", "batch"])
def test_largest_is_the_last_that_fits(capsys, what):
    other = {"length": ("--batch", "1"), "batch": ("--length", "1024")}[what]
    code, out, _ = told(capsys, *QUICK, *other, "--largest", what, "--budget", "16GB", "--json")
    found, card = json.loads(out), read_budget("16GB")
    assert code == 0
    asked = ask("llama31_8b", "qlora", batch_size=found["batch"], max_length=found["length"])
    next_up = {"length": asked.at(max_length=found["length"] + 8), "batch": asked.at(batch_size=found["batch"] + 1)}
    assert fit(closed_form(asked), card).fits
    assert not fit(closed_form(next_up[what]), card).fits


@pytest.mark.parametrize("method", ["lora", "dora"])  # with a closed form to begin at, and without
def test_largest_by_traces_is_judged_as_the_table_of_cards(capsys, method):
    shape = ("--model", "tiny_llama", "--method", method, "--batch", "64")
    code, out, err = told(capsys, "predict", *shape, "--largest", "length", "--budget", "150MB")
    length = int(re.search("largest length that fits 150MB: ([0-9]+)\n", out)[1])
    assert code == 0
    assert f"tiny_llama × {method}: batch 64 × {length} tokens" in out
    assert f"tracing a length of {length}\n" in err
    asked, card = ask("tiny_llama", method, batch_size=64, max_length=length), read_budget("150MB")
    assert fit(ways.trace_of(asked), card).fits
    assert not fit(ways.trace_of(asked.at(max_length=length + 8)), card).fits


def test_search_needs_few_tries():
    tries = []

    def need(size):
        tries.append(size)
        return 5000 + 3 * size

    assert largest(need, 5000 + 3 * 12_345, 131_072, first=2000) == 12_345
    assert len(tries) <= 5


@pytest.mark.parametrize(("budget", "found"), [(2, 0), (3, 1), (14, 4), (1000, 9)])
@pytest.mark.parametrize("first", [1, 4, 9])
def test_search_ends_at_its_ends(budget, found, first):
    assert largest(lambda size: 3 * size, budget, 9, first) == found


@pytest.mark.parametrize("stair", [1, 50, 1000])
def test_search_gets_along_with_stairs(stair):
    assert largest(lambda size: size // stair * stair, 4999, 131_072, first=70) == (4999 // stair + 1) * stair - 1


def test_what_never_fits_is_an_error_with_the_figure():
    with pytest.raises(
        DoesNotFit,
        match=r"llama31_70b × qlora does not fit 8GB: a batch of 1 needs 4[0-9.]+ GB of the 8.00 GB that are usable",
    ):
        largest_that_fits(ask("llama31_70b", "qlora"), "batch", read_budget("8GB"))


@pytest.mark.parametrize(("text", "amount"), [("8GB", 8e9), ("7.5 GiB", 7.5 * GIB), ("500mb", 5e8)])
def test_budget_has_a_unit(text, amount):
    assert read_budget(text).usable_bytes == read_budget(text).total_bytes == amount


def test_a_card_is_a_budget_without_what_is_cudas_own():
    assert read_budget("t4") is CARDS["t4"]
    assert CARDS["t4"].cannot("bfloat16").startswith("no bfloat16")
    assert CARDS["a100_40gb"].cannot("bfloat16") == ""


@pytest.mark.parametrize(("words", "sentence"), [
    (("--batch", "0"), "batch 0 must be at least 1"),
    (("--length", "-8"), "length -8 must be at least 1"),
    (("--rank", "0"), "rank 0 must be at least 1"),
    (("--length", "200000"), "length 200000 is more than the 131072 positions of llama31_8b"),
    (("--largest", "length", "--budget", "8"), "budget '8' needs a unit: 8GB is 10^9 bytes each, 8GiB 2^30"),
    (("--largest", "length", "--budget", "0GB"), "budget '0GB' must be more than nothing"),
    (("--largest", "length", "--budget", "rtx309"), "no card named 'rtx309'; did you mean rtx3090, rtx3060_12gb?"),
    (("--largest", "length"), "--largest needs --budget, as --budget 8GB or --budget rtx3090"),
    (("--budget", "8GB"), "--budget is for --largest length or --largest batch"),
    (("--largest", "batch", "--budget", "8GB", "--batch", "2"),
     "--largest batch searches the batch; ask without --batch"),
    (("--steps", "2"), "--steps does not go with --model, but with --case"),
    (("--data", "full"), "--data does not go with --model, but with --case"),
    (("--published",), "--model does not go with --published"),
    (("--baseline",), "--model does not go with --baseline"),
    (("--method", "qlorra"), str(unknown("method", "qlorra", METHODS.names()))),
    (("--model", "llama31_9b"), "no model named 'llama31_9b'; did you mean llama31_8b, llama31_70b, llama2_7b?"),
    (("--method", "dora"), "dora has no closed form: DoRA's norms take a dequantised or multiplied copy of each weight; "
                           "the trace has its figure"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(capsys, words, sentence):
    code, out, err = told(capsys, *QUICK, *words)
    assert (code, out, err) == (2, "", f"bench: {sentence}\n")


@pytest.mark.parametrize(("words", "sentence"), [
    (("--published", "--steps", "3"), "--steps does not go with --published, but with --case"),
    (("--measured", "--json"), "--json does not go with --measured, but with --case or --model"),
    (("--measured", "--baseline"), "--measured does not go with --baseline"),
])  # fmt: skip
def test_what_does_not_go_together_is_one_sentence(capsys, words, sentence):
    assert told(capsys, "predict", *words) == (2, "", f"bench: {sentence}\n")


def test_nothing_asked_is_one_sentence(capsys):
    assert told(capsys, "predict") == (
        2, "", "bench: predict needs --model and --method, or --case, --published, --measured or --baseline\n",
    )  # fmt: skip
