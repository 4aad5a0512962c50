"""Comparisons of predictions with measured cards, with published figures, and with earlier versions."""
