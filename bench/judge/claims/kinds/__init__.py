"""The kinds of claims: one file each, with its check of `by` and its verdict."""
