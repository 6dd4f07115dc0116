"""Prediction on new photos."""
