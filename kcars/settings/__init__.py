"""What can be set: every section of a strategy, its ranges, its defaults, and what does not fit together."""

from kcars.settings.balance import BalanceSettings
from kcars.settings.base import Settings
from kcars.settings.data import DataSettings
from kcars.settings.evaluate import EvaluateSettings
from kcars.settings.loss import BATCH_LOSSES, LOSS_SETTINGS, LOSSES_OF, MARGIN_LOSSES
from kcars.settings.model import ModelSettings
from kcars.settings.train import FineTuneSettings, PlateauSettings, TrainSettings
from kcars.settings.whole import DIFFICULTIES, TASKS, Strategy

__all__ = [
    "BATCH_LOSSES",
    "DIFFICULTIES",
    "LOSSES_OF",
    "LOSS_SETTINGS",
    "MARGIN_LOSSES",
    "TASKS",
    "BalanceSettings",
    "DataSettings",
    "EvaluateSettings",
    "FineTuneSettings",
    "ModelSettings",
    "PlateauSettings",
    "Settings",
    "Strategy",
    "TrainSettings",
]
