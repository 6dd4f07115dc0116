"""What is fitted after training, on a network's outputs."""
