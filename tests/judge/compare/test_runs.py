"""Two runs compared: what differs is found, in the right state, with the suspect that the trace points to."""

import json
import time
from dataclasses import replace

import pytest
from compared_runs import POS, RUNS, SUPPORT, committed, compared, findings, run_of, scaled, side_of

from bench.judge.compare.evidence import difference
from bench.judge.compare.finding import (
    BETTER,
    CHANGED,
    EVIDENCE,
    EXACT,
    INCOMPARABLE,
    KINDS,
    MEMORY,
    MISSING,
    NEW,
    QUALITY,
    STATES,
    STATUS,
    TRACE,
    WARNINGS,
    WORSE,
    Finding,
    exit_code,
)
from bench.judge.compare.runs import Options, compare_runs
from bench.judge.compare.sides import read_side, version_changes
from bench.records.record import FAILED, OUT_OF_MEMORY, BadRecord

SMOKE = committed()
ROWS = [{"key": f"test-{number}", "loss": float(number)} for number in range(6)]


def with_losses(record, first, factor=1.01):
    """The losses of this step, from 1, and of all later ones, scaled."""
    return replace(
        record, losses=[*record.losses[: first - 1], *(loss * factor for loss in record.losses[first - 1 :])]
    )


def with_exact(record, **changes):
    return replace(record, exact={**record.exact, **changes})


def with_evidence(record, **changes):
    return replace(record, evidence={**record.evidence, **changes})


def other_weights(record):
    """Everything that weights decide: the quality before, every loss, the quality after."""
    found = with_losses(record, 1)
    return replace(found, quality_before=scaled(record.quality_before, 1.1), quality=scaled(record.quality, 0.9))


def only(found, kind):
    chosen = [one for one in found if one.kind == kind]
    assert len(chosen) == 1, found
    return chosen[0]


def test_a_run_is_the_same_as_its_copy_in_every_kind_of_figure():
    records = SMOKE.values()
    found = compare_runs(side_of(records), side_of(records)).findings
    assert {one.state for one in found} == {"same"}
    assert {one.kind for one in found} == {STATUS, EXACT, MEMORY, EVIDENCE, TRACE, QUALITY}
    assert exit_code(found) == 0


def test_the_break_of_transformers_5_24_is_found_and_names_generation():
    """Losses and quality of both runs are equal to the bit."""
    found = compared(RUNS / "virtual-tokens", RUNS / "virtual-tokens-transformers-5-24")
    assert exit_code(found) == 1
    assert {one.case: (one.kind, one.state) for one in found if one.state == WORSE} == {
        "pos-minilm_l6-prefix-cpu-s0": (STATUS, WORSE),
        "support-smollm2_135m-prefix-cpu-s0": (EVIDENCE, WORSE),
        "support-smollm2_135m-prompt-cpu-s0": (EVIDENCE, WORSE),
    }
    generation = [one for one in found if one.kind == EVIDENCE]
    assert {one.figure for one in generation} == {"generation_distance"}
    assert all("generation" in one.suspect and "cache" in one.suspect for one in generation)


def test_versions_that_differ_are_named():
    sides = [read_side(RUNS / name) for name in ("virtual-tokens", "virtual-tokens-transformers-5-24")]
    assert version_changes(*sides) == {"transformers": ("5.23.0", "5.24.0")}


def test_committed_runs_of_other_commits_say_what_differs():
    found = compared(RUNS / "smoke", RUNS / "seeds-smoke")
    of_cases = [one for one in found if one.state == INCOMPARABLE]
    assert len(of_cases) == len(SMOKE)
    assert all("lorabench's own code differs (4dd4ee4a3e3a, now 3b19ea051be0)" in one.says for one in of_cases)
    assert exit_code(found) == 2


