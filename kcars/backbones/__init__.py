"""Networks from pixels to features: a file for each family, and a catalogue of them."""
