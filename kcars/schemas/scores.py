"""The schema of scores.json: the scores of a run on the test set, and its decision thresholds.

`null` is an undefined number, such as a score of pairs that are all same or all different.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from kcars.schemas import Part, Sha256, Share

Difficulty = Literal["easy", "medium", "hard"]


class Entry(Part):
    """A score and its 95 % interval, if it has one."""

    value: float | None
    low: float | None
    high: float | None

    @model_validator(mode="after")
    def _an_interval_has_two_ends(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends")
        return self


class Answered(Part):
    """Risk and coverage by confidence threshold, as returned by `calibration.risk_coverage`."""

    least: list[Share]
    coverage: list[Share]
    risk: list[Share]

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if not len(self.least) == len(self.coverage) == len(self.risk):
            raise ValueError("least, coverage and risk differ in length")
        return self


class Decision(Part):
    """temperature: for a classifier; the others for a verifier. Earlier versions of kcars wrote fewer of them."""

    temperature: PositiveFloat | None = None
    threshold: float | None = None
    scale: NonNegativeFloat | None = None
    offset: float | None = None
    answered: Answered | None = None


class Adjusted(Part):
    """The head that replaced the trained one; tau: chosen by validation, missing for class means."""

    kind: Literal["logits", "tau_norm", "class_means"]
    tau: float | None = None

    @model_validator(mode="after")
    def _tau_where_it_is_chosen(self) -> Self:
        if (self.tau is None) != (self.kind == "class_means"):
            raise ValueError("tau does not fit the kind")
        return self


class Files(Part):
    """Names of the files used for prediction, as chosen by `score_files`."""

    metric: Literal["metric.npz", "metric.other.npz"] = "metric.npz"
    head: Literal["head.npz", "head.other.npz"] = "head.npz"


class Counts(Part):
    test_photos: NonNegativeInt
    test_photos_of_unknown_classes: NonNegativeInt
    missing_photos: NonNegativeInt
    bad_photos: list[str]


class Cost(Part):
    size_px: PositiveInt
    parameters: Annotated[int, Field(ge=0, le=10**15)]  # What is computed with it stays finite.
    multiply_adds: NonNegativeFloat
    photos_per_epoch: NonNegativeInt
    seconds_per_epoch: NonNegativeFloat
    epochs: PositiveInt


class Views(Part):
    """Views of each photo over which outputs were averaged."""

    mirror: bool
    shift: Annotated[float, Field(ge=0, lt=1)]


class ScoresFile(Part):
    """The whole file; newer keys are optional, because earlier versions did not write them."""

    protocol: Literal["honest", "paper"]
    strategy: str
    finished: bool
    task: Literal["classify", "verify"]
    target: Literal["make", "model"]
    learned: Literal["make", "model"] = "model"
    difficulty: Difficulty | None
    deciding: Difficulty | None = None
    metric: Literal["euclidean", "whitened", "lda", "weighted_lda"] | None = None
    adjusted: Adjusted | None = None
    files: Files = Files()
    views: Views | None = None
    tables: dict[str, Sha256] = {}
    data_fingerprint: str
    best_epoch: PositiveInt
    kept: Literal["best", "last"] | None = None
    folds: NonNegativeInt = 0
    decision: Decision
    validation: dict[str, float | None] = {}
    counts: Counts
    cost: Cost | None = None
    scores: dict[str, Entry]
    baselines: dict[str, dict[str, float | None]]

    @model_validator(mode="after")
    def _of_its_task(self) -> Self:
        if self.task == "classify" and self.deciding or (self.task == "verify") != (self.difficulty is not None):
            raise ValueError(f"difficulty and deciding do not fit task {self.task}")
        return self
