"""Features of photos by a frozen backbone, computed once for each photo and kept in the cache folder."""

import hashlib
import os

import keras
import numpy as np
from filelock import FileLock
from tqdm import tqdm

from kcars.core.environment import versions
from kcars.core.files import cache_folder, fingerprint, writable_folder
from kcars.models.feature_file import FeatureFile, photo_key
from kcars.models.networks import head_of
from kcars.models.outputs import Outputs, Pixels, output_values, read_ahead, view_outputs, views
from kcars.settings import Strategy

FEATURES_VERSION = 1


class Features:
    """Features of photos by the backbone of a network, with the views of a photo that scoring averages over.

    network: a classifier or embedder; store: reads pixels by PhotoTable row; progress: label of the progress bar; "": no bar.
    """

    def __init__(self, network: keras.Model, strategy: Strategy, store: Pixels, progress: str = ""):
        self._strategy, self._store, self._progress = strategy, store, progress
        self._backbone = network.get_layer(strategy.model.backbone)
        scored, size = strategy.evaluate, strategy.data.size_px
        shape = (len(views(size, scored.mirror, scored.shift)), self._backbone.output_shape[-1])
        folder = writable_folder(cache_folder() / "stores", "cache folder (KCARS_CACHE)")
        self._shape, self._path = shape, folder / f"{size}px-{_key(self._backbone, strategy)}.features"

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return features (n, views, d) float32 of PhotoTable rows (n,), in the same order."""
        batch = self._strategy.evaluate.batch
        distinct, inverse = np.unique(rows, return_inverse=True)
        parts = [distinct[start : start + batch] for start in range(0, len(distinct), batch)]
        keys = [photo_key(photo) for pixels in read_ahead(self._store.read, parts) for photo in pixels]
        with FileLock(f"{self._path}.lock"):  # A second process waits here until the features are computed.
            file = FeatureFile(self._path, self._shape)
            self._append(file, distinct, keys)
            if keys:
                os.utime(self._path)  # Marks the file as in use.
            return file.read(keys)[inverse]

    def outputs(self, network: keras.Model) -> Outputs:
        """Return a function from rows (n,) to the outputs (n, k) of a network with this backbone, averaged over the views."""
        head = head_of(network)

        def outputs(rows: np.ndarray) -> np.ndarray:
            features = self(rows)
            return np.mean([output_values(head(features[:, view])) for view in range(features.shape[1])], axis=0)

        return outputs

    def _append(self, file: FeatureFile, rows: np.ndarray, keys: list[bytes]) -> None:
        """Compute the features of photos that the file lacks, and append them batch by batch."""
        scored, missing = self._strategy.evaluate, file.missing(keys)
        parts = [missing[start : start + scored.batch] for start in range(0, len(missing), scored.batch)]
        bar = tqdm(total=len(missing), desc=self._progress, unit="photo", disable=None if self._progress else True)
        with bar:
            for part, pixels in zip(parts, read_ahead(self._store.read, [rows[part] for part in parts]), strict=True):
                seen = view_outputs(self._backbone, pixels, scored.batch, scored.mirror, scored.shift)
                file.append([keys[position] for position in part], np.stack(list(seen), 1))
                bar.update(len(part))


def _key(backbone: keras.Model, strategy: Strategy) -> str:
    """A fingerprint of everything that the features of given pixels depend on."""
    digest = hashlib.sha256()
    for array in backbone.get_weights():
        digest.update(np.ascontiguousarray(array).data)
    model, scored = strategy.model, strategy.evaluate
    network = [model.backbone, model.width, model.stem, model.normalization, model.pooling, digest.hexdigest()]
    return fingerprint(network, strategy.data.size_px, scored.mirror, scored.shift, versions(), FEATURES_VERSION)
