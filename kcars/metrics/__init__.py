"""Scores, confidence intervals and calibration, on NumPy arrays only."""
