"""Datasets: readers, the Index they fill, drawn cars, and honest splits."""
