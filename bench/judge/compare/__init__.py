"""Comparisons: the same cases run in two ways."""