def test_two_threads_against_one_are_another_machine_whose_rounding_is_told():
    """Measured: `full` parts at step 3, with equal answers."""
    sides = [read_side(RUNS / name) for name in ("smoke", "seeds-smoke")]
    found = compare_runs(*sides, Options(allow_commit=True)).findings
    full = [one for one in found if one.case == "pos-minilm_l6-full-cpu-s0"]
    trace = only(full, TRACE)
    assert (trace.state, trace.figure) == (CHANGED, "losses")
    assert trace.says.startswith("parts at step 3 of 64 by 2.0e-07")
    assert "which is a rounding" in trace.says
    assert "threads 2, now 1" in trace.suspect
    assert only(full, QUALITY).state == "same"


FAULTS = {
    "weights": (other_weights, TRACE, "weights, tokenizer or attention mask"),
    "optimizer": (lambda record: with_losses(record, 2), TRACE, "gradients, optimizer or learning-rate schedule"),
    "schedule": (lambda record: with_losses(record, 40), TRACE, "gradients, optimizer or learning-rate schedule"),
    "forward pass": (lambda record: with_losses(record, 1), TRACE, "the forward pass in training"),
    "evaluation": (
        lambda record: replace(record, quality=scaled(record.quality, 0.9)), QUALITY, "evaluation, saving or merging",
    ),
    "evaluation at the start": (
        lambda record: replace(record, quality_before=scaled(record.quality_before, 0.5)), TRACE,
        "evaluation: how held-out examples are scored",
    ),
    "activations": (
        lambda record: with_exact(record, step_allocated_bytes=int(record.exact["step_allocated_bytes"] * 1.01)),
        MEMORY, "activations kept for backward",
    ),
    "weights at rest": (
        lambda record: with_exact(
            record, **{name: record.exact[name] + 8_000_000 for name in ("step_allocated_bytes", "resting_allocated_bytes")}
        ),
        MEMORY, "what the model holds at rest",
    ),
    "adapted modules": (
        lambda record: with_exact(record, trainable_parameters=record.exact["trainable_parameters"] + 1), EXACT,
        "which modules the method adapts",
    ),
    "tokenizer": (
        lambda record: with_exact(record, heaviest_batches=[{"rows": 8, "length": 8, "scored": 1, "whole": False}]),
        EXACT, "the tokenizer",
    ),
    "saving": (lambda record: with_evidence(record, reload_distance=1e-3), EVIDENCE, "saving the adapter"),
    "merging": (lambda record: with_evidence(record, merge_distance=1e-3), EVIDENCE, "merging the adapter"),
    "initial values": (lambda record: with_evidence(record, start_distance=0.5), EVIDENCE, "the initial values"),
    "frozen weights": (
        lambda record: with_evidence(record, base={**record.evidence["base"], "changed": 1}), EVIDENCE,
        "weights that ought to be frozen",
    ),
    "dropout": (lambda record: with_evidence(record, training_passes_distance=0.1), EVIDENCE, "dropout in training"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_difference_names_its_suspect(fault):
    plant, kind, suspect = FAULTS[fault]
    found = findings([SMOKE[POS]], [plant(SMOKE[POS])])
    assert any(one.kind == kind and suspect in one.suspect for one in found), found
    if kind in (EVIDENCE, MEMORY, QUALITY):
        assert exit_code([*found, Finding(POS, STATUS, "same")]) == 1


@pytest.mark.parametrize(
    ("changed", "suspect"),
    [
        (6, "weights, tokenizer or initial values: the answer to every"),
        (2, "the attention mask or padding: the answers to 2 of 6"),
    ],
)
def test_answers_before_training_tell_weights_from_the_mask(changed, suspect, tmp_path):
    """A mask that is ignored changes the padded rows alone."""
    rows = [{**row, "loss": row["loss"] + 1} if number < changed else row for number, row in enumerate(ROWS)]
    before = run_of(tmp_path / "a", [SMOKE[POS]], untrained={POS: ROWS})
    after = run_of(tmp_path / "b", [other_weights(SMOKE[POS])], untrained={POS: rows})
    assert only(compared(before, after), TRACE).suspect.startswith(suspect)


def test_a_base_that_answers_worse_before_training_is_red():
    """Of a decoder whose adapter starts as the base nothing random takes part in it."""
    record = SMOKE[SUPPORT]
    found = findings(
        [record], [replace(with_losses(record, 1, 1.001), quality_before=scaled(record.quality_before, 1.005))]
    )
    assert [(one.figure, one.state) for one in found if one.state == WORSE] == [("loss before training", WORSE)]


@pytest.mark.parametrize(("share", "state"), [(1.004, CHANGED), (0.996, CHANGED), (1.006, WORSE), (0.99, BETTER)])
def test_memory_may_move_by_half_a_percent(share, state):
    record = SMOKE[POS]
    after = with_exact(record, step_allocated_bytes=round(record.exact["step_allocated_bytes"] * share))
    assert only(findings([record], [after]), MEMORY).state == state


@pytest.mark.parametrize(("key", "value"), [("accelerator", "B"), ("driver", "2"), ("emulation", "T4")])
def test_the_peak_of_another_card_is_incomparable(key, value):
    about = {**SMOKE[POS].environment, "accelerator": "A", "driver": "1"}
    before, after = (
        replace(SMOKE[POS], environment=environment,
                noisy={**SMOKE[POS].noisy, "memory": {"train": {"allocated_bytes": size}}})
        for size, environment in ((1_000_000, about), (2_000_000, {**about, key: value}))
    )  # fmt: skip
    found = only(findings([before], [after]), MEMORY)
    assert (found.state, found.figure) == (INCOMPARABLE, "train.allocated_bytes")
    assert only(findings([before], [replace(after, environment=about)]), MEMORY).state == WORSE


def test_flops_may_move_by_a_thousandth():
    """transformers 5.17 and 5.23 differ by 512 of 12.6 million."""
    counts = SMOKE[POS].exact["flops_counts"]
    for factor, state in ((1.0005, CHANGED), (1.01, WORSE)):
        after = with_exact(
            SMOKE[POS], flops_counts=[{**one, "model_step": round(one["model_step"] * factor)} for one in counts]
        )
        assert {one.state for one in findings([SMOKE[POS]], [after])} == {state}


@pytest.mark.parametrize(("after", "state"), [(1.3e-6, CHANGED), (1.3e-5, CHANGED), (1.5e-5, WORSE)])
def test_a_distance_may_grow_tenfold(after, state):
    record = with_evidence(SMOKE[SUPPORT], generation_distance=1.4e-6)
    assert only(findings([record], [with_evidence(record, generation_distance=after)]), EVIDENCE).state == state


@pytest.mark.parametrize("status", [FAILED, OUT_OF_MEMORY])
def test_a_case_that_fails_is_red_and_says_why(status):
    after = replace(SMOKE[POS], status=status, reason="no room")
    found = only(findings([SMOKE[POS]], [after]), STATUS)
    assert (found.state, found.before, found.after, found.says) == (WORSE, "ok", status, "no room")


def test_a_case_that_is_missing_is_red_and_a_new_one_is_not():
    found = findings([SMOKE[POS]], [SMOKE[SUPPORT]])
    assert {one.case: one.state for one in found} == {POS: MISSING, SUPPORT: NEW}
    assert exit_code(found) == 1


def test_a_new_case_that_fails_is_red():
    found = only(findings([SMOKE[POS]], [SMOKE[POS], replace(SMOKE[SUPPORT], status=OUT_OF_MEMORY)]), STATUS)
    assert (found.state, found.after) == (WORSE, OUT_OF_MEMORY)
    assert found.says == "the first run has no such case, and it did not end well: failed"


@pytest.mark.parametrize("common", [False, True], ids=["one version", "two versions"])
def test_a_headline_metric_that_the_second_record_lacks_is_red(common):
    without = {name: value for name, value in SMOKE[POS].quality.items() if name != "f1"}
    found = only(findings([SMOKE[POS]], [replace(SMOKE[POS], quality=without)], allow_commit=common), QUALITY)
    assert (found.state, found.figure) == (MISSING, "f1")


def test_quality_of_a_task_that_is_not_registered_is_incomparable_and_no_pass():
    record = replace(SMOKE[POS], case="elsewhere-minilm_l6-lora-cpu-s0")
    found = findings([record], [replace(record, quality=scaled(record.quality, 0.5))])
    assert only(found, QUALITY).state == INCOMPARABLE
    assert exit_code([*found, Finding(POS, STATUS, "same")]) == 3


def test_runs_of_two_commits_with_the_same_measuring_code_are_compared():
    def of(commit, code):
        return [replace(SMOKE[POS], environment={**SMOKE[POS].environment, "commit": commit, "code": code})]

    assert findings(of("1" * 40, "sha256:1"), of("2" * 40, "sha256:1")) == []
    other = only(findings(of("1" * 40, "sha256:1"), of("1" * 40, "sha256:2")), STATUS)
    assert other.state == INCOMPARABLE
    assert "lorabench's own code differs (1, now 2)" in other.says
    older = [SMOKE[POS]]  # knows its commit alone
    assert only(findings(older, of("2" * 40, "sha256:1")), STATUS).state == INCOMPARABLE


def test_a_case_that_failed_in_the_first_run_too_is_no_pass():
    failed = replace(SMOKE[POS], status=FAILED, reason="no room")
    found = findings([failed], [failed])
    assert only(found, STATUS).state == INCOMPARABLE
    assert exit_code(found) == 2


def test_a_figure_that_the_second_record_lacks_is_red():
    after = replace(
        SMOKE[SUPPORT], evidence={k: v for k, v in SMOKE[SUPPORT].evidence.items() if k != "generation_distance"}
    )
    assert only(findings([SMOKE[SUPPORT]], [after]), EVIDENCE).state == MISSING
    assert findings([SMOKE[SUPPORT]], [after], allow_commit=True) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe_digest": "other"}, "recipe differs"),
        ({"data": {"identity": "sha256:other"}}, "data differ"),
        ({"weights": {"identity": "sha256:other"}}, "weights differ"),
    ],
)
def test_another_basis_is_incomparable_and_named(change, says):
    found = only(findings([SMOKE[POS]], [replace(SMOKE[POS], **change)]), STATUS)
    assert found.state == INCOMPARABLE
    assert says in found.says


