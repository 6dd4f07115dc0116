"""Builds training batches from a dataset and its pixels."""
