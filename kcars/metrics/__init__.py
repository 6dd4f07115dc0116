"""Scores, intervals and calibration, of NumPy arrays alone."""