def test_a_new_warning_is_told_and_is_not_red():
    kept = replace(SMOKE[POS], noisy={**SMOKE[POS].noisy, "load_averages": {}})
    row = {"category": "FutureWarning", "module": "peft/peft_model.py", "text": "`past_key_values` is deprecated"}
    found = only(findings([kept], [replace(kept, warnings=[row])]), WARNINGS)
    assert found.state == CHANGED
    assert "past_key_values" in found.says
    assert findings([SMOKE[POS]], [replace(kept, warnings=[row])]) == []  # the first is too old to tell


def test_a_run_cut_in_half_is_one_sentence(tmp_path):
    folder = run_of(tmp_path / "a", [SMOKE[POS], SMOKE[SUPPORT]])
    path = folder / "records.jsonl"
    path.write_text(path.read_text(encoding="utf-8")[:-2000], encoding="utf-8")
    with pytest.raises(BadRecord, match="only a whole run can be compared: .*records.jsonl:2: cut or damaged"):
        read_side(folder)


def test_a_damaged_run_json_is_one_sentence(tmp_path):
    folder = run_of(tmp_path / "a", [SMOKE[POS]])
    (folder / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadRecord, match="run.json: damaged"):
        read_side(folder)


@pytest.mark.parametrize("plant", [lambda record: record, other_weights], ids=["the same", "all parted"])
def test_a_hundred_cases_are_compared_within_two_seconds(plant, tmp_path):
    """Of the processor, for the machine may be busy."""
    records = [replace(SMOKE[POS], case=f"pos-minilm_l6-lora-cpu-s{seed}") for seed in range(100)]
    before, after = run_of(tmp_path / "a", records), run_of(tmp_path / "b", list(map(plant, records)))
    began = time.process_time()
    assert bool(compared(before, after)) == (plant is other_weights)
    assert time.process_time() - began < 2


