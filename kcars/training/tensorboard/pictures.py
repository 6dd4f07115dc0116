"""Images and texts of a run for TensorBoard: examples at the start, validation curves after every epoch."""

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
    EXAMPLES: "The first photos of the first batch, as passed to the network.",
    "validation/ROC curves": "Pairs of validation photos: true positive rate against false positive rate.",
    "validation/distances of pairs": "The less the two kinds overlap, the better they are separated.",
    "validation/confusion matrix": "Validation photos: each row has the predictions for one class.",
}


class Curves(keras.callbacks.Callback):
    """Records the validation ROC curves of every epoch, and draws them for TensorBoard.

    latest: `Result.curves` of this epoch, set by the scoring callback before this one.
    """

    def __init__(self, plan: Plan, record: Callable[[list], None], board: Board | NoBoard):
        """record: called with rows [epoch, difficulty, true positive rates], if any."""
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
    """Return tag -> figure for the validation of an epoch; logs: with the history columns of its scores."""
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
    """Return the matrix with classes sorted by name, grouped by make; their names; their makes."""
    names, makes = classes.full_names(), classes.makes
    order = sorted(range(len(names)), key=lambda place: ([*makes, *names][place].casefold(), names[place].casefold()))
    return (
        confusion[np.ix_(order, order)],
        [names[place] for place in order],
        [makes[place] for place in order] if makes else None,
    )


def begin(board: Board | NoBoard, run: Run, plan: Plan, stream) -> None:
    """Write settings, data, and examples of the network's input, before the first epoch."""
    board.text("settings", f"```yaml\n{to_yaml(plan.strategy)}```")
    board.text("data", data_table(run.facts()))
    if not board.shows(EXAMPLES, 0):
        with drawings.in_own_style():
            inputs, labels, *_ = stream.batch(0)
            figure = examples(inputs, labels, plan.classes)
            board.image(EXAMPLES, 0, drawings.pixels(figure), DESCRIPTIONS[EXAMPLES])


def data_table(facts: dict) -> str:
    """Return the data and versions of run.json as a Markdown table."""
    rows = {**facts["data"], "bad_photos": len(facts["data"]["bad_photos"])}
    rows |= {f"version of {name}": version for name, version in facts["versions"].items()}
    lines = [f"| {name.replace('_', ' ')} | `{_in_cell(value)}` |" for name, value in rows.items()]
    return "\n".join(["| fact | value |", "|---|---|", *lines])


def _in_cell(value: object) -> str:
    """Escape text for code in a cell of a Markdown table."""
    return printable(value).replace("`", "'").replace("|", "\\|")


def examples(inputs, labels: dict[str, np.ndarray], classes: Classes):
    """Return a figure of a batch of `Stream.batch`: photos with their classes, pairs with "same" or "different"."""
    if isinstance(inputs, dict):
        pairs = np.concatenate([inputs["left"][:PAIRS], inputs["right"][:PAIRS]], axis=2)
        captions = ["same" if same else "different" for same in labels["same"][:PAIRS]]
        return drawings.photo_grid(pairs, captions, PAIR_COLUMNS)
    names = classes.full_names()
    captions = [
        _class_of(label, names) for label in next(iter(labels.values()))[:PHOTOS]
    ]  # The target's classes come first.
    return drawings.photo_grid(inputs[:PHOTOS], captions, PHOTO_COLUMNS)


def _class_of(label, names: list[str]) -> str:
    """Return the name of a class number; for a row of shares, the name of the largest, with its share."""
    if np.ndim(label) == 0:
        return names[label]
    return f"{label.max():.0%} {names[label.argmax()]}"


def _part(curves: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Return the curves of a kind by difficulty."""
    return {key.removeprefix(f"{kind}/"): curve for key, curve in curves.items() if key.startswith(f"{kind}/")}
