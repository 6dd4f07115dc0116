"""Text tables of scores, with trivial baselines."""

from collections.abc import Collection

from kcars.core.plain_text import printable
from kcars.metrics.catalogue import columns, head, search_columns, those
from kcars.posthoc.adjusted_head import told
from kcars.posthoc.decision import PairDecision
from kcars.posthoc.distance_transform import TOLD
from kcars.tasks.texts import task_texts

NOT_SCORED = {
    "value": "",
    "low": None,
    "high": None,
}  # For scores that did not exist when the run was scored.


def score_table(found: dict) -> str:
    """Return the score table printed after training and evaluation, from the content of scores.json."""
    main, *others = columns(found["task"])
    heads = ["", f"{head(main)} [95 %]", *map(head, others)]
    rows = [heads]
    own = {key: entry["value"] for key, entry in found["scores"].items()}
    for split in splits(found["scores"], found["task"], found["difficulty"]):
        rows.append([split, _with_interval(found["scores"][f"{split}/{main}"]), *_values(own, split, others)])
        for name, scores in found["baselines"].items():
            rows.append([f"  {name}", number(scores[f"{split}/{main}"]), *_values(scores, split, others)])
    lines = [_title(found), "", *aligned(rows), *_retrieval(found), *_notes(found)]
    return "\n".join(map(printable, lines))


def splits(scores: dict, task: str, main: str | None) -> list[str]:
    """Return the splits with scores of a task, the main one first."""
    found = [key.partition("/")[0] for key in scores if key.endswith(f"/{columns(task)[0]}")]
    return sorted(found, key=lambda split: split != main)


def lacking(found: dict) -> str:
    """Return the first score that a table or page needs and scores.json lacks; "" if it has all."""
    own, task = found["scores"], found["task"]
    if found.get("cost") is None or "deciding" not in found or (found["difficulty"] and not found["deciding"]):
        return "deciding" if found.get("cost") else "cost"
    needed = [name for name in columns(task) if name in those("required")]
    wanted = [f"{split}/{name}" for split in splits(own, task, found["difficulty"]) for name in needed]
    wanted += [f"{found['difficulty'] or 'test'}/{columns(task)[0]}"]
    for scores in (own, *found["baselines"].values()):
        if missing := next((key for key in wanted if key not in scores), ""):
            return missing
    trust = [f"test/{name}" for name in those("probabilities")]
    together = [[f"test/make_{name}" for name in ("accuracy", "balanced_accuracy")], trust]
    for keys in together:
        if keys[0] in own and (missing := next((key for key in keys if key not in own), "")):
            return missing
    if found["difficulty"] and "threshold" not in found["decision"]:
        return "decision.threshold"
    return ""


def retrieval_keys(scores: dict) -> list[str]:
    """Return the keys of retrieval scores; none for classification and for scores of earlier versions."""
    return [key for name in search_columns() if (key := f"retrieval/{name}") in scores]


def _retrieval(found: dict) -> list[str]:
    """Return the block of retrieval scores."""
    keys = retrieval_keys(found["scores"])
    if not keys:
        return []
    rows = [["", *(f"{text} [95 %]" for text in map(retrieval_head, keys))]]
    rows.append(["retrieval", *(_with_interval(found["scores"][key]) for key in keys)])
    rows += [
        [f"  {name}", *(number(scores.get(key, "")) for key in keys)] for name, scores in found["baselines"].items()
    ]
    return ["", *aligned(rows)]


def retrieval_head(key: str) -> str:
    return head(key.partition("/")[2])


def kept(found: dict) -> str:
    """Return which checkpoint was scored, "best" or "last" (`train.keep`), from the content of scores.json."""
    return found.get("kept", "best")  # Missing in earlier files, which `run.scores` completes.


def _title(found: dict) -> str:
    counts = found["counts"]
    seen = task_texts(found["task"]).unseen
    where = f" on {found['on']}" if "on" in found else ""
    return (
        f"{found['strategy']}{where}: {found['task']} {found['target']}, {seen}{counts['test_photos']} test photos, protocol "
        f"{found['protocol']}, {kept(found)} epoch {found['best_epoch']}, data {found['data_fingerprint']}"
    )


def run_table(runs: dict[str, dict]) -> str:
    """Return a table of costs and scores, one line per run (name -> content of scores.json), by task and target."""
    blocks: dict[tuple, list[list[str]]] = {}
    for name, found in runs.items():
        main, *others = columns(found["task"])
        heads = [
            "",
            "px",
            "params",
            "mult-adds",
            "s/epoch",
            "epoch",
            "protocol",
            task_texts(found["task"]).fitted,
        ]
        split = found["difficulty"] or "test"
        heads += [f"{split} {head(main)} [95 %]", *map(head, others)]
        rows = blocks.setdefault((found["task"], found["target"], split), [heads])
        cost, own = found["cost"], {key: entry["value"] for key, entry in found["scores"].items()}
        row = [name, str(cost["size_px"]), _millions(cost["parameters"]), f"{cost['multiply_adds'] / 1e9:.2f} G"]
        row += [f"{cost['seconds_per_epoch']:.1f}", _epoch_of(found), found["protocol"], _scored_by(found)]
        rows.append([*row, _with_interval(found["scores"][f"{split}/{main}"]), *_values(own, split, others)])
    return "\n\n".join(
        "\n".join([f"{task} {target}", "", *aligned(rows)]) for (task, target, _), rows in blocks.items()
    )


