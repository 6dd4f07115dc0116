"""Losses by name: each returns one value an example, in float32 whatever the precision of the outputs."""

import inspect
import math

import keras
from keras import ops

from kcars.core.errors import KcarsError, one_of
from kcars.objectives.batch_losses import BATCH_LOSSES

SMALLEST = 1e-7


@keras.saving.register_keras_serializable(package="kcars")
class CrossEntropy(keras.losses.Loss):
    """Softmax cross entropy of logits (n, classes) and integer labels (n,), or rows of each class's share (n, classes).

    Label smoothing spreads that share of the label over all classes (Szegedy et al. 2015, arXiv 1512.00567). offsets: one
    number a class, added to the logits: with tau times the logarithm of class frequencies, the logits alone come out as
    those of a world where classes are as frequent (Menon et al. 2020, arXiv 2007.07314).
    """

    def __init__(
        self, label_smoothing: float = 0.0, offsets: list[float] | None = None, name="cross_entropy", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        self.label_smoothing, self.offsets = fraction("label_smoothing", label_smoothing), offsets

    def call(self, y_true, y_pred):
        logits = ops.cast(y_pred, "float32")
        if self.offsets is not None:
            logits = logits + weights(self.offsets)
        return smoothed_cross_entropy(one_hot(y_true, y_pred), logits, self.label_smoothing)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing, "offsets": self.offsets}


@keras.saving.register_keras_serializable(package="kcars")
class BinaryCrossEntropy(keras.losses.Loss):
    """-log p of the pair's kind, p = sigmoid(z): labels y (n,), 1 where the pair is the same, logits z (n,).

    What the paper's text says verification is trained with. Label smoothing moves labels that share towards 1/2.
    """

    def __init__(self, label_smoothing: float = 0.0, name="binary_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = fraction("label_smoothing", label_smoothing)

    def call(self, y_true, y_pred):
        same, logit = (ops.reshape(ops.cast(values, "float32"), (-1,)) for values in (y_true, y_pred))
        target = same * (1.0 - self.label_smoothing) + self.label_smoothing / 2
        return target * ops.softplus(-logit) + (1.0 - target) * ops.softplus(logit)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="kcars")
class Focal(keras.losses.Loss):
    """-alpha (1 - p)^gamma log p, p the softmax probability of the label (n,), from logits (n, classes).

    Lin et al. 2017, arXiv 1708.02002, in the softmax form that the paper used (gamma 2, alpha 1). alpha: one weight, or
    one of each class, of which the label's counts.
    """

    def __init__(self, gamma: float = 2.0, alpha: float | list[float] = 1.0, name="focal", **kwargs):
        super().__init__(name=name, **kwargs)
        self.gamma, self.alpha = float(gamma), alpha

    def call(self, y_true, y_pred):
        target = one_hot(y_true, y_pred)
        logarithm = ops.sum(target * ops.log_softmax(ops.cast(y_pred, "float32")), axis=-1)
        alpha = ops.sum(target * weights(self.alpha), axis=-1)
        return alpha * focus(-ops.expm1(logarithm), self.gamma) * -logarithm

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha}


@keras.saving.register_keras_serializable(package="kcars")
class SigmoidFocal(keras.losses.Loss):
    """Focal loss of one sigmoid a class, summed over the classes: labels (n,), logits (n, classes).

    Or of one sigmoid in all: labels (n,), 1 where a pair is the same, logits (n,). Lin et al. 2017, arXiv 1708.02002.
    One alpha weighs all alike, as in the softmax form: their balance of alpha for the label and 1 - alpha for the others
    would, at the paper's alpha of 1, ignore the others. alpha of each class weighs its sigmoid; for pairs it is
    [different, same], where [0.25, 0.75] is their balance.
    """

    def __init__(self, gamma: float = 2.0, alpha: float | list[float] = 1.0, name="sigmoid_focal", **kwargs):
        super().__init__(name=name, **kwargs)
        self.gamma, self.alpha = float(gamma), alpha

    def call(self, y_true, y_pred):
        logits = ops.cast(y_pred, "float32")
        if len(logits.shape) == 1:
            same = ops.reshape(ops.cast(y_true, "float32"), (-1,))
            alpha = ops.sum(ops.stack([1.0 - same, same], axis=-1) * weights(self.alpha), axis=-1)
            return alpha * self._one_sigmoid(same, logits)
        return ops.sum(weights(self.alpha) * self._one_sigmoid(one_hot(y_true, y_pred), logits), axis=-1)

    def _one_sigmoid(self, target, logits):
        signed = (2.0 * target - 1.0) * logits
        return focus(ops.sigmoid(-signed), self.gamma) * ops.softplus(-signed)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha}


