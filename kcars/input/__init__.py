"""From a dataset and its pixels to batches."""
