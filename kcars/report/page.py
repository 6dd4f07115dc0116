"""Writes a self-contained HTML report of one or several runs."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kcars.core.errors import KcarsError
from kcars.core.files import real_path, write_text
from kcars.core.limits import limits
from kcars.core.plain_text import printable
from kcars.data.photo_table import with_make
from kcars.evaluation.examples import CONFUSIONS, DOUBTED, PAIRS, confusions, doubted, extreme_pairs
from kcars.evaluation.score_table import NOT_SCORED, labelled_by, number, retrieval_head, retrieval_keys, splits
from kcars.images.heat import heat_png, strongest
from kcars.images.thumbnail import thumbnail_name
from kcars.metrics.catalogue import SCORES, columns, head
from kcars.posthoc import adjusted_head
from kcars.posthoc.distance_transform import TOLD
from kcars.report import charts
from kcars.report.compare import differences
from kcars.report.read import Reported
from kcars.settings.strategy import to_yaml
from kcars.untrusted.run_folder import BACK

ASSETS = Path(__file__).parent / "assets"
TOLD_OF = {
    "data": (
        *("source", "split", "classes", "training_photos"),
        *("missing_photos", "bad_photos", "test_photos_of_unknown_classes"),
    ),
    "machine": ("system", "processor", "cores"),
}
KINDS = {
    "same, far": "Same {target} with the largest distances (missed matches)",
    "different, near": "Different {target}s with the smallest distances (false matches)",
    "same, near": "Same {target} with the smallest distances",
    "different, far": "Different {target}s with the largest distances",
}


def write_page(folders: Sequence[Path], out: Path) -> None:
    """Write the report of the runs in `folders`; KcarsError if one is not a scored run."""
    runs = [Reported(folder) for folder in folders]
    if len({real_path(run.folder) for run in runs}) < len(runs):
        raise KcarsError("report: a run is given twice")
    for run in runs:
        _refuse_lacking(run)
    tasks = [run.strategy.task for run in runs]
    runs.sort(key=lambda run: tasks.count(run.strategy.task) == 1)  # Comparable runs come first.
    environment = Environment(
        loader=PackageLoader("kcars.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=shown,
    )
    environment.filters |= {"number": number, "interval": interval, "millions": lambda count: f"{count / 1e6:.1f} M"}
    sections = [section(run, name, len(runs)) for run, name in zip(runs, names(runs), strict=True)]
    comparable = sum(alike(run, runs[0]) for run in runs) > 1
    page = environment.get_template("page.html").render(
        runs=sections,
        differences=differences(runs) if comparable else [],
        curves=overlay(runs, names(runs)) if comparable else [],
        comparable=comparable,
        scores_explained={head(name): SCORES[name].explained for run in runs for name in shown_scores(run)},
        style=Markup((ASSETS / "report.css").read_text(encoding="utf-8")),
        scripts=[Markup(script("chart.umd.min.js")), Markup(script("report.js"))],
        as_json=as_json,
    )
    write_text(out, page)


def _refuse_lacking(run: Reported) -> None:
    """Raise KcarsError if run.json lacks facts that the page needs."""
    for part, keys in TOLD_OF.items():
        if missing := next((key for key in keys if key not in run.facts[part]), None):
            raise KcarsError(f"{run.folder / 'run.json'}: {part}.{missing} is missing or damaged; {BACK}")


def names(runs: Sequence[Reported]) -> list[str]:
    """Return the folder names, with the parent folder if two are equal."""
    plain = [run.name for run in runs]
    return plain if len(set(plain)) == len(plain) else [str(run.folder) for run in runs]


def section(run: Reported, name: str, runs: int) -> dict:
    """Return the template's data for a run. Pages with more runs show fewer pictures of each."""
    strategy, scores = run.strategy, run.scores
    task = strategy.task
    return {
        "name": name,
        "scores": scores,
        "task": task,
        "heads": list(map(head, columns(task))),
        "rows": score_rows(run),
        "retrieval_heads": [retrieval_head(key) for key in retrieval_keys(scores["scores"])],
        "retrieval_rows": retrieval_rows(run),
        "measured": measured(run),
        "trust": trust(run),
        "charts": [one for one in all_charts(run) if one],
        "looked": map_size(run),
        "confusions": confused(run, share(CONFUSIONS, runs)) if run.photos else [],
        "doubted": [photo_card(run, place) for place in doubted(run.photos, share(DOUBTED, runs))]
        if run.photos
        else [],
        "pairs": pair_galleries(run, share(PAIRS, runs)) if run.pairs else [],
        "class_table": class_rows(run),
        "facts": run.facts,
        "settings": to_yaml(strategy),
    }


