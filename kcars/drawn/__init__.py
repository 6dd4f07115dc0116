"""Drawn cars: photos and lists of a dataset that needs no download."""
