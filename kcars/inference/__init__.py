"""Predictions about new photos."""
