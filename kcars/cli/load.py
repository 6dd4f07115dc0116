"""Loads and reports the strategy and the dataset for commands that train or score."""

from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.core.plain_text import echo, warn


def chosen_strategy(name: str | None, task: str | None, folder: Path | None, overrides: tuple[str, ...], **fixed):
    """Return the name, title and Strategy that the options select; without a name, the default for the data.

    fixed: target and difficulty, if given as options.
    """
    from kcars.settings.strategy import changed_name, load_strategy

    if name is None and task is None:
        raise KcarsError("--task: is missing; choose classify or verify, or name a --strategy")
    chosen = name or f"{'start' if folder else 'demo'}/{task}"
    return chosen, changed_name(chosen, overrides), load_strategy(chosen, overrides, task=task, **fixed)


def stem(name: str) -> str:
    """Return the folder name in runs/ for a strategy's name or file."""
    return Path(name).with_suffix("").name if name.endswith((".yaml", ".yml")) else name.replace("/", "-")


def load_and_report(folder: Path | None, strategy, whole: bool = False, out: Path | None = None):
    """Load the Dataset at `folder`, or drawn cars for None; report its split and missing photos.

    whole: test on all photos if the dataset has no test split. out: the output folder, refused within class folders.
    """
    from kcars.data.source import load, refuse_within
    from kcars.data.spelling import why_missing

    dataset = load(folder, strategy.task, strategy.data)
    echo(f"data: {dataset.source}" + ("" if folder else "  (drawn cars; --data or KCARS_DATA selects your own)"))
    if out is not None:
        refuse_within(folder, out)
    if whole and not dataset.says_what_to_test:
        echo("no test split is given: all photos are tested")
    elif dataset.split != "as listed":
        echo(f"split: {dataset.split}")
    if dataset.missing:
        first = ", ".join(dataset.missing[:3])
        why = why_missing(dataset.table.root, dataset.missing)
        warn(
            f"{len(dataset.missing)} listed photos are missing and left out, such as {first}"
            + (f"; {why}" if why else "")
        )
    return dataset
