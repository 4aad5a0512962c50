"""Asking a model: prompts, generation, log-probabilities, probes and lm-evaluation-harness."""
