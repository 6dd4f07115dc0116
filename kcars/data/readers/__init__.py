"""One file for each layout of a dataset, and a catalogue of them."""
