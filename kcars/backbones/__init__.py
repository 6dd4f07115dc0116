"""The backbones: networks from pixels to features, one file per family, and the catalogue of them."""
