"""Networks: backbones from pixels to features, and the heads of both tasks around them."""
