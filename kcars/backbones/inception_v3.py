"""InceptionV3 (Szegedy et al. 2015, arXiv 1512.00567), as in Keras, with a feature map for an auxiliary head."""

from kcars.backbones.catalogue import BACKBONES, ApplicationFile, Backbone, Scale

ENDS = (5, 26, 70, 94)  # Numbers of the last convolutions before 35x35, at 35x35, at 17x17 and at 8x8.


def grid(images, scale: Scale):
    """The last feature map, and the 17x17x768 one for an auxiliary head."""
    from kcars.backbones.blocks.applications import application

    return application("InceptionV3", images.shape[1], "mixed7")(images)


def _numbered(first: int, last: int) -> str:
    return f".*_(?:{'|'.join(map(str, range(first, last + 1)))})"


BACKBONES.register(
    Backbone(
        "inception_v3",
        grid,
        tuple(_numbered(before + 1, end) for before, end in zip((0, *ENDS), ENDS, strict=False)),
        smallest_px=75,
        normalization="half",
        imagenet=ApplicationFile(
            "InceptionV3",
            "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
            "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
        heat_grid="mixed2",
        auxiliary=True,
        short={"classify": "Inc"},
    )
)
