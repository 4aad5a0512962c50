"""Checks on a trained model: evidence that training happened, and that the method keeps its promises."""
