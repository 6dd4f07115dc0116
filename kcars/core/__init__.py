"""Foundations of all packages: errors, files, random numbers, limits, printing."""
