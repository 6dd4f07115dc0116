"""Scoring of runs on a test split, and score tables."""
