"""From a strategy and a dataset to a trained run."""
