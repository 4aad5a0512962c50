"""Predicted memory of a training step, without a card, without weights, in seconds; in two independent ways.

`closed_form` adds up terms from the architecture's numbers, without torch; `trace` runs the real code on
fake tensors and follows their storages, of one shape or of a case's own batches (`course`). `replay` puts these
into the hands of a card's `allocator`, `fit` says what fits where, `search` finds the largest that fits.
"""
