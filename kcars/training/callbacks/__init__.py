"""Keras callbacks of a training: checkpoints, validation, history, state."""
