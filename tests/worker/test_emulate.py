"""`--emulate`: a card stands in for a smaller one, and what was run so is never taken for the real card's.

No CUDA device is needed: what would be told to torch's allocator is caught.
"""

import json
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from run_files import append_record

from bench.core.case import Case
from bench.core.work import RUN_CASE, CaseWork
from bench.executor import Outcome, pool
from bench.machine import devices
from bench.machine.cards import CARDS, GIB, CardKind, read_card, recipe_on
from bench.machine.devices import Card
from bench.plan.options import Options
from bench.plan.selection import Selection
from bench.plugin import benchmarks, hooks, options, session
from bench.plugin.options import emulated_card
from bench.plugin.progress import Progress
from bench.plugin.session import Run
from bench.recipes.of_case import recipe_for
from bench.records import run_folder
from bench.records.record import FAILED, Record
from bench.records.run_folder import machine_name
from bench.worker.emulate import CannotRun, emulate

BIG = Card("NVIDIA H100 80GB HBM3", 80 * GIB, 79 * GIB, "580")
SMALL = Card("Tesla T4", round(14.748 * GIB), 14 * GIB, "580")
ON_CARD = Case("support", "tiny_llama", "lora", "cuda")
ON_PROCESSOR = replace(ON_CARD, device="cpu")


@pytest.fixture
def there(monkeypatch):
    """Let the machine have these cards."""

    def have(*found):
        monkeypatch.setattr(options, "cards", lambda: found)

    return have


@pytest.fixture
def told(monkeypatch):
    """What torch is told, on a card of 80 GiB; its switches are put back."""
    asked = SimpleNamespace(fraction=None, flash=True, cudnn=True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (79 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: BIG.name)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, device: setattr(asked, "fraction", share)
    )
    monkeypatch.setattr(torch.backends.cuda, "enable_flash_sdp", lambda on: setattr(asked, "flash", on))
    monkeypatch.setattr(torch.backends.cuda, "enable_cudnn_sdp", lambda on: setattr(asked, "cudnn", on))
    return asked


def settled(card, **more):
    """Options of a session that emulates the card."""
    return Options(selection=Selection(), entries=(), mirror=None, data="sample", engine="bench", synthetic=False,
                   probes=(), lm_eval=(), resume=None, replay=None, case_timeout=0.0, workers=1, emulate=card, **more)  # fmt: skip


def run_of(card):
    return Run(settled(card), Progress())


def work_of(run, case):
    return CaseWork.from_plain(run.plan.job(case, RUN_CASE, case.id, {}).payload)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_context_is_taken_off(card):
    assert 0 < card.usable_bytes == card.total_bytes - card.context_bytes
    assert card.total_bytes == round(card.total_gib * GIB)


def test_own_card_has_its_size_and_can_do_all():
    assert read_card("laptop=7.5") == CardKind("laptop", "a card of 7.5 GiB", 7.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("t5", "no card named 't5'; did you mean t4"),
        ("rtx3091", "no card named 'rtx3091'; did you mean rtx3090"),
        ("laptop=six", "'laptop=six' is not a card; expected NAME=GiB, for example laptop=6 or laptop_card=7.5"),
        ("laptop=8GB", "expected NAME=GiB"),
        ("laptop=-8", "expected NAME=GiB"),
        ("Lap Top=8", "expected NAME=GiB"),
        ("=8", "expected NAME=GiB"),
        ("laptop=0.1", "a CUDA context alone takes 0.74 GiB"),
        ("t4=8", "t4 is a card of 14.748 GiB; give one of another size another name"),
    ],
)
def test_bad_card_is_one_sentence(there, text, says):
    there()
    with pytest.raises(pytest.UsageError) as raised:
        emulated_card(text)
    assert str(raised.value).startswith("--emulate: ")
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_card_larger_than_the_real_one_is_refused(there):
    there(SMALL)
    with pytest.raises(pytest.UsageError, match=r"a100_40gb has 39.39 GiB and this machine's Tesla T4 14.75; a card"):
        emulated_card("a100_40gb")


