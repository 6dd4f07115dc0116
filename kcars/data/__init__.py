"""Datasets: readers, the PhotoTable, drawn cars and splits."""
