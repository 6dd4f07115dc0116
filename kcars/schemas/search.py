"""The schema of search.json: a hyperparameter search and its trials."""

from typing import Literal, Self

from pydantic import NonNegativeFloat, PositiveInt, model_validator

from kcars.schemas import Part


class TrialFacts(Part):
    number: PositiveInt
    sampled: dict[str, int | float | str]
    state: Literal["running", "complete", "failed"] = "running"
    score: float | None = None
    epoch: PositiveInt | None = None
    seconds: NonNegativeFloat | None = None
    why: str = ""

    @model_validator(mode="after")
    def _complete_has_a_score(self) -> Self:
        if self.state == "complete" and None in (self.score, self.epoch, self.seconds):
            raise ValueError("a complete trial has score, epoch and seconds")
        return self


class SearchFile(Part):
    format: int
    settings: dict
    space: list[str]
    data: str
    trials: list[TrialFacts]

    @model_validator(mode="after")
    def _numbered_from_1(self) -> Self:
        if [trial.number for trial in self.trials] != list(range(1, len(self.trials) + 1)):
            raise ValueError("trials are not numbered consecutively from 1")
        if any(trial.state == "running" for trial in self.trials[:-1]):
            raise ValueError("only the last trial may be running")
        return self
