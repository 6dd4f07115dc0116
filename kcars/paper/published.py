"""The paper's tables, a row a strategy, as `configs/published.csv` holds them; of our own strategies their size alone."""

import csv
from dataclasses import dataclass

from kcars.settings.strategy import configs_folder

SCORES = ("accuracy", "balanced_accuracy", "top5", "f1", "roc_auc", "precision", "recall")


@dataclass(frozen=True)
class Published:
    """table: "I" to "IV", "" for our own; parameters_m: millions; scores: those that the paper gives, by name."""

    table: str
    parameters_m: float
    scores: dict[str, float]
    best_epoch: int | None
    learning_rate: str
    seconds_per_epoch: float | None


def published() -> dict[str, Published]:
    """What is known of each shipped strategy before it is trained."""
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
