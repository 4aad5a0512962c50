"""Predictions compared: with what cards held, with published figures, and with earlier versions."""
