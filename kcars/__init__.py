"""kcars: vehicle recognition (make and model, same or not) under class imbalance, on Keras 3."""

__version__ = "0.1.0"
