"""Fine-tuning: unfreezes the backbone stage by stage, after the head."""

import keras

from kcars.models.stages import stages
from kcars.settings import FineTuneSettings


class FineTuning:
    """Freezes and unfreezes layers of a backbone by epoch; without settings all layers are trained."""

    def __init__(self, backbone: keras.Model, settings: FineTuneSettings | None):
        self.settings, self.stages = settings, stages(backbone)
        self.thawed: int | None = None

    def changes(self, epochs: int) -> list[int]:
        """Return the epochs, from 0, in which other layers are unfrozen."""
        return [epoch for epoch in range(1, epochs) if self._learning(epoch) != self._learning(epoch - 1)]

    def enter(self, epoch: int) -> bool:
        """Freeze and unfreeze layers for this epoch; return whether anything changed since the last call."""
        learning = self._learning(epoch)
        if self.settings is None or learning == self.thawed:
            return False
        self.thawed = learning
        for number, stage in enumerate(self.stages):
            thawed = number >= len(self.stages) - learning
            for layer in stage:
                frozen_norm = self.settings.batch_norm == "frozen" and _is_batch_norm(layer)
                layer.trainable = thawed and not frozen_norm
        return True

    def thaw_all(self) -> None:
        """Unfreeze all layers that are ever trained, so that the optimizer creates their variables."""
        if self.settings:
            self.enter(self.settings.head_epochs + self.settings.epochs_per_stage * len(self.stages))

    def _learning(self, epoch: int) -> int:
        """Return the number of trained stages, from the head."""
        if self.settings is None:
            return len(self.stages)
        most = len(self.stages) - self.settings.frozen_stages
        if epoch < self.settings.head_epochs:
            return 0
        if not self.settings.epochs_per_stage:
            return most
        return min(most, 1 + (epoch - self.settings.head_epochs) // self.settings.epochs_per_stage)


def _is_batch_norm(layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)
