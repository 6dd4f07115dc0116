"""ResNet-50 (He et al. 2015, arXiv 1512.03385), as in Keras."""

from kcars.backbones.catalogue import BACKBONES, ApplicationFile, Backbone, Scale


def grid(images, scale: Scale):
    """The last feature map of ResNet-50."""
    from kcars.backbones.blocks.applications import application

    return application("ResNet50", images.shape[1])(images)


BACKBONES.register(
    Backbone(
        "resnet50",
        grid,
        ("conv1_.*", "conv2_.*", "conv3_.*", "conv4_.*", "conv5_.*"),
        normalization="caffe",
        imagenet=ApplicationFile(
            "ResNet50",
            "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
            "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
        heat_grid="conv3_block4_out",
        short={"verify": "SRes50"},
    )
)
