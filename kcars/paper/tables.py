"""The paper's Tables I to IV next to ours: three lines per strategy, with suspect values of the paper marked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kcars.paper.published import Published, published
from kcars.paper.suspects import Footnotes, suspects
from kcars.report.read import Reported
from kcars.settings import Strategy
from kcars.settings.strategy import load_strategy, strategy_files
from kcars.tasks.texts import task_texts

NUMERALS = {"table-1": "I", "table-2": "II", "table-3": "III", "table-4": "IV"}
CONTENT = {
    "I": "make classification",
    "II": "model classification",
    "III": "verification by four Siamese networks",
    "IV": "verification by Siamese ResNet18, by target and difficulty",
}
HEADS = {
    "acronym": "Acronym",
    "source": "Row",
    "arch": "Arch",
    "params_m": "Params (M)",
    "input_px": "Input (px)",
    "loss": "Loss",
    "batch": "Batch",
    "epochs": "Epochs",
    "best_epoch": "Best Ep",
    "learning_rate": "LR",
    "seconds_per_epoch": "Time/Ep [s]",
}
SCORE_HEADS = {
    "classify": {"accuracy": "Acc", "balanced_accuracy": "Bal Acc", "top5": "Top-5", "f1": "F1"},
    "verify": {
        "accuracy": "Acc",
        "balanced_accuracy": "Bal Acc",
        "roc_auc": "ROC-AUC",
        "f1": "F1",
        "precision": "Prec.",
        "recall": "Recall",
    },
}
OURS = {"accuracy": "accuracy", "f1": "macro_f1"}  # Classification's names for scores of the paper.
LOSSES = {"cross_entropy": "CE", "focal": "Focal", "contrastive": "Contr."}
SOURCES = {"honest": "ours, honest", "paper": "ours, paper protocol", "published": "the paper"}
NOTES = (
    "Acc is the paper's Val Acc: its validation photos or pairs are the test split. F1 of classification is the mean over "
    "classes.",
    "Ours, honest: the epoch, and for verification the threshold, are chosen on photos or models held out from the training "
    "list; the test split is scored once; 95 % intervals are in brackets.",
    "Ours, paper protocol: both are chosen on the test split, as in the paper, for comparison; these scores are too "
    "optimistic.",
    "The paper: on CompCars, with an NVIDIA RTX 3050.",
    "All scores of one of our rows come from one checkpoint. Our Params are those of the scored network.",
)
UNDEFINED = "undefined: all test pairs of that difficulty are the same or all different, such as hard pairs by make."


@dataclass(frozen=True)
class Line:
    """A row: texts, 95 % intervals and footnote letters by column; reason for missing values; folder of its run."""

    texts: dict[str, str]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    run: str = ""
    suspect: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return self.texts["source"]


@dataclass(frozen=True)
class Table:
    """A table. name: such as table-1; heads: column -> heading; scores: score columns; footnotes: (letter, text)."""

    name: str
    heads: dict[str, str]
    scores: tuple[str, ...]
    caption: str
    lines: list[Line]
    footnotes: list[tuple[str, str]]
    notes: tuple[str, ...]


def rows_of(name: str) -> list[str]:
    """Return the strategies of a table of the paper, in its order."""
    return [strategy for strategy, row in published().items() if row.table == NUMERALS[name]]


def build(
    name: str, wanted: dict[str, dict[str, Path]], reasons: dict[tuple[str, str], str], changed: Sequence[str] = ()
) -> Table:
    """Build the table from the current run folders.

    wanted: strategy -> protocol -> run folder, which may not exist; reasons: (strategy, protocol) -> reason for a missing
    run; changed: `key=value` overrides of all runs.
    """
    task = load_strategy(next(iter(wanted))).task
    scores, notes, runs, lines = SCORE_HEADS[task], Footnotes(), [], []
    for strategy, folders in wanted.items():
        for protocol, folder in folders.items():
            run = _scored(folder)
            runs += [run] if run else []
            lines.append(own_line(strategy, protocol, run, reasons.get((strategy, protocol), "not run yet"), scores))
        lines.append(paper_line(strategy, scores, notes))
    undefined = any("undefined" in line.texts.values() for line in lines)
    remarks = (*NOTES, UNDEFINED) if undefined else NOTES
    return Table(name, HEADS | scores, tuple(scores), _caption(name, runs, changed), lines, notes.lines(), remarks)


def _scored(folder: Path) -> Reported | None:
    return Reported(folder) if (folder / "scores.json").is_file() and (folder / "run.json").is_file() else None


def own_line(strategy: str, protocol: str, run: Reported | None, missing: str, scores: dict[str, str]) -> Line:
    """Return the line of one of our runs, or the reason why it is missing."""
    begin = {"acronym": strategy, "source": SOURCES[protocol]}
    if run is None:
        return Line(begin, missing=missing)
    # The row has the strategy's difficulty, even if its scores are undefined.
    found, split = run.scores, task_texts(run.strategy.task).split(run.strategy.difficulty)
    texts = begin | _set(strategy, run.strategy) | {
        "params_m": f"{found['cost']['parameters'] / 1e6:.1f}",
        "epochs": str(run.facts["planned"]["epochs"]),
        "best_epoch": str(found["best_epoch"]) + " (last)" * (found["kept"] == "last"),
        "learning_rate": rate(run.strategy.train.learning_rate),
        "seconds_per_epoch": f"{found['cost']['seconds_per_epoch']:.1f}",
    }  # fmt: skip
    intervals = {}
    for name in scores:
        entry = found["scores"][f"{split}/{OURS.get(name, name) if not found['difficulty'] else name}"]
        texts[name] = "undefined" if entry["value"] is None else f"{entry['value']:.3f}"
        if entry["low"] is not None:
            intervals[name] = entry["low"], entry["high"]
    return Line(texts, intervals, run=str(run.folder))


def paper_line(strategy: str, scores: dict[str, str], notes: Footnotes) -> Line:
    """Return the paper's line, with footnotes for suspect values."""
    row, settings = published()[strategy], load_strategy(strategy)
    texts = {"acronym": strategy, "source": SOURCES["published"]} | _set(strategy, settings) | _published(row, settings)
    texts |= {name: f"{row.scores[name]:.3f}" for name in scores if name in row.scores}
    return Line(texts, marks=notes.marks(strategy), suspect=tuple(suspects(strategy)))


