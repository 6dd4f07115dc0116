"""Losses, metrics, optimizers and learning-rate schedules for Keras."""
