"""Checks datasets for problems and computes statistics."""
