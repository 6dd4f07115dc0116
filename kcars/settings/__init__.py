"""The settings of a strategy: sections, ranges, defaults, and checks of settings that conflict."""

from kcars.core.base_settings import Settings
from kcars.losses.catalogue import LOSSES
from kcars.settings.balance import BalanceSettings
from kcars.settings.data import DataSettings
from kcars.settings.evaluate import EvaluateSettings
from kcars.settings.loss import SecondLossSettings
from kcars.settings.model import ModelSettings
from kcars.settings.train import FineTuneSettings, PlateauSettings, TrainSettings
from kcars.settings.whole import DIFFICULTIES, TASKS, Strategy

__all__ = [
    "DIFFICULTIES",
    "TASKS",
    "BalanceSettings",
    "DataSettings",
    "EvaluateSettings",
    "FineTuneSettings",
    "ModelSettings",
    "PlateauSettings",
    "SecondLossSettings",
    "Settings",
    "Strategy",
    "TrainSettings",
]


def _with_all_losses() -> None:
    """Rebuilds the settings classes whenever a loss is registered."""
    SecondLossSettings.model_rebuild(force=True)
    Strategy.model_rebuild(force=True)


LOSSES.when_changed(_with_all_losses)
