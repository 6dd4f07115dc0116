"""Scores as a readable text table, trivial rivals beside them."""

from collections.abc import Collection

from kcars.core.plain_text import printable
from kcars.metrics.retrieval import RETRIEVAL_KEYS
from kcars.posthoc.adjusted_head import told
from kcars.posthoc.distance_transform import TOLD

COLUMNS = {
    "classify": ["balanced_accuracy", "accuracy", "top5", "macro_f1"],
    "verify": [
        "roc_auc",
        "balanced_accuracy",
        "accuracy",
        "f1",
        "precision",
        "recall",
        "eer",
        "tar_at_far_1e-2",
        "tar_at_far_1e-3",
    ],
}
HEADS = {"balanced_accuracy": "balanced acc.", "macro_f1": "macro F1", "top5": "top-5", "roc_auc": "ROC-AUC",
          "f1": "F1", "eer": "EER", "tar_at_far_1e-2": "TAR@1%", "tar_at_far_1e-3": "TAR@0.1%", "map@R": "mAP@R"}  # fmt: skip

TRUST = ["test/nll", "test/nll_change", "test/calibration_error", "test/calibration_error_change"]
EXPLAINED = {
    "accuracy": "share of photos, or pairs, that are decided rightly; large classes weigh most",
    "balanced_accuracy": "mean over the classes (for pairs: over same and different) of the share that is decided rightly",
    "top5": "share of photos whose class is among the five likeliest",
    "macro_f1": "mean over the classes of F1, the harmonic mean of precision and recall",
    "roc_auc": "chance that a same pair is nearer than a different one: 0.5 by guessing, 1 at best; it needs no threshold",
    "f1": "harmonic mean of precision and recall",
    "precision": "share of the pairs decided same that are same",
    "recall": "share of the same pairs that are decided same",
    "eer": "equal error rate: the rate of errors at the threshold where both kinds are equally frequent; 0 at best",
    "tar_at_far_1e-2": "share of same pairs accepted at the threshold that accepts one different pair in a hundred",
    "tar_at_far_1e-3": "the same, at one different pair in a thousand",
    "recall@1": "share of test photos whose nearest other test photo is of their class",
    "recall@5": "share of test photos with one of their class among the five nearest others",
    "map@R": "mean average precision at R: of as many nearest others as there are of a photo's class, the mean over the places "
    "of the precision down to each right one; 1 where those of the class are nearest",
}


def score_table(found: dict) -> str:
    """The text that ends training and evaluation, from the content of scores.json."""
    leading, *others = COLUMNS[found["task"]]
    heads = ["", f"{HEADS[leading]} [95 %]", *(HEADS.get(name, name) for name in others)]
    rows = [heads]
    own = {key: entry["value"] for key, entry in found["scores"].items()}
    for split in splits(found["scores"], found["task"], found["difficulty"]):
        rows.append([split, _with_interval(found["scores"][f"{split}/{leading}"]), *_values(own, split, others)])
        for name, scores in found["baselines"].items():
            rows.append([f"  {name}", _number(scores[f"{split}/{leading}"]), *_values(scores, split, others)])
    lines = [_title(found), "", *aligned(rows), *_retrieval(found), *_notes(found)]
    return "\n".join(map(printable, lines))


def splits(scores: dict, task: str, leading: str | None) -> list[str]:
    """Splits whose scores are those of COLUMNS, the leading one first."""
    found = [key.partition("/")[0] for key in scores if key.endswith(f"/{COLUMNS[task][0]}")]
    return sorted(found, key=lambda split: split != leading)


