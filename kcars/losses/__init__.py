"""What training minimizes: a file for each loss, with its settings, and a catalogue of them."""