def test_names_of_states_and_kinds_are_checked():
    with pytest.raises(ValueError, match=f"state='red' must be one of {STATES[0]}"):
        Finding(POS, STATUS, "red")
    with pytest.raises(ValueError, match=f"kind='loss' must be one of {KINDS[0]}"):
        Finding(POS, "loss", WORSE)


def test_json_of_every_finding_is_plain():
    assert json.dumps([vars(one) for one in findings([SMOKE[POS]], [other_weights(SMOKE[POS])])])


@pytest.mark.parametrize(
    ("name", "before", "after", "state"),
    [
        ("left_padding_distance", 2e-7, 0.4, WORSE),
        ("left_padding_distance", 0.0, 4e-7, CHANGED),
        ("formula_scale", 2.0, 2.2, WORSE),
        ("formula_scale", 2.0, 2.0001, CHANGED),
        ("packed_merge_factor", 0.995, 0.9, WORSE),
        ("unmerge_distance", 1e-8, 0.05, WORSE),
        ("same_seed_changed", 0, 4, WORSE),
        ("other_seed_changed", 14, 12, CHANGED),
        ("second_adapter_acts", True, False, WORSE),
        ("second_adapter_acts", False, True, BETTER),
        ("both_adapters_act", False, True, BETTER),
        ("trained.changed", 13, 14, BETTER),
        ("trained.changed", 14, 13, WORSE),
        ("trained.tensors", 13, 14, WORSE),
        ("packed_merge_factor", 0.9, 0.995, BETTER),
        ("packed_merge_factor", 0.9, 1.2, WORSE),
        ("formula_scale", 2.2, 2.0, BETTER),
        ("both_adapters_act", True, False, WORSE),
        ("switching_distance", 0.0, 0.2, WORSE),
        ("two_merged_distance", 3e-7, 0.1, WORSE),
        ("packed_merge_distance", 0.093, 0.11, WORSE),
        ("packed_merge_distance", 0.093, 0.094, CHANGED),
        ("states_in_8_bits", 0, 4, CHANGED),
        ("formula_share", 0.1, 0.3, CHANGED),
        ("formula_layer", "q_proj", "v_proj", CHANGED),
    ],
)
def test_evidence_that_differs_has_the_state_of_its_kind(name, before, after, state):
    record = with_evidence(SMOKE[SUPPORT], formula_scale_expected=2.0)
    assert difference(name, before, after, record)[0] == state


