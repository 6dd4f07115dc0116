"""TensorBoard output of a training."""
