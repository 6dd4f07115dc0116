"""Learning-rate range tests, and searches for settings."""
