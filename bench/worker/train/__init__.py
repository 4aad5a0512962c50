"""Training: batches, losses, optimizer steps, the loop and the evaluation."""
