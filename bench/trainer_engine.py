"""The second engine: transformers.Trainer on the very same batches, because that is what people run.

Each item of its data set is one micro-batch, already collated, so both engines see the same tokens in the
same order; `num_items_in_batch` makes its accumulation a mean over labels as ours is.
"""

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bench.batches import Batch
from bench.chunks import chunked_loss, route
from bench.lean import bare_head
from bench.losses import summed_loss
from bench.measure.clock import synchronise
from bench.precision import autocast
from bench.train import Say, Step, Trainee, Training, kept_for_backward, make_optimizer, make_schedule, progress


class MicroBatches(torch.utils.data.Dataset):
    """Item i is the i-th micro-batch as the dictionary that the model is called with, and its labels."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> dict[str, Any]:
        batch = self.batches[index]
        return {**batch.inputs(), "labels": batch.labels}


def train_with_trainer(trainee: Trainee, steps: Sequence[Step], say: Say, on_epoch: Callable[[int], None]) -> Training:
    """As bench.train.train, by transformers.Trainer; epochs are evaluated after the last one only.

    Raises ValueError where an epoch ends in a step of fewer
    micro-batches: Trainer would fill that step from the next epoch.
    """
    each = trainee.recipe.gradient_accumulation_steps
    if any(len(step.micro_batches) != each for step in steps[:-1]):
        raise ValueError(f"an epoch does not divide into steps of {each} micro-batches; use --engine bench")
    from transformers import Trainer

    batches = [[trainee.batching.collated(items) for items in step.micro_batches] for step in steps]
    optimizer = make_optimizer(trainee)
    training = Training()
    penalty_due = [True]
    parts: list[torch.Tensor] = []  # of the step's loss; the method's penalty is none of them

    def loss_of(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        loss = loss_of_outputs(trainee, head, outputs.logits, labels) / num_items_in_batch
        parts.append(loss.detach())
        if trainee.method.penalty and penalty_due[0]:
            penalty_due[0] = False
            loss = loss + trainee.method.penalty(trainee.model)
        return loss

    taken_off = contextlib.nullcontext() if trainee.recipe.loss == "logits" else bare_head(trainee.model)
    with tempfile.TemporaryDirectory() as folder, taken_off as head, kept_for_backward(trainee):
        trainer = Trainer(
            model=trainee.model,
            args=arguments(trainee, folder, len(steps)),
            train_dataset=MicroBatches([batch for group in batches for batch in group]),
            data_collator=lambda items: items[0],
            optimizers=(optimizer, make_schedule(optimizer, trainee.recipe, len(steps))),
            compute_loss_func=loss_of,
            callbacks=[callback(trainee, training, batches, say, penalty_due, parts)],
        )
        trainer.train()
    on_epoch(steps[-1].epoch)
    return training


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


def callback(
    trainee: Trainee, training: Training, batches: list[list[Batch]], say: Say, penalty_due: list, parts: list
) -> Any:
    """Keep loss, seconds and tokens of each step, and do what the method does after it."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        started = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            penalty_due[0] = True
            synchronise(trainee.device)
            self.started = time.perf_counter()

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if trainee.method.after_step and not rest["optimizer"].step_was_skipped:
                trainee.method.after_step(trainee.model, state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            synchronise(trainee.device)
            group = batches[len(training.seconds)]
            training.seconds.append(time.perf_counter() - self.started)
            training.losses.append(float(torch.stack(parts).sum()))
            parts.clear()
            if not math.isfinite(training.losses[-1]):
                raise FloatingPointError(
                    f"the loss is {training.losses[-1]} at step {state.global_step}; lower learning_rate in the recipe"
                )
            training.tokens.append(sum(batch.tokens for batch in group))
            training.padded_tokens.append(sum(batch.input_ids.numel() for batch in group))
            say(progress(training, state.global_step, len(batches)))

    return Watch()
