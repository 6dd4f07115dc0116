"""Training, validation and test photos of a classification."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from kcars.core.errors import KcarsError
from kcars.data.photo_table import Classes, Dataset
from kcars.data.splits import stratified_share
from kcars.settings import Strategy
from kcars.tasks.plan import Plan, refuse_no_test

FOLDS = 5  # Of cross-fitting with a frozen backbone.


def plan(dataset: Dataset, strategy: Strategy) -> Plan:
    """Return the Plan. Validation photos are those of the dataset, or a stratified share of the training list; for protocol `paper`, the test photos.

    Raises KcarsError if a photo is in both the training and the test split.
    """
    refuse_no_test(dataset, dataset.test)
    shared = np.intersect1d(dataset.train, dataset.test)
    if len(shared):
        raise KcarsError(
            f"{dataset.source}: {len(shared)} photos are in both the training and the test list, "
            f"the first {dataset.table.paths[shared[0]]}; scores would be worthless"
        )
    classes = Classes.of(dataset.table, strategy.target, dataset.train)
    if not np.isin(dataset.table.ids[strategy.target][dataset.test], classes.ids).any():
        raise KcarsError(
            f"{dataset.source}: none of the {len(dataset.test)} existing test photos is of a training class; "
            "there is nothing to score"
        )
    if strategy.evaluate.protocol == "paper":
        return Plan(dataset, strategy, dataset.train, dataset.test, classes)
    if dataset.validation is not None:
        _refuse_unknown(dataset, strategy, classes)
        return Plan(dataset, strategy, dataset.train, dataset.validation, classes)
    if _folds(strategy):
        return Plan(dataset, strategy, dataset.train, dataset.train[:0], classes)
    held = _held_photos(dataset, strategy, classes)
    return Plan(dataset, strategy, dataset.train[~held], dataset.train[held], classes)


def _refuse_unknown(dataset: Dataset, strategy: Strategy, classes: Classes) -> None:
    """Raise KcarsError if the dataset's validation photos include none of a training class."""
    validation = dataset.validation
    assert validation is not None
    if not np.isin(dataset.table.ids[strategy.target][validation], classes.ids).any():
        raise KcarsError(f"{dataset.source}: none of the {len(validation)} validation photos is of a training class")


def _held_photos(dataset: Dataset, strategy: Strategy, classes: Classes) -> np.ndarray:
    """Return the mask over dataset.train of the validation photos."""
    labels = classes.labels(dataset.table.ids[strategy.target][dataset.train])
    groups = None if dataset.table.group is None else dataset.table.group[dataset.train]
    held = stratified_share(labels, strategy.evaluate.validation_share, strategy.train.seed, groups)
    if not held.any():
        raise KcarsError(
            f"{dataset.source}: no class has enough photos for a validation share of {strategy.evaluate.validation_share:g}"
            f" of its {len(dataset.train)} training photos; use four or more photos per class, or a larger "
            "evaluate.validation_share"
        )
    return held


def cross_dataset(
    dataset: Dataset, strategy: Strategy, classes: Classes, known: frozenset[str]
) -> tuple[Plan, dict[str, Any]]:
    """Return the plan to test on another dataset, whose classes are matched by name, and the classes left out.

    Raises KcarsError if there are no names, or no name of a training class.
    """
    target, table, test = strategy.target, dataset.table, dataset.test
    theirs = Classes.of(table, target, test)
    for one, what in ((classes, "the run's classes"), (theirs, f"the classes of {dataset.source}")):
        if not one.named:
            raise KcarsError(f"--on: {what} have numbers but no names; classes of two datasets are matched by name")
    place = classes.matched(theirs)
    if not (place >= 0).any():
        raise KcarsError(
            f"--on {dataset.source}: none of its {len(theirs)} {target}s has the name of a training class; it has "
            f"{theirs.names[0]!r}, the run {classes.names[0]!r}"
        )
    ids = np.where(place >= 0, classes.ids[place], -1)  # No id is below 0.
    own = ids[np.searchsorted(theirs.ids, table.ids[target]).clip(0, len(ids) - 1)]
    own[~np.isin(table.ids[target], theirs.ids)] = -1
    table = replace(table, ids={**table.ids, target: own.astype(np.int32)})
    names = [name for name, found in zip(theirs.full_names(), place, strict=True) if found < 0]
    left_out = {
        "what": f"{target}s that are not training classes",
        "names": names,
        "photos": int((own[test] < 0).sum()),
    }
    nothing = test[:0]
    return Plan(replace(dataset, table=table), strategy, nothing, nothing, classes), left_out


def folds(dataset: Dataset, strategy: Strategy) -> list[Plan]:
    """Return the cross-fitting plans of a frozen backbone, which hold out stratified shares in turn; otherwise none.

    Classes and their numbers are those of all training photos. Groups are not split.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # pyright: ignore[reportMissingTypeStubs]  scikit-learn has no types.

    count = _folds(strategy)
    if not count or dataset.validation is not None or strategy.evaluate.protocol == "paper":
        return []
    classes = Classes.of(dataset.table, strategy.target, dataset.train)
    labels = classes.labels(dataset.table.ids[strategy.target][dataset.train])
    groups = None if dataset.table.group is None else dataset.table.group[dataset.train]
    kind: Any = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(count, shuffle=True, random_state=strategy.train.seed)
    with warnings.catch_warnings(action="ignore"):  # Warns of classes with fewer photos than folds.
        parts = list(splitter.split(labels, labels, groups))
    return [Plan(dataset, strategy, dataset.train[train], dataset.train[held], classes) for train, held in parts]


def _folds(strategy: Strategy) -> int:
    """Return the number of cross-fitting folds; 0 if a share of the photos is held out instead."""
    if not strategy.frozen:
        return 0
    return FOLDS if strategy.evaluate.folds is None else strategy.evaluate.folds
