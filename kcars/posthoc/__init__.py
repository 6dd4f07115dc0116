"""Post-hoc methods, fitted to a network's outputs after training."""
