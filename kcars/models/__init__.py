"""The networks of both tasks: backbones with heads, their weights, outputs and Grad-CAM maps."""
