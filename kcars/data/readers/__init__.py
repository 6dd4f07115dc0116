"""The readers: one file for each layout of datasets, and the catalogue of them."""
