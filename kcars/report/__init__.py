"""What a run gave, to look at: pages, figures and tables from run files alone, without TensorFlow."""