@pytest.mark.parametrize(("asked", "begins", "ends"), [(0.1, BETTER, WORSE), (0.0, WORSE, BETTER)])
def test_dropout_is_better_where_it_acts_as_the_recipe_asks(asked, begins, ends):
    record = replace(SMOKE[SUPPORT], recipe={**SMOKE[SUPPORT].recipe, "dropout": asked})
    assert difference("training_passes_distance", 0.0, 0.1, record)[0] == begins
    assert difference("training_passes_distance", 0.1, 0.0, record)[0] == ends


@pytest.mark.parametrize(("figure", "precision", "kept", "after", "state"), [
    ("batch_distance", "bfloat16", "float32", 0.004, CHANGED),
    ("batch_distance", "float32", "bfloat16", 0.004, CHANGED),
    ("left_padded_generation_distance", "bfloat16", "float32", 0.02, CHANGED),
    ("batch_distance", "float16", "float32", 0.004, CHANGED),
    ("batch_distance", "bfloat16", "float32", 0.2, WORSE),
    ("batch_distance", "float16", "float32", 0.02, WORSE),
    ("batch_distance", "float32", "float32", 1e-5, WORSE),
    ("switching_distance", "bfloat16", "float32", 1e-5, WORSE),
    ("two_merged_distance", "bfloat16", "float32", 1e-4, WORSE),
    ("unmerge_distance", "bfloat16", "float32", 1e-4, WORSE),
    ("reload_distance", "bfloat16", "float32", 1e-5, WORSE),
])  # fmt: skip
def test_a_rounding_of_the_records_precision_is_not_worse(figure, precision, kept, after, state):
    recipe = {**SMOKE[SUPPORT].recipe, "precision": precision, "adapter_precision": kept}
    record = replace(with_evidence(SMOKE[SUPPORT], **{figure: 0.0}), recipe=recipe)
    assert only(findings([record], [with_evidence(record, **{figure: after})]), EVIDENCE).state == state
