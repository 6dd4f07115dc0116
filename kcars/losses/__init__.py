"""The losses: one file each, with its settings, and the catalogue of them."""