def share(count: int, runs: int) -> int:
    return max(2, -(-count // runs))


def all_charts(run: Reported) -> list[dict | None]:
    sizes = [charts.class_sizes(run), charts.recall_by_size(run)]
    trust = [charts.reliability(run), charts.coverage(run)]
    return [*charts.learning(run), charts.accuracies(run), charts.roc(run), *charts.distances(run), *sizes, *trust]


def overlay(runs: Sequence[Reported], labels: list[str]) -> list[dict]:
    """Return a chart of the loss and one of the monitored validation score, each with all runs."""
    if len(runs) < 2:
        return []
    found = []
    for title, column in (("Training loss", lambda _: "loss"), ("Monitored validation score", leading_column)):
        pairs = [(run, label, column(run)) for run, label in zip(runs, labels, strict=True) if alike(run, runs[0])]
        series = [
            charts.line(r.history["epoch"], r.history[name], label) for r, label, name in pairs if name in r.history
        ]
        found.append(charts.chart("line", title, "epoch", title.split()[-1], series))
    return [one for one in found if one]


def alike(run: Reported, other: Reported) -> bool:
    return run.strategy.task == other.strategy.task


def leading_column(run: Reported) -> str:
    deciding, main = run.scores.get("deciding"), columns(run.strategy.task)[0]
    return f"val_{deciding}_{main}" if deciding else f"val_{main}"


def score_rows(run: Reported) -> list[dict]:
    """Return a row per split, followed by its trivial baselines: name, entries of scores.json in column order."""
    scores, names = run.scores["scores"], columns(run.strategy.task)
    rows = []
    for split in splits(scores, run.strategy.task, run.scores["difficulty"]):
        rows.append(
            {"name": split, "baseline": False, "cells": [scores.get(f"{split}/{name}", NOT_SCORED) for name in names]}
        )
        for baseline, values in run.scores["baselines"].items():
            cells = [{"value": values.get(f"{split}/{name}", ""), "low": None} for name in names]
            rows.append({"name": baseline, "baseline": True, "cells": cells})
    return rows


def retrieval_rows(run: Reported) -> list[dict]:
    """Return the rows of retrieval scores, the run first, then the trivial baselines; see `score_rows`."""
    scores, keys = run.scores["scores"], retrieval_keys(run.scores["scores"])
    if not keys:
        return []
    baselines = [
        {"name": name, "baseline": True, "cells": [{"value": values.get(key, ""), "low": None} for key in keys]}
        for name, values in run.scores["baselines"].items()
    ]
    return [{"name": "retrieval", "baseline": False, "cells": [scores[key] for key in keys]}, *baselines]


def shown_scores(run: Reported) -> list[str]:
    """Return the names of the scores that the page shows for a run."""
    return [*columns(run.strategy.task), *(key.partition("/")[2] for key in retrieval_keys(run.scores["scores"]))]


def trust(run: Reported) -> str:
    """Return a text about the calibration of probabilities; "" if the run has none."""
    scores, decision = run.scores["scores"], run.scores["decision"]
    said = {key: f"{number(entry['value'])} {interval(entry)}".strip() for key, entry in scores.items()}
    if "temperature" in decision and "test/nll" in scores:
        return (
            f"Logits are divided by the temperature {decision['temperature']:.3f}, fitted on validation photos. On the test split this "
            f"changes the negative log likelihood by {said['test/nll_change']} to {said['test/nll']}, and the calibration error by "
            f"{said['test/calibration_error_change']} to {said['test/calibration_error']}."
        )
    errors = [f"{key.partition('/')[0]} {text}" for key, text in said.items() if key.endswith("/calibration_error")]
    if not errors:
        return ""
    return (
        "The probability that a pair is the same is a sigmoid of its distance, fitted on the same validation pairs as the threshold. "
        f"Its calibration error on the test pairs: {', '.join(errors)}."
    )


def measured(run: Reported) -> str:
    """Return a text about the distance transform or the adjusted head; "" if the run has neither."""
    if adjusted := run.scores.get("adjusted"):
        return f"Changed after training: {adjusted_head.told(adjusted, run.scores['protocol'])}."
    kind = run.scores.get("metric")
    return f"Distances are {TOLD[kind]}." if kind in TOLD else ""


def confused(run: Reported, most: int) -> list[dict]:
    return [
        {**one, "taken": [photo_card(run, p) for p in one["taken"]], "true": [photo_card(run, p) for p in one["true"]]}
        for one in confusions(run.photos, most)
    ]


def photo_card(run: Reported, place: int) -> dict:
    photos = run.photos
    card = {name: photos[name][place] for name in ("path", "label", "predicted", "rank_of_label")}
    shown = {"picture": picture(run, card["path"]), "heat": heat_over(run, card["path"])}
    return {**card, **shown, "probability": float(photos["probability"][place])}


def pair_galleries(run: Reported, most: int) -> list[dict]:
    """Return the four lists of pairs for each difficulty, the main one first."""
    found, labelled = [], labelled_by(run.scores)
    for difficulty in charts.pairs_by_difficulty(run):
        lists = extreme_pairs(run.pairs, difficulty, most)
        groups = [
            {"title": title.format(target=labelled), "pairs": [pair_card(run, place) for place in lists[kind]]}
            for kind, title in KINDS.items()
        ]
        found.append({"difficulty": difficulty, "groups": groups})
    return found


def pair_card(run: Reported, place: int) -> dict:
    pairs, named = run.pairs, tested_names(run)
    paths = pairs["left"][place], pairs["right"][place]
    return {
        "sides": [
            {"path": path, "name": named[path], "picture": picture(run, path), "heat": heat_over(run, path, other)}
            for path, other in zip(paths, reversed(paths), strict=True)
        ],
        "distance": float(pairs["distance"][place]),
        "right": pairs["same"][place] == pairs["decided_same"][place],
    }


def tested_names(run: Reported) -> dict[str, str]:
    return {path: with_make(*names) for path, names in run.tested.items()}


def picture(run: Reported, path: str) -> str:
    """Return the thumbnail as a data URL, "" if the run has none."""
    files, name = run.run.files, f"thumbnails/{thumbnail_name(path)}"
    if not files.has(name):
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(files.read_bytes(name, limits().thumbnail_kib * 1024)).decode()


def heat_over(run: Reported, path: str, other: str = "") -> dict | None:
    """Return the heat map of a photo, alone or in a pair, as a data URL and in words; None if the run has none."""
    heat = run.maps.get((path, other))
    if heat is None or not (words := strongest(heat)):
        return None
    return {"picture": "data:image/png;base64," + base64.b64encode(heat_png(heat)).decode(), "strongest": words}


def map_size(run: Reported) -> str:
    """Return the rows and columns of the maps, "" if there are none."""
    first = next(iter(run.maps.values()), None)
    return "" if first is None else f"{first.shape[0]} x {first.shape[1]}"


def class_rows(run: Reported) -> list[dict]:
    columns = run.classes
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def interval(entry: dict) -> str:
    """Format a score's 95 % interval, "" if it has none."""
    return "" if entry["low"] is None else f"[{entry['low']:.3f}, {entry['high']:.3f}]"


def script(name: str) -> str:
    """Return a script without its source map comment."""
    lines = (ASSETS / name).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("//# sourceMappingURL"))


def shown(value: object) -> object:
    """Return a value for display: each line of a text made `printable`."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(map(printable, value.split("\n")))


def as_json(value) -> Markup:
    """Return JSON for a script element, escaped so that no text can end the element."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))
