"""Checks which settings and data may change when a run is resumed; equal bits require that all others are equal."""

from typing import cast

import numpy as np

from kcars.core.environment import machine, versions
from kcars.core.errors import KcarsError
from kcars.core.files import fingerprint
from kcars.core.plain_text import warn
from kcars.data.photo_table import Dataset, PixelStore
from kcars.runs import state_file
from kcars.runs.run import CHECKSUMS, Run
from kcars.settings import Strategy
from kcars.settings.effects import defaults_added_later, names_that_affect
from kcars.settings.renamed import RENAMED
from kcars.settings.strategy import check, override

WITHOUT_EFFECT = names_that_affect("nothing")
MAY_CHANGE = names_that_affect("nothing", "length", "scoring")
"""Settings that do not change training steps: duration, input pipeline, saving, scoring."""


def settings_to_go_on(run: Run, overrides: tuple[str, ...]) -> Strategy:
    """Return the run's settings with `--set` texts; KcarsError for changed library versions or settings."""
    _refuse_other_versions(run)
    begun = run.strategy()
    edited, where = differences(begun, run.settings_file()), f"{run.folder / 'settings.yaml'}"
    _refuse(edited, where, "set it back")
    for key, (original, found) in edited.items():
        warn(f"warning: {where}: {key} {found} is ignored, {original} is used; use --set to change it")
    wanted = begun.model_dump()
    override(wanted, overrides)
    strategy = check(wanted, f"run {run.folder} with --set")
    _refuse(differences(begun, strategy), "--set", "leave it out")
    _refuse_extension(run, begun, strategy)
    return strategy


def planned(run: Run, strategy: Strategy) -> dict[str, int]:
    """Return the total number of epochs and the steps per epoch when the run is resumed with the strategy."""
    before = run.facts()["planned"]
    return (
        before if strategy.train.epochs == run.strategy().train.epochs else {**before, "epochs": strategy.train.epochs}
    )


def differences(old: Strategy, new: Strategy) -> dict[str, tuple]:
    """Return setting -> (old value, new value) for settings that differ."""
    before, after = _flat(old.model_dump()), _flat(new.model_dump())
    pairs = {key: (before.get(key), after.get(key)) for key in [*before, *(after.keys() - before.keys())]}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def identity(run: Run) -> str:
    """Return a fingerprint of everything that a state of this run must match."""
    facts = run.facts()
    later = defaults_added_later().items()
    settings = {
        key: value
        for key, value in _flat(facts["settings"]).items()
        if key not in MAY_CHANGE and (key, value) not in later
    }
    return fingerprint(settings, facts["data"]["fingerprint"], facts["planned"]["steps_per_epoch"])


def refuse_other_lists(run: Run, dataset: Dataset) -> None:
    """Raise KcarsError if the dataset has another number of photos than the run's; the next check names changed ones."""
    before = run.checksums()
    if before is None or len(before) != len(dataset.table):
        run.refuse_other_data(dataset)


def refuse_other_photos(run: Run, store: PixelStore, paths: np.ndarray) -> None:
    """Raise KcarsError, which names a photo, if photos have changed since the run began."""
    before = run.checksums()
    if before is None:  # Killed before they were written, or somebody deleted them.
        if state_file.exists(run.folder):
            raise KcarsError(f"{run.folder / CHECKSUMS}: is missing, so changed photos cannot be detected; train again")
        run.write_checksums(cast(np.ndarray, store.checksums))  # An opened store always has checksums.
        return
    changed = paths[before != store.checksums]
    if len(changed):
        raise KcarsError(
            f"run {run.folder}: changed photos since it began: {len(changed)}, such as {changed[0]}; restore them, "
            "or train again"
        )


def warn_of_other_machine(run: Run) -> None:
    """Warn, but do not fail, if the processor or its number of cores has changed, which may change rounding."""
    before, now = run.facts()["machine"], machine()
    for name in ("processor", "cores"):
        if before.get(name) != now[name]:
            warn(
                f"warning: {name}: {before.get(name)} when the run began, {now[name]} now: the last digits of its weights "
                "may differ"
            )


def _flat(settings: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in settings.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def _refuse(changes: dict[str, tuple], where: str, remedy: str) -> None:
    for key, (before, now) in changes.items():
        if key not in MAY_CHANGE:
            raise KcarsError(
                f"{where}: {key} was {before!r} when the run began and is {now!r}; {remedy}, or train again; settings that may "
                f"change: {', '.join(sorted(MAY_CHANGE - RENAMED.keys()))}"
            )


def _refuse_other_versions(run: Run) -> None:
    before, now = run.facts()["versions"], versions()
    changes = [
        f"{name} {before.get(name, 'absent')} is now {now.get(name, 'absent')}"
        for name in [*before, *(now.keys() - before.keys())]
        if before.get(name) != now.get(name)
    ]
    if changes:
        raise KcarsError(
            f"run {run.folder}: {', '.join(changes)}; install the versions that it began with, or train again"
        )


def _refuse_extension(run: Run, begun: Strategy, strategy: Strategy) -> None:
    before, epochs = run.facts()["planned"]["epochs"], strategy.train.epochs
    if epochs == begun.train.epochs:
        return
    where = f"--set train.epochs={epochs}"
    if begun.train.max_minutes:
        raise KcarsError(
            f"{where}: the length of this run, {before} epochs, was fitted to train.max_minutes; train again"
        )
    if epochs < before:
        raise KcarsError(f"{where}: the run is planned for {before} epochs; it can be extended, not shortened")
    if begun.data.first_px is not None or begun.balance.begin:
        raise KcarsError(
            f"{where}: data.first_px and balance.begin depend on the number of epochs, {before}; a longer run differs from its "
            f"first step: train again with --strategy {run.folder / 'settings.yaml'} {where}"
        )
    if begun.train.schedule != "constant":
        raise KcarsError(
            f"{where}: schedule {begun.train.schedule} ends at epoch {before}; a longer one has other rates "
            f"from the first step: train again with --strategy {run.folder / 'settings.yaml'} {where}"
        )
