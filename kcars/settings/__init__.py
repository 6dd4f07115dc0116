"""What can be set: every section of a strategy, its ranges, its defaults, and what does not fit together."""

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
    """Settings are made of the losses that there are: they are made anew where one is registered later."""
    SecondLossSettings.model_rebuild(force=True)
    Strategy.model_rebuild(force=True)


LOSSES.when_changed(_with_all_losses)
