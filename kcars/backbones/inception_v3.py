"""InceptionV3 (Szegedy et al. 2015, arXiv 1512.00567), as Keras has it, with a grid for an auxiliary head."""

from kcars.backbones.catalogue import BACKBONES, ApplicationFile, Backbone, Scale

ENDS = (5, 26, 70, 94)  # The last convolution on the way to 35x35, of 35x35, of 17x17, of 8x8: its layers are numbered.


def grid(images, scale: Scale):
    """The last grid, and the 17x17x768 one, which an auxiliary head may look at."""
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
