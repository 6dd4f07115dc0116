"""What an ablation study found: a Markdown table of its variants, best first, and the same as CSV, a line a run."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from ablation_plan import Planner, Trial
from ablation_runs import failure, histories, scored, validation_score
from contest import line

from kcars.core.csv_files import csv_text
from kcars.report.compare import difference
from kcars.report.read import Reported

DIFFICULTIES = ("hard", "medium", "easy")
CLASSIFICATION = ("test/balanced_accuracy", "test/accuracy")


@dataclass(frozen=True)
class Scored:
    """A run with scores: what it saw and cost, with the run that it began with, and what it scored."""

    trial: Trial
    photos: int
    multiply_adds: int
    minutes: float
    scores: dict[str, float]
    validation: float

    @classmethod
    @functools.cache  # A table is written after every run.
    def of(cls, trial: Trial) -> "Scored":
        reported = Reported(trial.folder)
        seen = [_spent(one) for one in (trial, trial.before) if one]
        scores = {key: entry["value"] for key, entry in reported.scores["scores"].items()}
        values = {key: math.nan if scores[key] is None else scores[key] for key in _keys(reported.scores)}
        return cls(trial, *map(sum, zip(*seen, strict=True)), values, validation_score(trial))


@dataclass(frozen=True)
class Row:
    """A variant's runs by seed; difference: of their mean from the reference's of the same seeds; note: why runs lack."""

    variant: str
    told: str
    runs: dict[int, Scored]
    difference: dict
    note: str

    def means(self) -> list[float]:
        """Of each score over the seeds, the main one first."""
        return [mean(each) for each in zip(*(list(run.scores.values()) for run in self.runs.values()), strict=True)]


def chosen(planner: Planner, name: str, seed: int) -> tuple[str, ...] | None:
    """The point of a variant's sweep that validation likes best, with this seed; None before one has scores."""
    points = planner.points(name)
    if len(points) == 1:
        return points[0]
    swept = planner.study.variants[name].of or name
    found = {point: validation_score(planner.trial(swept, point, seed)) for point in points}
    defined = {point: score for point, score in found.items() if score == score}
    return max(defined, key=defined.get) if defined else None


def rows(planner: Planner, seeds: Sequence[int]) -> list[Row]:
    """Every variant, the best mean score first, those without scores last; sweeps were chosen with the first seed."""
    found, told, lacking = {}, {}, {}
    for name in planner.study.variants:
        point = chosen(planner, name, seeds[0])
        trials = [] if point is None else [planner.trial(name, point, seed) for seed in seeds]
        told[name] = ", ".join([part for part in (_told(planner, name), *map(_code, point or ())) if part])
        found[name] = {trial.seed: Scored.of(trial) for trial in trials if scored(trial)}
        reasons = [f"seed {trial.seed}: {why}" for trial in trials if (why := failure(trial))]
        if point is None:
            swept = [planner.trial(name, point, seeds[0]) for point in planner.points(name)]
            reasons = list(dict.fromkeys(why for trial in swept if (why := failure(trial))))
        lacking[name] = "; ".join(reasons)
    listed = [
        Row(name, told[name], runs, _less_reference(planner, name, found), lacking[name])
        for name, runs in found.items()
    ]
    return sorted(listed, key=lambda row: -row.means()[0] if row.runs else math.inf)


def markdown(planner: Planner, found: list[Row], seeds: Sequence[int], command: str) -> str:
    """The study's table with its title and budget, and a second one of its sweeps where there are some."""
    study, done = planner.study, [row for row in found if row.runs]
    keys = list(next(iter(done[0].runs.values())).scores) if done else ["score"]
    names = " / ".join(map(_short, keys))
    head = ["variant", "what is set", "photos seen", "T multiply-adds", "minutes"]
    head += [f"{names}, seed {seed}" for seed in seeds]
    head += [f"{names}, mean", f"deviation of {_short(keys[0])}"] if len(seeds) > 1 else []
    head += [f"{_short(keys[0])}, less {study.reference}", "validation"]
    lines = [f"## {study.about or study.base}", "", f"`{command}`", "", _budget(planner), ""]
    lines += [line(head), line(["---"] * len(head)), *(line(_cells(row, seeds)) for row in done)]
    lines += ["", *(f"- {row.variant}: {row.note or 'not run yet'}" for row in found if row.note or not row.runs)]
    return "\n".join([*lines, *_sweeps(planner, seeds[0])]).rstrip() + "\n"


def as_csv(found: list[Row]) -> str:
    """A line a run and, with seed `mean`, a line a variant with its difference from the reference."""
    keys = next((list(run.scores) for row in found for run in row.runs.values()), [])
    heads = [
        "variant",
        "seed",
        "run",
        "set",
        "photos",
        "multiply_adds",
        "minutes",
        *keys,
        "validation",
        "difference",
        "low",
        "high",
    ]
    table = []
    for row in (row for row in found if row.runs):
        for seed, run in row.runs.items():
            told = [str(run.trial), row.told, run.photos, run.multiply_adds, round(run.minutes, 3)]
            table.append([row.variant, seed, *told, *run.scores.values(), run.validation, "", "", ""])
        runs = row.runs.values()
        spent = [mean(run.photos for run in runs), mean(run.multiply_adds for run in runs)]
        apart = [row.difference.get(key, "") for key in ("difference", "low", "high")]
        minutes, validation = round(mean(run.minutes for run in runs), 3), mean(run.validation for run in runs)
        table.append([row.variant, "mean", "", row.told, *spent, minutes, *row.means(), validation, *apart])
    return csv_text(dict(zip(heads, zip(*table, strict=True) if table else ([] for _ in heads), strict=True)))


