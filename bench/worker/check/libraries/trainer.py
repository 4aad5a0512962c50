"""transformers.Trainer with the model's own loss: gradient accumulation, and a training that stops and resumes."""

import tempfile
from pathlib import Path
from typing import Any

import torch

from bench.tasks import Example
from bench.worker.check.libraries.subjects import (
    RANK,
    adapted,
    batching_of,
    distance_of_all,
    examples_of,
    trained_tensors,
    with_labels,
)
from bench.worker.check.looking import SEED

ROWS = 4  # of an optimizer step
ACCUMULATED_STEPS = 2
STEPS, STOP = 4, 2
DROPOUT = 0.2  # so that a resumed training needs the state of the random numbers too
PACKED_RANK = 64  # bitsandbytes keeps states of fewer than 4,096 elements in float32; a tiny model is 64 wide


def train(model: str, built: Any, examples: list[Example], callbacks: list[Any], resume: str = "", **more: Any) -> Any:
    """Train by Trainer, which pads the examples of each micro-batch, and return the trainer."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    batching = batching_of(model)
    arguments = TrainingArguments(
        use_cpu=True, seed=SEED, logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
        remove_unused_columns=False, **more,
    )  # fmt: skip
    trainer = Trainer(
        model=built, args=arguments, train_dataset=Rows(examples), callbacks=callbacks,
        data_collator=lambda rows: with_labels(batching.one(rows)),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)  # it would fill a worker's last lines with losses
    trainer.train(resume_from_checkpoint=resume or None)
    return trainer


class Rows(torch.utils.data.Dataset):
    """Examples as Trainer takes them."""

    def __init__(self, examples: list[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


def logged(trainer: Any, name: str) -> list[float]:
    """A figure of every step, from Trainer's log."""
    return [row[name] for row in trainer.state.log_history if "loss" in row]


def compare_accumulation(model: str) -> dict[str, Any]:
    """The losses of a batch of four and of four batches of one, and how far their updates of the weights are apart.

    By plain gradient descent, whose update is the gradient; AdamW would hide a gradient of the wrong scale.
    """
    losses, updates = [], []
    for parts in (1, ROWS):
        built = adapted(model)
        before = trained_tensors(built)
        with tempfile.TemporaryDirectory() as folder:
            trainer = train(
                model, built, examples_of(model, ROWS), [], output_dir=folder, max_steps=ACCUMULATED_STEPS,
                per_device_train_batch_size=ROWS // parts, gradient_accumulation_steps=parts, optim="sgd",
                learning_rate=0.1, lr_scheduler_type="constant", max_grad_norm=0.0,
            )  # fmt: skip
        losses.append(logged(trainer, "loss"))
        after = trained_tensors(built)
        updates.append({name: after[name] - before[name] for name in before})
    return {"whole": losses[0], "accumulated": losses[1], "update_distance": distance_of_all(updates[1], updates[0])}


def compare_resumed(model: str, optimizer: str, packed: bool = False) -> dict[str, Any]:
    """A training straight through, and one that was stopped, saved and resumed in a new model.

    packed: with an adapter that is wide enough for states in 8 bits. state_dtypes: what the moments are stored in after
    the last step of the resumed training, and how many tensors have them.
    """
    rank = PACKED_RANK if packed else RANK
    options: dict[str, Any] = {
        "max_steps": STEPS, "per_device_train_batch_size": ROWS // 2, "optim": optimizer, "learning_rate": 1e-2,
        "lr_scheduler_type": "linear", "warmup_steps": 1,
    }  # fmt: skip
    examples = examples_of(model, STEPS * ROWS // 2)
    models = [adapted(model, rank=rank, dropout=DROPOUT) for _ in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        straight = train(model, models[0], examples, [], output_dir=folder, **options)
        train(model, models[1], examples, [stopper()], output_dir=folder, **options)
        checkpoint = Path(folder) / f"checkpoint-{STOP}"
        resumed = train(model, models[2], examples, [], str(checkpoint), output_dir=folder, **options)
    return {
        "straight": logged(straight, "loss"),
        "resumed": logged(resumed, "loss"),
        "rates": logged(straight, "learning_rate"),
        "resumed_rates": logged(resumed, "learning_rate"),
        "weight_distance": distance_of_all(trained_tensors(models[2]), trained_tensors(models[0])),
        "state_dtypes": state_dtypes(resumed.optimizer),
    }


def stopper() -> Any:
    """A callback that saves a checkpoint and stops after STOP steps of a schedule for all STEPS."""
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            control.should_save = control.should_training_stop = state.global_step == STOP

    return Stop()


def state_dtypes(optimizer: Any) -> dict[str, int]:
    """How many tensors have their first moment in each dtype, of tensors of at least 4,096 elements alone."""
    found: dict[str, int] = {}
    inner = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
    for parameter, state in inner.state.items():
        if parameter.numel() >= 4096:
            dtype = str(state.get("state1", state.get("exp_avg")).dtype).removeprefix("torch.")
            found[dtype] = found.get(dtype, 0) + 1
    return found
