"""The focal loss with sigmoids, as published."""

from typing import Literal

from kcars.losses.alpha import AlphaSettings
from kcars.losses.catalogue import LOSSES, Loss


class SigmoidFocalSettings(AlphaSettings):
    """Settings of `loss.name: sigmoid_focal`."""

    name: Literal["sigmoid_focal"]


def values(labels, logits, *, gamma: float = 2.0, alpha: float | list[float] = 1.0):
    """Focal loss of one sigmoid per class, summed over the classes: labels (n,), logits (n, classes).

    For pairs, of one sigmoid: labels (n,), 1 for same pairs, logits (n,). Lin et al. 2017, arXiv 1708.02002.
    A single alpha weights all sigmoids equally, as in the softmax form: the published weights alpha for the label and
    1 - alpha for the others would, at the paper's alpha of 1, ignore the others. A list has one alpha per class, or for pairs
    [different, same], for which [0.25, 0.75] are the published weights.
    """
    from keras import ops

    from kcars.losses.parts import one_hot, weights

    numbers = ops.cast(logits, "float32")
    if len(numbers.shape) == 1:
        same = ops.reshape(ops.cast(labels, "float32"), (-1,))
        weight = ops.sum(ops.stack([1.0 - same, same], axis=-1) * weights(alpha), axis=-1)
        return weight * _one_sigmoid(same, numbers, gamma)
    return ops.sum(weights(alpha) * _one_sigmoid(one_hot(labels, logits), numbers, gamma), axis=-1)


def _one_sigmoid(target, logits, gamma: float):
    from keras import ops

    from kcars.losses.parts import focus

    signed = (2.0 * target - 1.0) * logits
    return focus(ops.sigmoid(-signed), gamma) * ops.softplus(-signed)


LOSSES.register(Loss("sigmoid_focal", SigmoidFocalSettings, ("logits", "pair_logit"), values))
