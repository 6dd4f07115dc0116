"""Charts of a run as data for report.js: axes, and series of named points."""

import numpy as np

from kcars.metrics import scores as metrics
from kcars.posthoc.decision import PairDecision
from kcars.report.read import Reported, numbers
from kcars.tasks.texts import task_texts

CURVE_POINTS, BINS = 200, 40
LOOKS = {
    "easy": 0,
    "medium": 1,
    "hard": 2,
    "chance": 4,
    "perfect calibration": 4,
}  # Series with the same name look the same in every chart.
LEADING = {"loss": "training", "val_loss": "validation"}


def line(x, y, label: str, names: list[str] | None = None) -> dict:
    """Return a series of points (n, 2) sorted by x, as Chart.js requires, rounded to screen precision.

    Points that are not finite are left out. names: of the points.
    """
    points = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    order = np.argsort(points[:, 0], kind="stable")
    order = order[np.isfinite(points[order]).all(1)]
    found: dict = {"label": label, "points": [[float(f"{value:.5g}") for value in point] for point in points[order]]}
    if label.partition(" ROC-AUC")[0] in LOOKS:
        found["look"] = LOOKS[label.partition(" ROC-AUC")[0]]
    if names is not None:
        found["names"] = [names[place] for place in order]
    return found


def chart(kind: str, title: str, x: str, y: str, series: list[dict], **more) -> dict | None:
    """Return a chart; None if no series has a point. kind: line, scatter or bars; more: x_log, y_log, y_max."""
    series = [one for one in series if one["points"]]
    return {"kind": kind, "title": title, "x": x, "y": y, "series": series, **more} if series else None


def learning(run: Reported) -> list[dict]:
    """Return charts of loss, main scores and learning rate by epoch."""
    history = run.history
    epoch = history["epoch"]
    scores = [name for name in history if name.startswith("val_") and name.endswith(("roc_auc", "balanced_accuracy"))]
    named = {name: name.removeprefix("val_").replace("_", " ").replace("roc auc", "ROC-AUC") for name in scores}
    what = task_texts(run.strategy.task).history
    if run.scores["protocol"] == "paper":
        what = what.replace("held-out", "test")
    found = [
        chart("line", "Loss", "epoch", "loss", [line(epoch, history[name], LEADING[name]) for name in LEADING if name in history]),
        chart("line", what, "epoch", "score", [line(epoch, history[name], named[name]) for name in scores]),
        chart("line", "Learning rate", "epoch", "rate", [line(epoch, history["learning_rate"], "rate")] if "learning_rate" in history else []),
    ]  # fmt: skip
    return [one for one in found if one]


def accuracies(run: Reported) -> dict | None:
    """Return accuracy and balanced accuracy by epoch; they differ for classes of unequal size."""
    names = {
        "accuracy": "accuracy, training",
        "balanced_accuracy": "balanced, training",
        "val_accuracy": "accuracy, validation",
        "val_balanced_accuracy": "balanced, validation",
    }
    history = run.history
    series = [line(history["epoch"], history[key], label) for key, label in names.items() if key in history]
    title = "Accuracy and balanced accuracy"
    return chart("line", title, "epoch", "share correct", series) if "val_accuracy" in history else None


def class_sizes(run: Reported) -> dict | None:
    """Return the number of training photos per class, largest first, and for classification of test photos."""
    counted: dict[str, int] = {}
    column = run.learned.get(run.strategy.learned) or []
    for name, use in zip(column, run.learned.get("use", []), strict=True):
        counted[name] = counted.get(name, 0) + (use == "train")
    order = sorted((name for name, count in counted.items() if count), key=counted.__getitem__, reverse=True)
    ranks = np.arange(1, len(order) + 1)
    series = [line(ranks, [counted[name] for name in order], "training photos", order)]
    if run.classes:
        sizes = numbers(run.classes["test_photos"])
        place = np.argsort(-sizes, kind="stable")
        names = [run.classes["name"][number] for number in place]
        series.append(line(np.arange(1, len(sizes) + 1), sizes[place], "test photos", names))
    title, sizes = "Photos per class, largest first", [point[1] for one in series for point in one["points"]]
    what = "photos" if run.classes else "training photos"
    return chart("line", title, "class rank", what, series, y_log=spread(sizes))


