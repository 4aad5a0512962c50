"""The second engine: transformers.Trainer on the very same batches, because that is what people run.

Each item of its data set is one micro-batch, so both engines see the same tokens in the same order;
`num_items_in_batch` makes its accumulation a mean over labels as ours is. All batches are collated before the first
step, where our loop collates those of a step before it. A step's seconds are those of the same work in both: Trainer
copies a step's batches to the device before it begins, and so does our loop.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bench.tasks import IGNORE
from bench.worker.build.precision import autocast
from bench.worker.device import synchronise
from bench.worker.train.backward import kept_for_backward
from bench.worker.train.batches import Batch
from bench.worker.train.chunked_losses import bare_head, chunked_loss, route
from bench.worker.train.loop import Training, finish_step, keep, refuse_infinite, seed_dropout
from bench.worker.train.losses import summed_loss
from bench.worker.train.optimizer import make_optimizer, make_schedule
from bench.worker.train.steps import Step
from bench.worker.train.trainee import Say, Trainee

NOTHING = {"labels": torch.full((1, 1), IGNORE)}  # fills up a step of fewer micro-batches than Trainer takes


class MicroBatches(torch.utils.data.Dataset):
    """Item i is the i-th micro-batch as the dictionary that the model is called with, and its labels.

    Trainer takes as many for every step, so the last step of an epoch is filled up with NOTHING.
    """

    def __init__(self, steps: Sequence[Sequence[Batch]], each: int) -> None:
        self.items: list[dict[str, Any]] = []
        for batches in steps:
            self.items += [{**batch.inputs(), "labels": batch.labels} for batch in batches]
            self.items += [NOTHING] * (each - len(batches))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.items[index]


def train_with_trainer(trainee: Trainee, steps: Sequence[Step], say: Say, on_epoch: Callable[[int], None]) -> Training:
    """As bench.worker.train.loop.train, by transformers.Trainer; all steps are one of its epochs."""
    asked = time.perf_counter()
    batches = [[trainee.batching.collate(items) for items in step.micro_batches] for step in steps]
    training = Training(data_seconds=time.perf_counter() - asked)
    optimizer = make_optimizer(trainee)
    loss = StepLoss(trainee)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(
            trainee,
            loss,
            args=arguments(trainee, folder, len(steps)),
            train_dataset=MicroBatches(batches, trainee.recipe.gradient_accumulation_steps),
            data_collator=lambda items: items[0],
            optimizers=(optimizer, make_schedule(optimizer, trainee.recipe, len(steps))),
            callbacks=[callback(trainee, training, steps, batches, say, on_epoch, loss)],
        )
        trainer.train()
    return training


class StepLoss:
    """The loss of a step, a micro-batch at a time: parts are those seen of the step, without the method's penalty."""

    def __init__(self, trainee: Trainee) -> None:
        self.trainee = trainee
        self.head: Any = None  # while it is off the model
        self.parts: list[torch.Tensor] = []

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        """A micro-batch's part of the mean over the step's labels; the penalty comes with the first one."""
        trainee = self.trainee
        loss = loss_of_outputs(trainee, self.head, outputs.logits, labels) / num_items_in_batch
        self.parts.append(loss.detach())
        if trainee.method.penalty and len(self.parts) == 1:
            loss = loss + trainee.method.penalty(trainee.model)
        return loss


def make_trainer(trainee: Trainee, loss: StepLoss, **more: Any) -> Any:
    """transformers.Trainer, which keeps tensors for the backward pass and takes off the head as our loop does."""
    from transformers import Trainer

    class OurTrainer(Trainer):
        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> torch.Tensor:
            if "input_ids" not in inputs:
                return torch.zeros((), device=trainee.device)
            with kept_for_backward(trainee):
                return super().training_step(model, inputs, *rest, **named)

        def compute_loss(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            chunked = trainee.recipe.loss == "chunked"
            with bare_head(trainee.model) if chunked else contextlib.nullcontext() as loss.head:
                return super().compute_loss(model, inputs, *rest, **named)

        def floating_point_ops(self, inputs: dict[str, Any]) -> int:
            return 0  # unused, and it would fail for NOTHING

    return OurTrainer(model=trainee.model, compute_loss_func=loss, **more)


def loss_of_outputs(trainee: Trainee, head: Any, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The summed loss of the model's logits, or (with a head that was taken off) of the hidden states below it."""
    shifted = trainee.batching.shifted
    if head is None:
        return summed_loss(outputs, labels, shifted)
    with autocast(trainee.recipe, trainee.device):
        by = route(head, trainee.device)
        return chunked_loss(head, outputs, labels, shifted, trainee.recipe.loss_chunk_tokens, by)


def arguments(trainee: Trainee, folder: str, steps: int) -> Any:
    """Trainer's arguments for the recipe; nothing is saved and nothing reported."""
    from transformers import TrainingArguments

    recipe = trainee.recipe
    made = TrainingArguments(
        output_dir=folder,
        max_steps=steps,
        seed=trainee.seed,
        data_seed=trainee.seed,
        per_device_train_batch_size=1,  # an item is a whole micro-batch
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        train_sampling_strategy="sequential",
        max_grad_norm=recipe.max_gradient_norm,
        bf16=recipe.precision == "bfloat16",
        fp16=recipe.precision == "float16",
        use_cpu=trainee.device == "cpu",
        logging_steps=1,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )
    made._n_gpu = min(made.n_gpu, 1)  # an item is a whole micro-batch: several cards would drop all but the first
    return made


def callback(trainee: Trainee, training: Training, steps: Sequence[Step], batches: Sequence[Sequence[Batch]],
             say: Say, on_epoch: Callable[[int], None], loss: StepLoss) -> Any:  # fmt: skip
    """Keep loss, seconds and tokens of each step, do what the method does after it, and end epochs."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        started = spent = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if state.global_step == 0:
                seed_dropout(trainee)  # making the loader of the data has drawn a number
            synchronise(trainee.device)
            self.started, self.spent = time.perf_counter(), time.process_time()

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if trainee.method.after_step and not rest["optimizer"].step_was_skipped:
                trainee.method.after_step(trainee.model, state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            synchronise(trainee.device)
            seconds, cpu_seconds = time.perf_counter() - self.started, time.process_time() - self.spent
            number, step_loss = state.global_step - 1, float(torch.stack(loss.parts).sum())
            loss.parts.clear()
            refuse_infinite(step_loss, state.global_step)
            keep(training, step_loss, seconds, batches[number], cpu_seconds)
            finish_step(training, steps, number, say, on_epoch)

    return Watch()
