"""Random changes of training photos."""