def plan_table(planner: Planner, seed: int) -> str:
    """What each variant is to see and cost with a seed: the table of --dry-run."""
    head = ["variant", "what is set", "epochs", "photos", "T multiply-adds", "of the budget"]
    lines = [_budget(planner), "", line(head), line(["---"] * len(head))]
    for name in planner.study.variants:
        for point in planner.points(name):
            trial = planner.trial(name, point, seed)
            parts = [one for one in (trial.before, trial) if one]
            epochs = " + ".join(str(one.work.epochs) for one in parts)
            if trial.source:
                epochs = f"those of {trial.source}"
            photos, total = sum(one.work.photos for one in parts), sum(one.work.total for one in parts)
            told = ", ".join([part for part in (_told(planner, name), *map(_code, point)) if part])
            share = f"{total / planner.budget:.0%}"
            lines.append(line([name, told, epochs, f"{photos:,}", f"{total / 1e12:.3g}", share]))
    return "\n".join(lines)


def _keys(scores: dict) -> list[str]:
    """The scores that the table tells, the main one first."""
    if scores["task"] == "classify":
        return list(CLASSIFICATION)
    main = scores["deciding"]
    return [f"{name}/roc_auc" for name in (main, *(name for name in DIFFICULTIES if name != main))]


def _short(key: str) -> str:
    """hard/roc_auc -> hard; test/balanced_accuracy -> balanced accuracy."""
    first, _, last = key.partition("/")
    return last.replace("_", " ") if first == "test" else first


def _spent(trial: Trial) -> tuple[int, int, float]:
    """Photos, multiply-adds and minutes that a run took, its folds with it, as far as it came; of its source's training."""
    photos = work = seconds = 0
    for rows_ in histories(trial):
        before = 0
        for row, cost in zip(rows_, trial.work.multiply_adds, strict=False):  # It may have ended early.
            photos += int(row["photos"]) - before
            work += (int(row["photos"]) - before) * cost
            seconds += row["seconds"]
            before = int(row["photos"])
    return photos, work, seconds / 60


def _less_reference(planner: Planner, name: str, found: dict[str, dict[int, Scored]]) -> dict:
    """Of the mean over the seeds that both have; empty for the reference itself, and where they share none."""
    ours, theirs = found[name], found[planner.study.reference]
    seeds = [seed for seed in ours if seed in theirs]
    if name == planner.study.reference or not seeds:
        return {}
    return _between(*(tuple(runs[seed].trial.folder for seed in seeds) for runs in (theirs, ours)))


@functools.cache
def _between(first: tuple[Path, ...], other: tuple[Path, ...]) -> dict:
    return difference(*([Reported(folder) for folder in folders] for folders in (first, other)))


def _told(planner: Planner, name: str) -> str:
    """What a variant changes."""
    variant = planner.study.variants[name]
    parts = [f"scored anew: {variant.of}"] if variant.of else []
    parts += [f"strategy {_code(variant.strategy)}"] if variant.strategy else []
    if first := variant.begins_with:
        of = [f"strategy {first.strategy}"] if first.strategy else []
        of += [*first.set, *([f"on {first.data}"] if first.data else [])]
        parts.append(f"begins with ({first.share:.0%} of the budget) {', '.join(map(_code, of)) or 'the base'}")
    parts += map(_code, variant.set)
    parts += [f"{_code(key)} swept" for key in variant.sweep]
    return ", ".join(parts)


def _code(text: str) -> str:
    """As code in a table's cell, whose bars are escaped."""
    return "`" + text.replace("|", "\\|") + "`"


def _cells(row: Row, seeds: Sequence[int]) -> list[str]:
    runs = list(row.runs.values())
    photos, work = mean(run.photos for run in runs), mean(run.multiply_adds for run in runs)
    cells = [row.variant, row.told, f"{photos:,.0f}", f"{work / 1e12:.3g}", f"{mean(run.minutes for run in runs):.1f}"]
    cells += [_numbers(row.runs[seed].scores.values()) if seed in row.runs else "" for seed in seeds]
    if len(seeds) > 1:
        main = [next(iter(run.scores.values())) for run in runs]
        cells += [_numbers(row.means()), f"{stdev(main):.3f}" if len(runs) > 1 else ""]
    return [*cells, _apart(row.difference), f"{mean(run.validation for run in runs):.3f}"]


def _numbers(values) -> str:
    return " / ".join("undefined" if value != value else f"{value:.3f}" for value in values)


def _apart(found: dict) -> str:
    if "difference" not in found:
        return found.get("reason", "")
    return f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


def _budget(planner: Planner) -> str:
    given = planner.study.budget
    told = f"Each variant may spend {planner.budget / 1e12:.3g} T multiply-adds (forward), those of {given.photos:,} photos "
    return told + f"of {given.size_px} px through `{planner.study.base}`'s network."


def _sweeps(planner: Planner, seed: int) -> list[str]:
    """Every point of every sweep with its validation score, by which one is chosen, and its test score."""
    lines = []
    for name, variant in planner.study.variants.items():
        if not variant.sweep:
            continue
        best = chosen(planner, name, seed)
        for point in planner.points(name):
            trial = planner.trial(name, point, seed)
            cells = [name, ", ".join(map(_code, point))]
            if scored(trial):
                told = "chosen" if point == best else ""
                cells += [f"{validation_score(trial):.3f}", _numbers(Scored.of(trial).scores.values()), told]
            else:
                cells += ["", "", failure(trial) or "not run yet"]
            lines.append(line(cells))
    head = ["swept", "point", f"validation, seed {seed}", "test", ""]
    return ["", line(head), line(["---"] * len(head)), *lines] if lines else []
