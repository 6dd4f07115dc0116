"""Datasets: readers, the PhotoTable they fill, drawn cars, and honest splits."""
