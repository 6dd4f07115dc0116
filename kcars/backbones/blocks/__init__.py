"""What backbones are built of."""