@keras.saving.register_keras_serializable(package="kcars")
class Contrastive(keras.losses.Loss):
    """y d^2 + (1 - y) max(0, margin - d)^2, for y (n,), 1 where the pair is the same, and distances d (n,).

    Hadsell, Chopra and LeCun 2006, without their factor 1/2, as the paper has it. (n, 1) works too.
    """

    def __init__(self, margin: float = 1.0, name="contrastive", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = float(margin)

    def call(self, y_true, y_pred):
        same = ops.reshape(ops.cast(y_true, "float32"), (-1,))
        distance = ops.reshape(ops.cast(y_pred, "float32"), (-1,))
        apart = ops.square(ops.maximum(self.margin - distance, 0.0))
        return same * ops.square(distance) + (1.0 - same) * apart

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="kcars")
class ArcFace(keras.losses.Loss):
    """Cross entropy of scaled cosines, the label's angle widened by `margin` radians first.

    Labels (n,), cosines (n, classes) in [-1, 1]; Deng et al. 2019, arXiv 1801.07698.

    Raises:
        KcarsError: a margin outside 0 to pi / 2, where the logit would not fall with the angle.
    """

    def __init__(
        self, scale: float = 64.0, margin: float = 0.5, label_smoothing: float = 0.0, name="arcface", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        if not 0.0 <= margin <= math.pi / 2:
            raise KcarsError(f"arcface margin: {margin} is not allowed; choose radians from 0 to pi / 2")
        self.scale, self.margin = float(scale), float(margin)
        self.label_smoothing = fraction("label_smoothing", label_smoothing)

    def call(self, y_true, y_pred):
        cosines, target = ops.cast(y_pred, "float32"), one_hot(y_true, y_pred)
        logits = self.scale * ops.where(target > 0.5, self.with_margin(cosines), cosines)
        return smoothed_cross_entropy(target, logits, self.label_smoothing)

    def with_margin(self, cosines):
        """cos(angle + margin) without acos, whose gradient at -1 and 1 is infinite.

        Past angle = pi - margin that cosine would rise again: a straight line goes on falling there.
        """
        sines = ops.sqrt(ops.maximum(1.0 - ops.square(cosines), SMALLEST))
        widened = cosines * math.cos(self.margin) - sines * math.sin(self.margin)
        beyond = cosines - self.margin * math.sin(self.margin)
        return ops.where(cosines > -math.cos(self.margin), widened, beyond)

    def get_config(self):
        settings = {"scale": self.scale, "margin": self.margin, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **settings}


@keras.saving.register_keras_serializable(package="kcars")
class NormalisedSoftmax(ArcFace):
    """Cross entropy of scaled cosines without a margin (Wang et al. 2017, arXiv 1704.06369)."""

    def __init__(self, scale: float = 16.0, label_smoothing: float = 0.0, name="normalised_softmax", **kwargs):
        super().__init__(scale, 0.0, label_smoothing, name=name, **kwargs)

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "margin"}


@keras.saving.register_keras_serializable(package="kcars")
class LDAM(keras.losses.Loss):
    """Cross entropy of labels (n,) and scaled cosines (n, classes), the label's cosine less its class's margin first.

    Cao et al. 2019, arXiv 1906.07413. scale: what the cosines have been multiplied by; margin: of cosines, one number, or
    one of each class, larger the rarer it is (`class_weights.rare_margins`).
    """

    def __init__(self, scale: float = 30.0, margin: float | list[float] = 0.5, name="ldam", **kwargs):
        super().__init__(name=name, **kwargs)
        self.scale, self.margin = float(scale), margin

    def call(self, y_true, y_pred):
        target = one_hot(y_true, y_pred)
        logits = ops.cast(y_pred, "float32") - target * (self.scale * weights(self.margin))
        return smoothed_cross_entropy(target, logits, 0.0)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "margin": self.margin}


LOSSES = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "focal": Focal,
    "sigmoid_focal": SigmoidFocal,
    "contrastive": Contrastive,
    "arcface": ArcFace,
    "normalised_softmax": NormalisedSoftmax,
    "ldam": LDAM,
}


def build_loss(name: str, of_batch: bool = False, **settings) -> keras.losses.Loss:
    """The loss called `name`; of_batch: the one of that name of all pairs of a batch.

    Raises:
        KcarsError: an unknown name or setting; the known ones are listed.
    """
    losses = BATCH_LOSSES if of_batch else LOSSES
    if name not in losses:
        raise one_of("loss", name, losses)
    parameters = inspect.signature(losses[name]).parameters
    known = [setting for setting in parameters if setting not in ("name", "kwargs")]
    for setting in settings:
        if setting not in known:
            raise one_of(f"loss {name}, setting", setting, known)
    return losses[name](**settings)


def one_hot(labels, outputs):
    """Labels (n,) or (n, 1), of any number type, as float32 rows as wide as `outputs` (n, classes); such rows as they are."""
    if are_rows(labels, outputs):
        return ops.cast(labels, "float32")
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
    return ops.one_hot(labels, outputs.shape[-1], dtype="float32")


def are_rows(labels, outputs) -> bool:
    """Whether labels tell each class's share, (n, classes) as `outputs` are, and not its number, (n,) or (n, 1)."""
    return len(labels.shape) == 2 and labels.shape[-1] == outputs.shape[-1] > 1


def smoothed_cross_entropy(target, logits, smoothing: float):
    """Cross entropy (n,) of rows of each class's share, the share `smoothing` of each spread evenly over all classes."""
    target = target * (1.0 - smoothing) + smoothing / target.shape[-1]
    return -ops.sum(target * ops.log_softmax(ops.cast(logits, "float32")), axis=-1)


def weights(alpha: float | list[float]):
    """One number, or one of each class (classes,), as a float32 array that goes with rows of classes."""
    return ops.convert_to_tensor(alpha, dtype="float32")


def focus(doubt, gamma: float):
    """doubt^gamma; held above 0, where powers below 1 have no finite gradient."""
    return ops.power(ops.maximum(doubt, SMALLEST), gamma)


def fraction(what: str, value: float) -> float:
    """`value`, which must lie from 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise KcarsError(f"{what}: {value} is not a share; choose a number from 0 to 1")
    return float(value)