def _published(row: Published, settings: Strategy) -> dict[str, str]:
    return {
        "params_m": f"{row.parameters_m:.1f}",
        "epochs": str(settings.train.epochs),
        "best_epoch": str(row.best_epoch),
        "learning_rate": row.learning_rate,
        "seconds_per_epoch": f"{row.seconds_per_epoch:.1f}",
    }


def _set(strategy: str, settings: Strategy) -> dict[str, str]:
    """Return the columns from the settings. The acronym's second part is the paper's name of the architecture."""
    size = settings.data.size_px
    return {
        "arch": strategy.split("_")[1],
        "input_px": f"{size}×{size}",
        "loss": LOSSES.get(settings.loss.name, settings.loss.name.replace("_", " ")),
        "batch": str(settings.train.batch),
    }


def rate(value: float) -> str:
    """Format a learning rate as in the paper's tables: 1e-3."""
    digits, exponent = f"{value:.2e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def _caption(name: str, runs: list[Reported], changed: Sequence[str]) -> str:
    numeral = NUMERALS[name]
    parts = [f"Table {numeral} of the paper, {CONTENT[numeral]}, with its reproduction by kcars."]
    facts = {"Our data": _data, "Made with": _machine}
    parts += [f"{head}: {'; '.join(dict.fromkeys(map(describe, runs)))}." for head, describe in facts.items() if runs]
    if difficulties := list(dict.fromkeys(run.scores["deciding"] for run in runs if run.scores["deciding"])):
        parts.append(f"Our test pairs: {', '.join(difficulties)}.")
    if changed:
        parts.append(f"Changed in all of our rows: {', '.join(changed)}.")
    if any(map(_without_imagenet, runs)):
        parts.append("Where the paper started from ImageNet weights, our runs did not.")
    return " ".join(parts)


def _data(run: Reported) -> str:
    data = run.facts["data"]
    return f"{data['source']}, {run.scores['counts']['test_photos']} test photos, fingerprint {run.scores['data_fingerprint']}"


def _machine(run: Reported) -> str:
    machine, versions = run.facts["machine"], run.facts["versions"]
    return f"kcars {versions.get('kcars')}, Keras {versions.get('keras', 'unknown')}, {machine.get('processor')}, {machine.get('cores')} cores"


def _without_imagenet(run: Reported) -> bool:
    name = run.facts["strategy"].partition(" (changed")[0]
    if name not in strategy_files():  # A file name in run.json is not opened.
        return False
    published_weights = load_strategy(name).model.weights
    return published_weights == "imagenet" and run.strategy.model.weights != "imagenet"
