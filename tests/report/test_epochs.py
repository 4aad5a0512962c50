"""The tables of epochs and of confused tags: means over seeds with their interval, counts summed."""

from dataclasses import replace

import pytest
from run_files import append_record

from bench.__main__ import main
from bench.records.record import Record
from bench.report.epochs import CONFUSIONS, confusions_table, epochs_table, seconds_table

RECORD = Record(
    case="pos-minilm_l6-lora-cpu-s0",
    status="ok",
    recipe={"data": "full", "batch_size": 4, "gradient_accumulation_steps": 2},
    recipe_digest="0123456789ab",
    quality={"f1": 0.9},
    quality_judged=True,
    epochs=[{"epoch": 1, "train_loss": 0.5, "loss": 0.25, "f1": 0.8}, {"epoch": 2, "train_loss": 0.25, "f1": 0.9}],
    noisy={"seconds_per_step": 2.0, "tokens_per_second": 1234.5},
    data={"train_examples": 17},
    environment={"processor": "Some CPU", "cores": 2, "accelerator": None},
    tables={"confusion": {"labels": ["NN", "JJ"], "counts": [[7, 1], [2, 0]]}},
)
OTHER = replace(
    RECORD, case="pos-minilm_l6-lora-cpu-s1", epochs=[{"epoch": 1, "train_loss": 0.7, "loss": 0.25, "f1": 0.8},
                                                     {"epoch": 2, "train_loss": 0.45, "f1": 0.9}]
)  # fmt: skip


def test_one_seed_has_no_interval():
    assert epochs_table([RECORD]) == [
        ["case", "seeds", "epoch", "training loss", "validation loss", "F1"],
        ["pos-minilm_l6-lora-cpu-full", "1", "1", "0.5000", "0.2500", "0.8000"],
        ["pos-minilm_l6-lora-cpu-full", "1", "2", "0.2500", "–", "0.9000"],
    ]


def test_seeds_are_averaged_with_students_interval():
    """Half of it, of two values 0.2 apart: 12.706 standard errors of 0.1."""
    _, first, _ = epochs_table([RECORD, OTHER])
    assert first[1] == "2"
    assert first[3] == "0.6000 ± 1.2706"
    assert first[5] == "0.8000 ± 0.0000"


def test_recipes_are_not_averaged():
    assert [line[1] for line in epochs_table([RECORD, replace(OTHER, recipe_digest="other")])[1:]] == ["1"] * 4


@pytest.mark.parametrize("change", [{"status": "failed"}, {"quality_judged": False}, {"epochs": []}])
def test_what_has_no_epochs_of_real_weights_is_left_out(change):
    assert epochs_table([replace(RECORD, **change)]) == [["case", "seeds", "epoch"]]


def test_confusions_are_summed_over_seeds_the_most_frequent_first():
    lines = confusions_table([RECORD, OTHER])
    assert lines[1:] == [
        ["pos-minilm_l6-lora-cpu-full", "JJ", "NN", "4", "100.0%"],
        ["pos-minilm_l6-lora-cpu-full", "NN", "JJ", "2", "12.5%"],
    ]


def test_no_more_confusions_than_a_person_reads():
    labels = [str(number) for number in range(9)]
    many = {"labels": labels, "counts": [[1] * 9] * 9}
    assert len(confusions_table([replace(RECORD, tables={"confusion": many})])) == CONFUSIONS + 1


def test_an_epoch_is_extrapolated_from_the_median_step():
    """17 examples are three steps of 4 x 2."""
    cuda = replace(RECORD, case="pos-minilm_l6-lora-cuda-s0", environment={"accelerator": "Some GPU"})
    _, first, second = seconds_table([RECORD, replace(RECORD, status="failed"), cuda])
    assert first == ["pos-minilm_l6-lora-cpu-s0", "Some CPU, 2 cores", "4", "2", "2.000", "1,234", "3", "6"]
    assert second[1] == "Some GPU"


@pytest.mark.parametrize(
    ("option", "shows"),
    [("--epochs", "validation loss"), ("--confusions", "taken for"), ("--epoch-seconds", "accumulation")],
)
def test_command_prints_them(option, shows, tmp_path, capsys):
    append_record(tmp_path / "records.jsonl", RECORD)
    assert main(["table", str(tmp_path), option]) == 0
    assert shows in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--epochs", "--confusions"])
def test_command_says_that_there_are_none(option, tmp_path, capsys):
    append_record(tmp_path / "records.jsonl", replace(RECORD, epochs=[], tables={}))
    assert main(["table", str(tmp_path), option]) == 2
    assert str(tmp_path) in capsys.readouterr().err
