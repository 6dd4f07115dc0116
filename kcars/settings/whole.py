"""A whole strategy."""

from typing import Literal

from pydantic import Field, model_validator

from kcars.core.base_settings import Settings, affects, of_task
from kcars.settings.balance import BalanceSettings
from kcars.settings.data import DataSettings
from kcars.settings.evaluate import EvaluateSettings
from kcars.settings.fits import FITS
from kcars.settings.loss import LossSettings, SecondLossSettings
from kcars.settings.model import ModelSettings
from kcars.settings.renamed import with_present_names
from kcars.settings.train import TrainSettings

TASKS = ("classify", "verify")
DIFFICULTIES = ("easy", "medium", "hard")


class Strategy(Settings):
    """Everything that decides a run, but the dataset's place."""

    about: str = Field(
        default="", description="one line that `kcars strategies` prints", json_schema_extra=affects("conditions")
    )
    task: Literal["classify", "verify"] = Field(
        description="classify: name the make or model; verify: decide whether two photos show the same",
        json_schema_extra=affects("measurement"),
    )
    target: Literal["make", "model"] = Field(
        default="model", description="the label that is predicted", json_schema_extra=affects("measurement")
    )
    difficulty: Literal["easy", "medium", "hard"] = Field(
        default="hard",
        description="verify: whose validation pairs choose the best epoch; medium when the target is make",
        json_schema_extra=affects("measurement") | of_task("verify"),
    )
    data: DataSettings
    model: ModelSettings
    loss: LossSettings
    second_loss: SecondLossSettings | None = Field(
        default=None, description="verify, order pk: added to a loss of cosines"
    )
    balance: BalanceSettings = Field(default_factory=BalanceSettings)
    train: TrainSettings
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings, json_schema_extra=affects("measurement"))

    @model_validator(mode="before")
    @classmethod
    def _with_present_names(cls, settings):
        return with_present_names(settings)

    @model_validator(mode="before")
    @classmethod
    def _difficulty_of_target(cls, settings):
        # Hard pairs are all of one make: labelled by make, nothing is left to tell apart.
        if isinstance(settings, dict) and settings.get("target") == "make" and "difficulty" not in settings:
            return {**settings, "difficulty": "medium"}
        return settings

    @property
    def learns_pairs(self) -> bool:
        """Whether training learns from random pairs of photos, not from photos of classes."""
        return self.data.order == "pairs"

    @property
    def learned(self) -> str:
        """The classes that training learns, "make" or "model"; what is decided is the target, and random pairs are of that."""
        return "model" if self.data.classes == "model" and not self.learns_pairs else self.target

    @property
    def monitored_difficulty(self) -> str:
        """The difficulty whose pairs choose epoch and threshold: that of the strategy, where its labels are defined."""
        hard_by_make = self.target == "make" and self.difficulty == "hard" and self.evaluate.protocol == "honest"
        return "medium" if hard_by_make else self.difficulty

    @model_validator(mode="after")
    def _fits_together(self):
        for fits in FITS:
            fits(self)
        return self
