"""The losses of the catalogue as Keras losses."""

from typing import Any

import keras

from kcars.core.errors import KcarsError, one_of
from kcars.losses.catalogue import LOSSES


@keras.saving.register_keras_serializable(package="kcars")
class CatalogueLoss(keras.losses.Loss):
    """A loss of `LOSSES`, by name: one value per example, in float32 whatever the precision of the outputs.

    of_batch: use its form over all pairs of a batch of vectors.
    """

    def __init__(self, name: str, of_batch: bool = False, settings: dict | None = None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.of_batch, self.settings = of_batch, settings or {}
        record = LOSSES[name]
        values = record.of_batch if of_batch else record.values
        if values is None:
            raise KcarsError(
                f"loss {name}: has no form {'over all pairs of a batch' if of_batch else 'for single examples'}"
            )
        self._values = values

    def call(self, y_true, y_pred):
        """Loss values (n,); the file of the loss documents the shapes of labels and outputs."""
        return self._values(y_true, y_pred, **self.settings)

    def get_config(self):
        """The configuration that recreates the loss."""
        return {**super().get_config(), "of_batch": self.of_batch, "settings": self.settings}


def build_loss(name: str, of_batch: bool = False, **settings: Any) -> CatalogueLoss:
    """The loss called `name`; of_batch: in its form over all pairs of a batch.

    Raises:
        KcarsError: for an unknown name or setting; lists the known ones.
    """
    known = [one for one, record in LOSSES.items() if (record.of_batch if of_batch else record.values)]
    if name not in known:
        raise one_of("loss", name, known)
    parameters = LOSSES[name].parameters(of_batch)
    for setting in settings:
        if setting not in parameters:
            raise one_of(f"loss {name}, setting", setting, parameters)
    LOSSES[name].check(**settings)
    return CatalogueLoss(name, of_batch, settings)
