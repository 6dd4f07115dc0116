"""Drawn cars: generates photos and lists of a synthetic dataset."""
