"""Scores of a run on a test split, and their tables."""
