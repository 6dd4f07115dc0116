"""EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946), as in Keras."""

from pathlib import Path

from kcars.backbones.catalogue import BACKBONES, NORMALIZATIONS, ApplicationFile, Backbone, Scale
from kcars.core.errors import KcarsError


def grid(images, scale: Scale):
    """The last feature map of EfficientNet-B0."""
    from kcars.backbones.blocks.applications import application

    return application("EfficientNetB0", images.shape[1])(images)


def same_scaling(whole, path: Path) -> None:
    """Check that the scaling constants in Keras' file, whose scaling layers are not used, equal ours.

    Keras' graph divides by the root of the stored variance, which is a standard deviation, and then by the root of that.
    """
    import numpy as np
    from keras import layers

    further = [layer for layer in whole.layers if isinstance(layer, layers.Rescaling)][1]
    mean, variance, _ = whole.get_layer(index=2).get_weights()
    stored = [mean, np.sqrt(variance) / np.array(further.scale)]
    if not np.allclose(stored, NORMALIZATIONS["imagenet"], atol=1e-3):
        raise KcarsError(
            f"{path}: scales pixels by {np.round(stored, 4).tolist()}, which differs from normalization imagenet"
        )


BACKBONES.register(
    Backbone(
        "efficientnet_b0",
        grid,
        ("stem_.*", *(rf"block{number}.*" for number in range(1, 7)), "block7.*|top_.*"),
        normalization="imagenet",
        imagenet=ApplicationFile(
            "EfficientNetB0",
            "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
            check=same_scaling,
        ),
        heat_grid="block3b_add",
        slow_in_half=True,  # Because of depthwise convolutions and activations.
        short={"verify": "EffB0"},
    )
)