def lacking(found: dict) -> str:
    """The first score that a table or page needs, and the content of scores.json lacks; "" where it has all."""
    own, task = found["scores"], found["task"]
    if found.get("cost") is None or "deciding" not in found or (task == "verify" and not found["deciding"]):
        return "deciding" if found.get("cost") else "cost"
    wanted = [f"{split}/{name}" for split in splits(own, task, found["difficulty"]) for name in COLUMNS[task]]
    wanted += retrieval_keys(own) + [f"{found['difficulty'] or 'test'}/{COLUMNS[task][0]}"]
    for scores in (own, *found["baselines"].values()):
        if missing := next((key for key in wanted if key not in scores), ""):
            return missing
    together = [[f"test/make_{name}" for name in ("accuracy", "balanced_accuracy")], TRUST]
    for keys in together:
        if keys[0] in own and (missing := next((key for key in keys if key not in own), "")):
            return missing
    if "threshold" not in found["decision"] and task == "verify":
        return "decision.threshold"
    return ""


def retrieval_keys(scores: dict) -> list[str]:
    """Keys of the retrieval scores; none for classification, and where an earlier kcars scored."""
    return [key for name in RETRIEVAL_KEYS if (key := f"retrieval/{name}") in scores]


def _retrieval(found: dict) -> list[str]:
    """The block that tells how test photos find others of their class."""
    keys = retrieval_keys(found["scores"])
    if not keys:
        return []
    rows = [["", *(f"{head} [95 %]" for head in map(retrieval_head, keys))]]
    rows.append(["retrieval", *(_with_interval(found["scores"][key]) for key in keys)])
    rows += [[f"  {name}", *(_number(scores[key]) for key in keys)] for name, scores in found["baselines"].items()]
    return ["", *aligned(rows)]


def retrieval_head(key: str) -> str:
    name = key.partition("/")[2]
    return HEADS.get(name, name)


def kept(found: dict) -> str:
    """Which epoch's weights a run keeps, "best" or "last" (`train.keep`), from the content of scores.json."""
    return found.get("kept", "best")  # What `run.scores` reads has it; earlier files do not.


def _title(found: dict) -> str:
    counts = found["counts"]
    seen = "unseen models, " if found["task"] == "verify" else ""
    where = f" on {found['on']}" if "on" in found else ""
    return (
        f"{found['strategy']}{where}: {found['task']} {found['target']}, {seen}{counts['test_photos']} test photos, protocol "
        f"{found['protocol']}, {kept(found)} epoch {found['best_epoch']}, data {found['data_fingerprint']}"
    )


def run_table(runs: dict[str, dict]) -> str:
    """A line a run, name -> content of scores.json: what it cost and what it gave; a block for each task and target."""
    blocks: dict[tuple, list[list[str]]] = {}
    for name, found in runs.items():
        leading, *others = COLUMNS[found["task"]]
        heads = [
            "",
            "px",
            "params",
            "mult-adds",
            "s/epoch",
            "epoch",
            "protocol",
            "metric" if found["task"] == "verify" else "adjust",
        ]
        split = found["difficulty"] or "test"
        heads += [f"{split} {HEADS[leading]} [95 %]", *(HEADS.get(other, other) for other in others)]
        rows = blocks.setdefault((found["task"], found["target"], split), [heads])
        cost, own = found["cost"], {key: entry["value"] for key, entry in found["scores"].items()}
        row = [name, str(cost["size_px"]), _millions(cost["parameters"]), f"{cost['multiply_adds'] / 1e9:.2f} G"]
        row += [f"{cost['seconds_per_epoch']:.1f}", _epoch_of(found), found["protocol"], _scored_by(found)]
        rows.append([*row, _with_interval(found["scores"][f"{split}/{leading}"]), *_values(own, split, others)])
    return "\n\n".join(
        "\n".join([f"{task} {target}", "", *aligned(rows)]) for (task, target, _), rows in blocks.items()
    )


def _epoch_of(found: dict) -> str:
    """The epoch that was kept, of all: 3/5, marked where it is kept for being the last."""
    return f"{found['best_epoch']}/{found['cost']['epochs']}" + " (last)" * (kept(found) == "last")


def _scored_by(found: dict) -> str:
    """What the scores are by: the metric of distances as it was used, or how the head was adjusted, with its tau."""
    if found["task"] == "verify":
        return found.get("metric") or "euclidean"
    adjusted = found.get("adjusted") or {"kind": "none", "tau": None}
    return adjusted["kind"] + (f" {adjusted['tau']:g}" if adjusted["tau"] is not None else "")


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M"


