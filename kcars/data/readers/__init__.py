"""One file for each layout of a dataset."""