def _epoch_of(found: dict) -> str:
    """Return the epoch of the checkpoint and the number of epochs, "3/5", with a mark for the last."""
    return f"{found['best_epoch']}/{found['cost']['epochs']}" + " (last)" * (kept(found) == "last")


def _scored_by(found: dict) -> str:
    """Return the distance used for scoring, or the kind of adjusted head with its tau."""
    if found["difficulty"]:
        return found.get("metric") or "euclidean"
    adjusted = found.get("adjusted") or {"kind": "none", "tau": None}
    return adjusted["kind"] + (f" {adjusted['tau']:g}" if adjusted["tau"] is not None else "")


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M"


def labelled_by(found: dict) -> str:
    """Return the label of pairs, from the content of scores.json: for protocol `paper` the lists' labels, which are models."""
    return "model" if found["protocol"] == "paper" else found["target"]


def _notes(found: dict) -> list[str]:
    notes = []
    if "on" not in found:
        notes.append(_cost(found["cost"]))
    paper = found["protocol"] == "paper"
    if paper:
        notes.append("protocol paper: chosen on the test split, as in the paper, so the scores are too optimistic")
    if found["difficulty"]:
        distance = PairDecision.of(found["decision"]).threshold
        folds = f"{found['folds']} folds of the training models" if found["folds"] else "held-out training models"
        where = "the test pairs" if paper else folds
        notes.append(
            f"threshold: distance {number(distance)}, chosen on {where} "
            f"({found['deciding']} pairs); intervals resample "
            + ("makes" if found["target"] == "make" else "models (makes for hard pairs)")
        )
        if labelled_by(found) != found["target"]:
            notes.append("pairs are labelled by model for every target, as in the paper")
    if found.get("learned", found["target"]) != found["target"]:
        notes.append(f"trained on {found['learned']}s; scores compare their {found['target']}s")
    if found.get("metric") in TOLD:
        notes.append(f"distances: {TOLD[found['metric']]}")
    if "test/make_accuracy" in found["scores"]:
        own = [_with_interval(found["scores"][f"test/make_{name}"]) for name in ("balanced_accuracy", "accuracy")]
        notes.append(f"makes (sum over their models): balanced accuracy {own[0]}, accuracy {own[1]}")
    if found.get("adjusted"):
        notes.append(told(found["adjusted"], found["protocol"]))
    if any(entry["value"] is None or entry["value"] != entry["value"] for entry in found["scores"].values()):
        notes.append("undefined: not both same and different pairs (by make, all hard pairs are the same)")
    if "left_out" in found:
        notes.append(_left_out(found["left_out"]))
    if unknown := found["counts"]["test_photos_of_unknown_classes"]:
        notes.append(f"{unknown} test photos are of classes without training photos and were left out")
    if found["counts"]["missing_photos"]:
        notes.append(f"{found['counts']['missing_photos']} listed photos are missing and were left out")
    if bad := found["counts"]["bad_photos"]:
        notes.append(f"{len(bad)} photos cannot be decoded and were left out, such as {bad[0]}")
    return ["", *notes] if notes else []


def _cost(cost: dict) -> str:
    return (
        f"cost: {cost['size_px']} px, {cost['parameters']:,} parameters, {cost['multiply_adds'] / 1e9:.2f} G multiply-adds per "
        f"photo; {cost['epochs']} epoch{'s' * (cost['epochs'] != 1)} of {cost['photos_per_epoch']} photos, {cost['seconds_per_epoch']:.1f} s each"
    )


def _left_out(found: dict) -> str:
    count = found.get("photos", found.get("pairs"))
    what = f"{len(found['names'])} {found['what']}, {count} {'photos' if 'photos' in found else 'pairs'}"
    return f"left out: {what}" + (f": {', '.join(found['names'])}" if found["names"] else "")


def _values(scores: dict, split: str, names: list[str]) -> list[str]:
    return [number(scores.get(f"{split}/{name}", "")) for name in names]


def number(value) -> str:
    """Format a score; "-" if the run lacks it (NOT_SCORED)."""
    if value == "":
        return "-"
    return "undefined" if value is None or value != value else f"{value:.3f}"


def _with_interval(entry: dict) -> str:
    if entry["low"] is None or entry["low"] != entry["low"]:
        return number(entry["value"])
    return f"{number(entry['value'])} [{entry['low']:.3f}, {entry['high']:.3f}]"


def aligned(rows: list[list[str]], left: Collection[int] = ()) -> list[str]:
    """Align rows in columns, with a rule under the first row; the first column and those in `left` are left-aligned."""
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
