"""Pictures and texts of a run for TensorBoard: examples at its start, curves of validation after every epoch."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcars.core.plain_text import printable
from kcars.data.photo_table import Classes
from kcars.metrics.curves import FALSE_POSITIVE_RATES
from kcars.posthoc.decision import PairDecision
from kcars.runs.run import Run
from kcars.settings.strategy import to_yaml
from kcars.tasks.plan import Plan
from kcars.training.tensorboard import drawings
from kcars.training.tensorboard.board import Board, NoBoard

EXAMPLES = "training/photos after augmentation"
PHOTOS, PHOTO_COLUMNS, PAIRS, PAIR_COLUMNS = 24, 6, 15, 3
DESCRIPTIONS = {
    EXAMPLES: "The beginning of the first batch, as the network is fed.",
    "validation/ROC curves": "Pairs of held-out photos: how many same pairs are accepted where so many different ones are.",
    "validation/distances of pairs": "The less the two kinds overlap, the better they are told apart.",
    "validation/confusion matrix": "Held-out photos: each row is what photos of one class were taken for.",
}


class Curves(keras.callbacks.Callback):
    """Keeps the ROC curves of every epoch's validation, and draws it for TensorBoard.

    latest: what the scoring, which stands before this callback, found in this epoch: `Result.curves`.
    """

    def __init__(self, plan: Plan, record: Callable[[list], None], board: Board | NoBoard):
        """record: called with rows [epoch, difficulty, true positive rates], where there are any."""
        super().__init__()
        self.plan, self.record, self.board = plan, record, board
        self.latest, self.rows, self.cells = {}, [], 2 + len(FALSE_POSITIVE_RATES)

    def on_epoch_end(self, epoch, logs: dict[str, Any]):
        rows = [[epoch + 1, name, *curve.round(6).tolist()] for name, curve in _part(self.latest, "roc").items()]
        if rows:
            self.rows += rows
            self.record(self.rows)
        if not self.board.is_seen:
            return
        with drawings.in_own_style():
            for tag, figure in figures(self.latest, self.plan, epoch + 1, logs).items():
                self.board.image(tag, epoch + 1, drawings.pixels(figure), DESCRIPTIONS[tag])

    def state(self) -> dict:
        return {"rows": self.rows}

    def restore(self, state: dict) -> None:
        self.rows = state["rows"]
        if self.rows:
            self.record(self.rows)


def figures(curves: dict[str, np.ndarray], plan: Plan, epoch: int, logs: dict[str, float]) -> dict:
    """Tag -> figure of what validation found after an epoch; logs: with the history columns of its scores."""
    title, found = f"validation after epoch {epoch}", {}
    if roc := _part(curves, "roc"):
        lines = {f"{name}: AUC {logs[f'val_{name}_roc_auc']:.3f}": curve for name, curve in roc.items()}
        lines = {name: (FALSE_POSITIVE_RATES, curve) for name, curve in lines.items()}
        found["validation/ROC curves"] = drawings.roc_curves(lines, title)
        panels = {f"{name} pairs": histogram for name, histogram in _part(curves, "distances").items()}
        threshold = PairDecision.of({"threshold": logs["val_threshold"]}).threshold
        found["validation/distances of pairs"] = drawings.distance_histograms(panels, threshold, title)
    if "confusion" in curves:
        confusion, names, makes = by_name(curves["confusion"], plan.classes)
        found["validation/confusion matrix"] = drawings.confusion_matrix(confusion, names, makes, title)
    return found


def by_name(confusion: np.ndarray, classes: Classes) -> tuple[np.ndarray, list[str], list[str] | None]:
    """The matrix with its classes in the order of their names, models of one make side by side; names; their makes."""
    names, makes = classes.full_names(), classes.makes
    order = sorted(range(len(names)), key=lambda place: ([*makes, *names][place].casefold(), names[place].casefold()))
    return (
        confusion[np.ix_(order, order)],
        [names[place] for place in order],
        [makes[place] for place in order] if makes else None,
    )


def begin(board: Board | NoBoard, run: Run, plan: Plan, stream) -> None:
    """Write what is known before the first epoch: settings, data, and examples of what the network is fed."""
    board.text("settings", f"```yaml\n{to_yaml(plan.strategy)}```")
    board.text("data", data_table(run.facts()))
    if not board.shows(EXAMPLES, 0):
        with drawings.in_own_style():
            inputs, labels, *_ = stream.batch(0)
            figure = examples(inputs, labels, plan.classes)
            board.image(EXAMPLES, 0, drawings.pixels(figure), DESCRIPTIONS[EXAMPLES])


def data_table(facts: dict) -> str:
    """What run.json says of the data and of versions, as a Markdown table."""
    rows = {**facts["data"], "bad_photos": len(facts["data"]["bad_photos"])}
    rows |= {f"version of {name}": version for name, version in facts["versions"].items()}
    lines = [f"| {name.replace('_', ' ')} | `{_in_cell(value)}` |" for name, value in rows.items()]
    return "\n".join(["| fact | value |", "|---|---|", *lines])


def _in_cell(value: object) -> str:
    """Text that neither leaves a cell of a Markdown table nor the code in it."""
    return printable(value).replace("`", "'").replace("|", "\\|")


def examples(inputs, labels: dict[str, np.ndarray], classes: Classes):
    """A figure of a batch as `Stream.batch` gives it: photos with their classes, pairs with what they are."""
    if isinstance(inputs, dict):
        pairs = np.concatenate([inputs["left"][:PAIRS], inputs["right"][:PAIRS]], axis=2)
        told = ["same" if same else "different" for same in labels["same"][:PAIRS]]
        return drawings.photo_grid(pairs, told, PAIR_COLUMNS)
    names = classes.full_names()
    told = [
        _class_of(label, names) for label in next(iter(labels.values()))[:PHOTOS]
    ]  # First come those of the target.
    return drawings.photo_grid(inputs[:PHOTOS], told, PHOTO_COLUMNS)


def _class_of(label, names: list[str]) -> str:
    """The name of a class number; of a row of shares the largest one's, with its share."""
    if np.ndim(label) == 0:
        return names[label]
    return f"{label.max():.0%} {names[label.argmax()]}"


def _part(curves: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Curves of a kind by difficulty."""
    return {key.removeprefix(f"{kind}/"): curve for key, curve in curves.items() if key.startswith(f"{kind}/")}
