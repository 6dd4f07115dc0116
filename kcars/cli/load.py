"""How every command that trains or scores loads its strategy and dataset, and what it says of them."""

from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.core.plain_text import echo, warn


def chosen_strategy(name: str | None, task: str | None, folder: Path | None, overrides: tuple[str, ...], **fixed):
    """Name, title and Strategy of what the options ask for; without a name the one that goes with the data.

    fixed: target and difficulty, where options give them.
    """
    from kcars.settings.strategy import changed_name, load_strategy

    if name is None and task is None:
        raise KcarsError("--task: is missing; choose classify or verify, or name a --strategy")
    chosen = name or f"{'start' if folder else 'demo'}/{task}"
    return chosen, changed_name(chosen, overrides), load_strategy(chosen, overrides, task=task, **fixed)


def stem(name: str) -> str:
    """Of a strategy's name or file, what a folder in runs/ is called by."""
    return Path(name).with_suffix("").name if name.endswith((".yaml", ".yml")) else name.replace("/", "-")


def load_told(folder: Path | None, strategy, whole: bool = False, out: Path | None = None):
    """The Dataset at `folder`, or for None drawn cars; its split and missing photos are told.

    whole: one that does not say what to test on is not split, but tested whole. out: where the command writes, which is refused within class folders.
    """
    from kcars.data.source import load, refuse_within
    from kcars.data.spelling import why_missing

    dataset = load(folder, strategy.task, strategy.data)
    echo(f"data: {dataset.source}" + ("" if folder else "  (drawn cars; --data or KCARS_DATA names your own)"))
    if out is not None:
        refuse_within(folder, out)
    if whole and not dataset.says_what_to_test:
        echo("nothing says what to test on: all photos are")
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