def spread(sizes: list[float]) -> bool:
    """Return whether sizes differ so much that the axis should be logarithmic."""
    return bool(sizes) and max(sizes) > 10 * max(1, min(sizes))


def recall_by_size(run: Reported) -> dict | None:
    """Return the recall of each class against its number of training photos."""
    if not run.classes:
        return None
    x, y = numbers(run.classes["training_photos"]), numbers(run.classes["recall"])
    series = [line(x, y, "class", run.classes["name"])]
    return chart(
        "scatter",
        "Recall against class size",
        "training photos",
        "recall",
        series,
        x_log=spread(x.tolist()),
        y_max=1,
    )


def roc(run: Reported) -> dict | None:
    """Return the ROC curve of each difficulty's test pairs."""
    series = []
    for name, (same, distance) in pairs_by_difficulty(run).items():
        if len(np.unique(same)) == 2:
            false, true, _ = metrics.roc_curve(same, -distance)
            grid = np.linspace(0, 1, CURVE_POINTS + 1)
            series.append(line(grid, np.interp(grid, false, true), name))
    title = "ROC of the test pairs"
    series += [line([0, 1], [0, 1], "chance")] if series else []
    return chart("line", title, "false positive rate", "true positive rate", series, x_max=1, y_max=1)


def distances(run: Reported) -> list[dict]:
    """Return histograms of distances of same and different test pairs for each difficulty, with the threshold."""
    found = []
    threshold = PairDecision.of(run.scores["decision"]).threshold
    for name, (same, distance) in pairs_by_difficulty(run).items():
        edges = np.linspace(0, max(float(distance.max()), 1e-6), BINS + 1)
        centres = (edges[1:] + edges[:-1]) / 2
        counts = {
            kind: np.histogram(distance[same == value], edges)[0] for kind, value in (("same", 1), ("different", 0))
        }
        series = [line(centres, count, kind) for kind, count in counts.items()]
        top = max(int(count.max()) for count in counts.values())
        series.append(line([threshold, threshold], [0, top], "threshold"))
        found.append(chart("bars", f"Distances of {name} pairs", "distance", "pairs", series, x_max=float(edges[-1])))
    return found


def reliability(run: Reported) -> dict | None:
    """Return the reliability diagram: share of correct predictions against their probability, in equally filled bins."""
    series = _by_split(run.table("reliability.csv"), "confidence", "right")
    what = "predicted probability"
    series += [line([0, 1], [0, 1], "perfect calibration")] if series else []
    return chart("line", "Reliability of probabilities", what, "share correct", series, x_max=1, y_max=1)


def coverage(run: Reported) -> dict | None:
    """Return the risk-coverage curve: error rate against the share of predictions not called unknown."""
    series = _by_split(run.table("coverage.csv"), "coverage", "risk")
    curve = run.scores["decision"].get("answered")
    if series and curve and curve["least"]:
        series.append(line(curve["coverage"], curve["risk"], "validation, one more error"))
    return chart("line", "Risk and coverage", "share predicted (the others are unknown)", "error rate", series, x_max=1)


def _by_split(table: dict[str, list[str]], x: str, y: str) -> list[dict]:
    """Return one series per split, from a table with a column `split`."""
    splits = np.array(table.get("split") or [], object)
    named = {name: name.replace("_", ", ") for name in dict.fromkeys(splits.tolist())}
    return [
        line(numbers(table[x])[splits == name], numbers(table[y])[splits == name], text) for name, text in named.items()
    ]


def pairs_by_difficulty(run: Reported) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return same (n,) int and distance (n,) of each difficulty's test pairs, the main one first."""
    if not run.pairs:
        return {}
    difficulty = np.array(run.pairs["difficulty"])
    same, distance = numbers(run.pairs["same"]).astype(int), numbers(run.pairs["distance"])
    names = sorted(dict.fromkeys(difficulty.tolist()), key=lambda name: name != run.scores["difficulty"])
    return {name: (same[difficulty == name], distance[difficulty == name]) for name in names}
