"""Building blocks of backbones."""
