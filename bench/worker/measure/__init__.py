"""Measurements of a case: seconds, bytes, FLOPs, joules and parameters."""
