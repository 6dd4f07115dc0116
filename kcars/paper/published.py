"""The paper's tables in `configs/published.csv`, one row per strategy; for our own strategies, only their size."""

import csv
from dataclasses import dataclass

from kcars.settings.strategy import configs_folder

SCORES = ("accuracy", "balanced_accuracy", "top5", "f1", "roc_auc", "precision", "recall")


@dataclass(frozen=True)
class Published:
    """A row. table: "I" to "IV", "" for our own; parameters_m: millions; scores: the paper's, by name."""

    table: str
    parameters_m: float
    scores: dict[str, float]
    best_epoch: int | None
    learning_rate: str
    seconds_per_epoch: float | None


def published() -> dict[str, Published]:
    """Return the published row of each shipped strategy."""
    with (configs_folder() / "published.csv").open(encoding="utf-8", newline="") as file:
        return {row["strategy"]: _published(row) for row in csv.DictReader(file)}


def _published(row: dict[str, str]) -> Published:
    return Published(
        row["table"],
        float(row["params_m"]),
        {name: float(row[name]) for name in SCORES if row[name]},
        int(row["best_epoch"]) if row["best_epoch"] else None,
        row["lr"],
        float(row["seconds_per_epoch"]) if row["seconds_per_epoch"] else None,
    )
