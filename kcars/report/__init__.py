"""HTML reports from run files, without TensorFlow."""
