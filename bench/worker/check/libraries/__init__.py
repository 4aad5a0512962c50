"""Checks of what transformers, peft and bitsandbytes do by themselves, on tiny models.

lorabench computes losses, accumulates gradients and loads adapters in its own code, so its cases pass although the way
that most people use a library is broken. These checks use the libraries' way and compare it with a second way that must
give the same.

    checks.py         the object that suites/test_libraries.py calls in a worker
    subjects.py       tiny models, their batches and their logits
    losses.py         the loss of a model that is given labels
    trainer.py        transformers.Trainer: gradient accumulation, stop and resume
    adapter_files.py  an adapter loaded by transformers and by peft, and its precision
    vocabulary.py     resized embeddings and tied heads, saved and merged

Every function returns figures as plain data. The suite decides which figures are right.
"""
