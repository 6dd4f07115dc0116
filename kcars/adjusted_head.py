"""A trained classifier's head changed for rare classes, by how much validation photos say; nothing is learned anew."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcars.files import read_arrays, written_whole
from kcars.metrics import balanced_accuracy, confusion_matrix
from kcars.rare_classes import log_frequencies

FILE = "head.npz"
TAUS = {"logits": np.linspace(0, 2, 9), "tau_norm": np.linspace(0, 1, 11)}
DIGITS = 9  # Of balanced accuracies that count as equal: sums of the same recalls round otherwise.


@dataclass(frozen=True)
class AdjustedHead:
    """Logits are features (n, d) times `kernel` (d, classes) plus `bias` (classes,); kind and tau say how they were changed."""

    kind: str
    tau: float
    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        return features @ self.kernel + self.bias

    def on(self, network, target: str):
        """The classifier, a Keras model of pixels to {target: logits}, with this head in place of its own."""
        import keras

        head = keras.layers.Dense(len(self.bias), dtype="float32", name=target)
        logits = head(network.get_layer(target).input)
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
        """The change of a kind whose tau names features (n, d) best, by balanced accuracy; of equally good ones the smallest.

        head: kernel and bias as learned; photos: (classes,) that each class was learned from; labels: (n,).
        """
        heads = [cls(kind, float(tau), *CHANGES[kind](*head, photos, tau)) for tau in TAUS[kind]]
        scores = [_balanced(one.logits(features), labels) for one in heads]
        return heads[int(np.argmax(scores))]

    def save(self, folder: Path) -> None:
        with written_whole(folder / FILE, "wb") as file:
            np.savez(file, kernel=self.kernel, bias=self.bias)

    @classmethod
    def chosen(cls, adjusted: dict | None, folder: Path) -> "AdjustedHead | None":
        """That of a run's folder, where its scores say that they are by one; KcarsError where it is missing or damaged."""
        if not adjusted:
            return None
        again = f"kcars evaluate {folder} writes it anew"
        return cls(**adjusted, **read_arrays(folder / FILE, ("kernel", "bias"), again))

    def facts(self) -> dict:
        """What scores.json says of it."""
        return {"kind": self.kind, "tau": self.tau}


def told(adjusted: dict, protocol: str) -> str:
    """One line of the facts, for people; by protocol `paper` the test itself validates."""
    what = {
        "logits": "logits: less {tau:g} times the logarithm of class frequencies",
        "tau_norm": "class weights: divided by their norm to the power of {tau:g}",
    }[adjusted["kind"]]
    where = "the test" if protocol == "paper" else "validation"
    return f"{what.format(tau=adjusted['tau'])}, which was chosen on {where}"


def _less_frequencies(kernel: np.ndarray, bias: np.ndarray, photos: np.ndarray, tau: float):
    """Post-hoc logit adjustment (Menon et al. 2020, arXiv 2007.07314)."""
    return kernel, (bias - tau * log_frequencies(photos)).astype(np.float32)


def _by_norm(kernel: np.ndarray, bias: np.ndarray, photos: np.ndarray, tau: float):
    """tau-normalized classifier without a bias (Kang et al. 2020, arXiv 1910.09217); tau 0 leaves the head as it is."""
    if not tau:
        return kernel, bias
    norm = np.maximum(np.linalg.norm(kernel, axis=0), 1e-12)
    return (kernel / norm**tau).astype(np.float32), np.zeros_like(bias)


CHANGES: dict[str, Callable] = {"logits": _less_frequencies, "tau_norm": _by_norm}


def _balanced(logits: np.ndarray, labels: np.ndarray) -> float:
    return round(balanced_accuracy(confusion_matrix(labels, logits.argmax(1), logits.shape[1])), DIGITS)
