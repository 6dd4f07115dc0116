"""Photos: decoding, the pixel store, augmentation."""
