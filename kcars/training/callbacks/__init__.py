"""Keras callbacks for training: checkpoints, validation, history, state."""