def labelled_by(found: dict) -> str:
    """What pairs are labelled by, from the content of scores.json: by protocol paper their lists' labels stay, which are of models."""
    return "model" if found["protocol"] == "paper" else found["target"]


def _notes(found: dict) -> list[str]:
    notes = []
    if "on" not in found:
        notes.append(_cost(found["cost"]))
    paper = found["protocol"] == "paper"
    if paper:
        notes.append(
            "protocol paper: what is chosen was chosen on the test itself, as in the paper: not an honest estimate"
        )
    if found["task"] == "verify":
        threshold = found["decision"]["threshold"]
        distance = threshold if threshold is None else -threshold
        folds = f"{found['folds']} folds of the training models" if found["folds"] else "held-out training models"
        where = "the test pairs" if paper else folds
        notes.append(
            f"threshold: distance {_number(distance)}, chosen on {where} "
            f"({found['deciding']} pairs); intervals resample "
            + ("makes" if found["target"] == "make" else "models (makes for hard pairs)")
        )
        if labelled_by(found) != found["target"]:
            notes.append("pairs are labelled by model, as the paper labels them whatever the target")
    if found.get("learned", found["target"]) != found["target"]:
        notes.append(f"training learned {found['learned']}s, whose {found['target']}s then decide")
    if found.get("metric") in TOLD:
        notes.append(f"distances: {TOLD[found['metric']]}")
    if "test/make_accuracy" in found["scores"]:
        own = [_with_interval(found["scores"][f"test/make_{name}"]) for name in ("balanced_accuracy", "accuracy")]
        notes.append(f"makes, by the sums over their models: balanced accuracy {own[0]}, accuracy {own[1]}")
    if found.get("adjusted"):
        notes.append(told(found["adjusted"], found["protocol"]))
    if any(entry["value"] is None or entry["value"] != entry["value"] for entry in found["scores"].values()):
        notes.append("undefined: no pairs of both kinds (by make, every hard pair is the same)")
    if "left_out" in found:
        notes.append(_left_out(found["left_out"]))
    if unknown := found["counts"]["test_photos_of_unknown_classes"]:
        notes.append(f"{unknown} test photos are of classes that training lacks and were left out")
    if found["counts"]["missing_photos"]:
        notes.append(f"{found['counts']['missing_photos']} listed photos are missing and were left out")
    if bad := found["counts"]["bad_photos"]:
        notes.append(f"{len(bad)} photos cannot be decoded and were left out, such as {bad[0]}")
    return ["", *notes] if notes else []


def _cost(cost: dict) -> str:
    return (
        f"cost: {cost['size_px']} px, {cost['parameters']:,} parameters, {cost['multiply_adds'] / 1e9:.2f} G multiply-adds a "
        f"photo; {cost['epochs']} epoch{'s' * (cost['epochs'] != 1)} of {cost['photos_per_epoch']} photos, {cost['seconds_per_epoch']:.1f} s each"
    )


def _left_out(found: dict) -> str:
    count = found.get("photos", found.get("pairs"))
    what = f"{len(found['names'])} {found['what']}, {count} {'photos' if 'photos' in found else 'pairs'}"
    return f"left out: {what}" + (f": {', '.join(found['names'])}" if found["names"] else "")


def _values(scores: dict, split: str, names: list[str]) -> list[str]:
    return [_number(scores[f"{split}/{name}"]) for name in names]


def _number(value) -> str:
    return "undefined" if value is None or value != value else f"{value:.3f}"


def _with_interval(entry: dict) -> str:
    if entry["low"] is None or entry["low"] != entry["low"]:
        return _number(entry["value"])
    return f"{_number(entry['value'])} [{entry['low']:.3f}, {entry['high']:.3f}]"


def aligned(rows: list[list[str]], left: Collection[int] = ()) -> list[str]:
    """Lines of equal columns, a rule under the first; the first column and those named stand left, numbers right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if place == 0 or place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
