"""The whole strategy: all sections and the settings that belong to none."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from kcars.core.base_settings import Settings, affects, is_mapping, of_task
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
UNUSED_BY_FROZEN_FEATURES = {"epochs": 1, "batch": 64, "learning_rate": 1e-3}


class Strategy(Settings):
    """All settings of a run except the path of the dataset."""

    about: str = Field(
        default="", description="one-line summary for `kcars strategies`", json_schema_extra=affects("conditions")
    )
    task: Literal["classify", "verify"] = Field(
        description="classify: predict the make or model; verify: decide whether two photos show the same make or model",
        json_schema_extra=affects("measurement"),
    )
    target: Literal["make", "model"] = Field(
        default="model", description="label to predict or compare", json_schema_extra=affects("measurement")
    )
    difficulty: Literal["easy", "medium", "hard"] = Field(
        default="hard",
        description="verify: difficulty of the validation pairs that choose the best epoch; medium for target make",
        json_schema_extra=affects("measurement") | of_task("verify"),
    )
    data: DataSettings
    model: ModelSettings
    loss: LossSettings
    second_loss: SecondLossSettings | None = Field(
        default=None, description="verify, order pk: a second loss, added to a loss of cosines"
    )
    balance: BalanceSettings = Field(default_factory=BalanceSettings)
    train: TrainSettings
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings, json_schema_extra=affects("measurement"))

    @model_validator(mode="before")
    @classmethod
    def _with_present_names(cls, settings: Any) -> Any:
        return with_present_names(settings)

    @model_validator(mode="before")
    @classmethod
    def _unused_by_frozen_features(cls, settings: Any) -> Any:
        """Fill in the required settings of gradient descent, which frozen features do not use."""
        if not (is_mapping(settings) and is_mapping(train := settings.get("train"))):
            return settings
        if train.get("method") != "frozen_features":
            return settings
        loss = {"classify": "cross_entropy"}.get(str(settings.get("task")), "arcface")
        return {"loss": {"name": loss}, **settings, "train": UNUSED_BY_FROZEN_FEATURES | train}

    @model_validator(mode="before")
    @classmethod
    def _difficulty_of_target(cls, settings: Any) -> Any:
        # All hard pairs are of the same make, so with target make they would all be the same.
        if is_mapping(settings) and settings.get("target") == "make" and "difficulty" not in settings:
            return {**settings, "difficulty": "medium"}
        return settings

    @property
    def learns_pairs(self) -> bool:
        """Whether training uses random pairs of photos instead of photos with classes."""
        return self.data.order == "pairs"

    @property
    def frozen(self) -> bool:
        """Whether the backbone is frozen, and only a head is fitted to its features."""
        return self.train.method == "frozen_features"

    @property
    def learned(self) -> str:
        """The classes used in training, "make" or "model"; evaluation and random pairs use the target."""
        return "model" if self.data.classes == "model" and not self.learns_pairs else self.target

    @property
    def monitored_difficulty(self) -> str:
        """The difficulty of the pairs that choose epoch and threshold: the strategy's, or medium if that has no labels."""
        hard_by_make = self.target == "make" and self.difficulty == "hard" and self.evaluate.protocol == "honest"
        return "medium" if hard_by_make else self.difficulty

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for fits in FITS:
            fits(self)
        return self
