"""Training of a run from a strategy and a dataset."""