def test_card_as_large_as_the_real_one_is_taken(there):
    there(SMALL)
    assert emulated_card("t4") is CARDS["t4"]


def test_no_card_is_emulated_unless_asked():
    assert emulated_card("") is None


def test_process_is_capped_at_what_the_card_leaves(told):
    said = emulate(CARDS["rtx3090"], "cuda:0")
    assert told.fraction == pytest.approx(CARDS["rtx3090"].usable_bytes / (80 * GIB))
    assert (told.flash, told.cudnn) == (True, True)
    assert said == "emulates rtx3090: at most 22.95 GiB of 80.00 for tensors"


def test_t4_computes_in_float16_without_flash_attention(told):
    said = emulate(CARDS["t4"], "cuda:0")
    assert (told.flash, told.cudnn) == (False, False)
    assert said.endswith("no flash attention, float16 for bfloat16")


def test_worker_refuses_a_larger_card_too(told):
    with pytest.raises(CannotRun, match=r"huge has 100.00 GiB and NVIDIA H100 80GB HBM3 80.00"):
        emulate(read_card("huge=100"), "cuda:0")
    assert told.fraction is None


@pytest.mark.parametrize("method", ["lora", "qlora", "qlora_lean"])
def test_recipe_of_a_t4_has_no_bfloat16(method):
    recipe = recipe_for(replace(ON_CARD, method=method))
    assert recipe.precision == "bfloat16"
    on_t4 = recipe_on(recipe, CARDS["t4"])
    assert (on_t4.precision, on_t4.adapter_precision) == ("float16", "float32")
    assert replace(on_t4, precision="bfloat16", adapter_precision=recipe.adapter_precision) == recipe
    assert on_t4.digest() != recipe.digest()


def test_recipe_of_a_card_that_can_is_as_it_was():
    recipe = recipe_for(ON_CARD)
    assert recipe_on(recipe, CARDS["a100_40gb"]) == recipe


def test_float32_stays_on_a_t4():
    assert recipe_on(recipe_for(ON_CARD, precision="float32"), CARDS["t4"]).precision == "float32"


def test_cases_on_the_processor_are_not_touched():
    plain, emulating = run_of(None), run_of(CARDS["t4"])
    assert emulating.plan.recipe(ON_PROCESSOR) == plain.plan.recipe(ON_PROCESSOR)
    assert emulating.plan.recipe(ON_CARD) != plain.plan.recipe(ON_CARD)
    assert work_of(emulating, ON_PROCESSOR).emulate == ""


@pytest.mark.parametrize("card", [*CARDS, read_card("laptop=7.5")], ids=lambda card: card.name)
def test_a_worker_emulates_the_card_of_the_command_line(card):
    assert read_card(work_of(run_of(card), ON_CARD).emulate) == card


@pytest.mark.parametrize(("failed", "name"), [(ON_CARD, "t4"), (ON_PROCESSOR, None)])
def test_a_record_that_failed_carries_the_cards_name_too(failed, name):
    record, _ = run_of(CARDS["t4"])._record(failed, Outcome(failed.id, FAILED, "as when memory runs out"))
    assert record.environment.get("emulation") == name


def test_runs_folder_carries_the_cards_name():
    assert machine_name("t4") == f"{machine_name()}_as_t4"


@pytest.mark.parametrize(
    ("cases", "card", "emulation"),
    [
        ([ON_PROCESSOR, ON_CARD], "t4", "t4"),
        ([ON_PROCESSOR, ON_CARD], None, ""),
        ([ON_PROCESSOR], "t4", None),
        ([ON_PROCESSOR], None, None),
    ],
)
def test_run_is_of_a_card_where_a_case_is_on_one(monkeypatch, tmp_path, cases, card, emulation):
    monkeypatch.setattr(session, "Executor", MagicMock())
    monkeypatch.setattr(run_folder, "RUNS", tmp_path)
    run = run_of(card and CARDS[card])
    run.submit(cases)
    about = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    info = {}
    benchmarks.pytest_benchmark_update_machine_info(SimpleNamespace(stash={hooks.RUN: run}), info)
    assert about.get("emulation") == emulation
    assert info["emulation"] == (emulation or "")
    assert ("_as_t4-" in run.folder.name) is (emulation == "t4")


