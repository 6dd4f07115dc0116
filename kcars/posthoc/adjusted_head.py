"""Adjusts the head of a trained classifier for rare classes, without further training.

Kinds `logits` and `tau_norm` adjust the trained head by an amount chosen on validation photos; `class_means` replaces it by
the mean features of each class's training photos.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kcars.metrics.class_weights import log_frequencies
from kcars.metrics.scores import balanced_accuracy, confusion_matrix
from kcars.untrusted.run_folder import RunFolder

if TYPE_CHECKING:
    import keras  # The import takes seconds.

FILE = "head.npz"  # Or the name in scores.json (`score_files`).
TAUS = {"logits": np.linspace(0, 2, 9), "tau_norm": np.linspace(0, 1, 11)}
DIGITS = 9  # Balanced accuracies equal to this many digits are ties: sums of the same recalls may round differently.
SCALE = 16.0  # Logits of class means are cosines times this; the temperature is fitted afterwards.
NEVER = -1e4  # The logit of a class without a training photo: below any other, and finite.


@dataclass(frozen=True)
class AdjustedHead:
    """A linear head: logits are features (n, d) times `kernel` (d, classes) plus `bias` (classes,).

    kind, tau: how it was adjusted. tau: chosen on validation; None for kind `class_means`, where features are first centred
    at `centre` (d,) and L2-normalized.
    """

    kind: str
    tau: float | None
    kernel: np.ndarray
    bias: np.ndarray
    centre: np.ndarray | None = None

    def logits(self, features: np.ndarray) -> np.ndarray:
        features = features if self.centre is None else _directions(features, self.centre)
        return features @ self.kernel + self.bias

    def on(self, network: "keras.Model", target: str) -> "keras.Model":
        """The classifier, a Keras model from pixels to {target: logits}, with this head instead of its own."""
        import keras

        features = network.get_layer(target).input
        if self.centre is not None:
            features = keras.layers.Rescaling(1.0, (-self.centre).tolist(), dtype="float32")(features)
            features = keras.layers.UnitNormalization(dtype="float32")(features)
        head = keras.layers.Dense(len(self.bias), dtype="float32", name=target)
        logits = head(features)
        head.set_weights([self.kernel, self.bias])
        return keras.Model(network.input, {target: logits}, name=network.name)

    @classmethod
    def choose(
        cls,
        kind: str,
        head: tuple[np.ndarray, np.ndarray],
        photos: np.ndarray,
        features: np.ndarray,
        labels: np.ndarray,
    ) -> "AdjustedHead":
        """Choose the tau with the best balanced accuracy on features (n, d), the smallest of equally good ones.

        head: trained kernel and bias; photos: (classes,) numbers of training photos; labels: (n,).
        """
        heads = [cls(kind, float(tau), *CHANGES[kind](*head, photos, tau)) for tau in TAUS[kind]]
        scores = [_balanced(one.logits(features), labels) for one in heads]
        return heads[int(np.argmax(scores))]

    @classmethod
    def of_class_means(cls, features: np.ndarray, labels: np.ndarray, classes: int) -> "AdjustedHead":
        """A head that predicts the class whose mean has the smallest angle to a photo, after subtracting the common mean.

        SimpleShot with centred, L2-normalized features (Wang et al. 2019, arXiv 1911.04623), but with normalized means, as for
        long tails (Kang et al. 2020, arXiv 1910.09217): the mean of few photos is longer, because individual deviations do not
        cancel out, so distances would disadvantage rare classes. features (n, d), labels (n,): of all training photos.
        """
        centre = features.mean(0, dtype=np.float64).astype(np.float32)
        directions = _directions(features, centre)
        means, bias = np.zeros((classes, features.shape[1])), np.full(classes, NEVER, np.float32)
        for label in np.unique(labels):
            means[label], bias[label] = directions[labels == label].mean(0, dtype=np.float64), 0
        return cls("class_means", None, (SCALE * _at_length_1(means).T).astype(np.float32), bias, centre)

    def content(self) -> bytes:
        """The content of its file; equal for equal heads."""
        arrays = {"kernel": self.kernel, "bias": self.bias}
        content = io.BytesIO()
        arrays = arrays if self.centre is None else arrays | {"centre": self.centre}
        np.savez(content, **arrays)  # pyright: ignore[reportArgumentType]  No array is named allow_pickle.
        return content.getvalue()

    def save(self, folder: Path) -> None:
        RunFolder(folder).write_bytes(FILE, self.content())

    @classmethod
    def chosen(cls, adjusted: Mapping[str, Any] | None, folder: Path, name: str = FILE) -> "AdjustedHead | None":
        """The head in a run folder, if its scores use one; raises KcarsError if it is missing or damaged."""
        if not adjusted:
            return None
        names = ("kernel", "bias", "centre") if adjusted["kind"] == "class_means" else ("kernel", "bias")
        return cls(adjusted["kind"], adjusted["tau"], **RunFolder(folder).read_arrays(name, names))

    def fits(self, features: int, classes: int) -> bool:
        """Whether it has this number of features and classes."""
        shapes = (self.kernel.shape, self.bias.shape, None if self.centre is None else self.centre.shape)
        return shapes == ((features, classes), (classes,), None if self.centre is None else (features,))

    def facts(self) -> dict[str, Any]:
        """Its entry in scores.json."""
        return {"kind": self.kind, "tau": self.tau}


def told(adjusted: Mapping[str, Any], protocol: str) -> str:
    """One line that describes the adjustment; with protocol `paper` validation uses the test set itself."""
    if adjusted["kind"] == "class_means":
        return "logits: angle to the mean of each class's training photos"
    what = {
        "logits": "logits: minus {tau:g} times the logarithm of class frequencies",
        "tau_norm": "class weights: divided by their norm to the power of {tau:g}",
    }[adjusted["kind"]]
    where = "the test" if protocol == "paper" else "validation"
    return f"{what.format(tau=adjusted['tau'])}, chosen on {where}"


def _less_frequencies(
    kernel: np.ndarray, bias: np.ndarray, photos: np.ndarray, tau: float
) -> tuple[np.ndarray, np.ndarray]:
    """Post-hoc logit adjustment (Menon et al. 2020, arXiv 2007.07314)."""
    return kernel, (bias - tau * log_frequencies(photos)).astype(np.float32)


def _by_norm(kernel: np.ndarray, bias: np.ndarray, photos: np.ndarray, tau: float) -> tuple[np.ndarray, np.ndarray]:
    """tau-normalized classifier without a bias (Kang et al. 2020, arXiv 1910.09217); tau 0 leaves the head as it is."""
    if not tau:
        return kernel, bias
    norm = np.maximum(np.linalg.norm(kernel, axis=0), 1e-12)
    return (kernel / norm**tau).astype(np.float32), np.zeros_like(bias)


_Change = Callable[[np.ndarray, np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]
CHANGES: dict[str, _Change] = {"logits": _less_frequencies, "tau_norm": _by_norm}


def _directions(features: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return _at_length_1(features - centre)


def _at_length_1(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _balanced(logits: np.ndarray, labels: np.ndarray) -> float:
    return round(balanced_accuracy(confusion_matrix(labels, logits.argmax(1), logits.shape[1])), DIGITS)
