"""Measuring: seconds, bytes, FLOPs, joules and parameters of a case, in the worker."""