@pytest.mark.parametrize("card", [None, "t4"])
def test_run_of_the_processor_alone_goes_on_with_any_card(stored, card):
    folder = stored("", device="cpu")
    (folder / "run.json").write_text("{}", encoding="utf-8")
    assert Run(replace(settled(card and CARDS[card]), resume=folder), Progress()).folder == folder


@pytest.fixture
def stored(tmp_path):
    """A run's folder with one record of a GPU case, and a run.json of the same card."""

    def write(name, device="cuda", about=True):
        environment = {"emulation": name} if name and device == "cuda" else {}
        append_record(tmp_path / "records.jsonl",
                      Record(replace(ON_CARD, device=device).id, FAILED, environment=environment))  # fmt: skip
        if about:
            (tmp_path / "run.json").write_text(json.dumps({"emulation": name}), encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize("option", ["resume", "replay"])
@pytest.mark.parametrize(
    ("was", "asked", "says"),
    [
        ("t4", "rtx3090", "was run as on t4, not as on rtx3090; give --emulate t4, or begin a run of its own"),
        ("", "t4", "was run on the card itself, not as on t4; leave --emulate out, or begin a run of its own"),
    ],
)
@pytest.mark.parametrize("about", [True, False])
def test_runs_of_different_cards_are_not_mixed(stored, option, was, asked, says, about):
    folder = stored(was, about=about)
    with pytest.raises(pytest.UsageError) as raised:
        Run(replace(settled(CARDS[asked]), **{option: folder}), Progress())
    assert str(raised.value) == f"{folder.name} {says}"


def test_emulated_run_is_not_resumed_on_the_real_card(stored):
    with pytest.raises(pytest.UsageError, match="was run as on t4, not on the card itself; give --emulate t4"):
        Run(replace(settled(None), resume=stored("t4")), Progress())


@pytest.mark.parametrize("text", ['{"emulation": "t', "[]", ""])
def test_a_damaged_run_json_is_told(stored, text):
    folder = stored("")
    (folder / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(pytest.UsageError, match=r"run\.json is damaged and does not say of what card the run is"):
        Run(replace(settled(None), resume=folder), Progress())


@pytest.mark.parametrize(("was", "card"), [("t4", CARDS["t4"]), ("", None)])
@pytest.mark.parametrize("option", ["resume", "replay"])
def test_run_of_the_same_card_goes_on(stored, option, was, card):
    assert Run(replace(settled(card), **{option: stored(was)}), Progress()).folder


def test_emulated_run_is_judged_again_without_naming_its_card(stored):
    assert ON_CARD.id in Run(replace(settled(None), replay=stored("t4")), Progress()).records


def test_case_that_the_emulated_card_cannot_hold_is_skipped(monkeypatch):
    monkeypatch.setattr(pool, "cards", lambda: (BIG,))
    large = Case("alpaca_worst", "llama31_8b", "lora", "cuda")
    assert run_of(None).cannot_run(large) == ""
    assert run_of(CARDS["t4"]).cannot_run(large).endswith("; t4 (emulated) has 15.8 GB free")


def test_case_that_is_predicted_not_to_fit_can_be_attempted(monkeypatch):
    monkeypatch.setattr(devices, "cards", lambda: (BIG,))
    run = Run(replace(settled(CARDS["t4"]), attempt=True), Progress())
    assert run.cannot_run(Case("alpaca_worst", "llama31_70b", "qlora", "cuda")) == ""


def test_machine_without_a_card_skips_as_ever(monkeypatch):
    monkeypatch.setattr(pool, "cards", lambda: ())
    run = run_of(CARDS["t4"])
    assert run.cannot_run(ON_CARD).startswith("needs a CUDA device; this machine has none")
    assert run.cannot_run(ON_PROCESSOR) == ""
    assert hooks.parameter(run, ON_CARD).marks
