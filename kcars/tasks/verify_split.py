"""Training, validation and test photos and pairs of a verification."""

from typing import Any

import numpy as np

from kcars.core.errors import KcarsError
from kcars.data.photo_table import Classes, Dataset, Pairs, model_names
from kcars.data.splits import apart, draw_pairs, folds_by_make, held_out_models
from kcars.settings import DIFFICULTIES, Strategy
from kcars.tasks.plan import Plan, refuse_no_test

FEW_MODELS, FOLDS = 60, 4  # With fewer training models, validation uses folds by make; with a frozen backbone always.


def plan(dataset: Dataset, strategy: Strategy) -> Plan:
    """Return the Plan: whole models are held out for validation, or the dataset's own, and pairs drawn from them by seed.

    For protocol `paper`, validation uses the test pairs, labelled as in their lists, and training uses all models. Raises
    KcarsError if a training model is in the test pairs.
    """
    model = dataset.table.ids["model"]
    refuse_no_test(dataset, dataset.test_rows())
    shared = np.intersect1d(model[dataset.train], model[dataset.test_rows()])
    if len(shared):
        raise KcarsError(
            f"{dataset.source}: {len(shared)} models are in both the training list and the test pairs, the first "
            f"{dataset.table.name('model', shared[0])}; verification is tested on unseen models; --set data.split=all "
            "holds out whole models"
        )
    pairs = {f"test/{name}": _labelled(dataset, strategy, given) for name, given in dataset.pairs.items()}
    if strategy.evaluate.protocol == "paper":
        train, validation = dataset.train, dataset.test_rows()
        pairs |= {name.replace("test/", "validation/"): given for name, given in pairs.items()}
    elif dataset.validation is not None:
        _refuse_learned(dataset)
        train, validation = dataset.train, dataset.validation
        pairs |= _drawn_pairs(dataset, strategy, validation)
    elif _held_by_fold(dataset, strategy):
        # The baselines use the pairs; they are not trained on these models.
        train, validation = dataset.train, dataset.train[:0]
        pairs |= _drawn_pairs(dataset, strategy, train)
    else:
        settings = strategy.evaluate
        held = held_out_models(dataset.table, dataset.train, settings.validation_models, strategy.train.seed)
        train, validation, drawn = _held_out(dataset, strategy, held)
        pairs |= drawn
    _refuse_one_kind(dataset, strategy, pairs)
    return Plan(dataset, strategy, train, validation, Classes.of(dataset.table, strategy.learned, train), pairs)


def _refuse_learned(dataset: Dataset) -> None:
    """Raise KcarsError if a model of the given validation split is also in the training or test split."""
    model = dataset.table.ids["model"]
    for rows, what in ((dataset.train, "training"), (dataset.test_rows(), "test")):
        shared = np.intersect1d(model[rows], model[dataset.validation])
        if len(shared):
            raise KcarsError(
                f"{dataset.source}: {len(shared)} models are in both the {what} and the validation split, the first "
                f"{dataset.table.name('model', shared[0])}; verification is validated on unseen models; --set "
                "data.split=all holds out whole models instead"
            )


def cross_dataset(
    dataset: Dataset, strategy: Strategy, classes: Classes, known: frozenset[str]
) -> tuple[Plan, dict[str, Any]]:
    """Return the plan to test on another dataset's pairs, without pairs of training models (matched by name).

    Raises KcarsError if no pair is left.
    """
    table, rows = dataset.table, dataset.test_rows()
    models = np.unique(table.ids["model"][rows], return_index=True)
    names = model_names(table, rows[models[1]])
    seen = models[0][[name in known for name in names]]
    pairs: dict[str, Pairs] = {}
    left_out = 0
    for name, given in dataset.pairs.items():
        kept = ~(np.isin(table.ids["model"][given.left], seen) | np.isin(table.ids["model"][given.right], seen))
        left_out += int((~kept).sum())
        pairs[f"test/{name}"] = _labelled(
            dataset, strategy, Pairs(given.left[kept], given.right[kept], given.same[kept])
        )
    if not any(len(given) for given in pairs.values()):
        raise KcarsError(f"--on {dataset.source}: each of its pairs shows a training model; no pair is left to test on")
    nothing = rows[:0]
    report = {"what": "training models", "names": sorted(set(names) & known), "pairs": left_out}
    return Plan(dataset, strategy, nothing, nothing, classes, pairs), report


def folds(dataset: Dataset, strategy: Strategy) -> list[Plan]:
    """Return the cross-validation plans, which hold out the models of some makes in turn, if there are few training models."""
    plans: list[Plan] = []
    for held in _held_by_fold(dataset, strategy):
        train, validation, pairs = _held_out(dataset, strategy, held)
        _refuse_one_kind(dataset, strategy, pairs)
        plans.append(
            Plan(dataset, strategy, train, validation, Classes.of(dataset.table, strategy.learned, train), pairs)
        )
    return plans


def _held_by_fold(dataset: Dataset, strategy: Strategy) -> list[np.ndarray]:
    """Return the model ids that each fold holds out; an empty list if there are no folds."""
    wanted, models = strategy.evaluate.folds, len(np.unique(dataset.table.ids["model"][dataset.train]))
    if wanted is None:
        few = models < FEW_MODELS and not strategy.train.plateau
        wanted = FOLDS if few or strategy.frozen else 0
    if not wanted or dataset.validation is not None or strategy.evaluate.protocol == "paper":
        return []
    return folds_by_make(dataset.table, dataset.train, wanted, strategy.train.seed)


def _refuse_one_kind(dataset: Dataset, strategy: Strategy, pairs: dict[str, Pairs]) -> None:
    """Raise KcarsError if the pairs of the monitored difficulty are all same or all different."""
    for split in ("validation", "test"):
        name = f"{split}/{strategy.monitored_difficulty}"
        if name in pairs and len(np.unique(same := pairs[name].same)) < 2:
            raise KcarsError(
                f"{dataset.source}: the {strategy.monitored_difficulty} {split} pairs are {int(same.sum())} same and "
                f"{int((1 - same).sum())} different; both kinds are needed; choose another --difficulty"
            )


def _held_out(
    dataset: Dataset, strategy: Strategy, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, Pairs]]:
    """Return (training rows, validation rows, validation pairs) with the models `held` held out; groups are not split."""
    mask = np.isin(dataset.table.ids["model"][dataset.train], held)
    validation = dataset.train[mask]
    train = apart(dataset.table, dataset.train[~mask], validation)
    return train, validation, _drawn_pairs(dataset, strategy, validation)


def _drawn_pairs(dataset: Dataset, strategy: Strategy, rows: np.ndarray) -> dict[str, Pairs]:
    """Draw the validation pairs of each difficulty from the rows, by seed."""
    count, seed = strategy.evaluate.validation_pairs, strategy.train.seed
    drawn = {name: draw_pairs(dataset.table, rows, name, count, seed) for name in DIFFICULTIES}
    return {f"validation/{name}": _labelled(dataset, strategy, pairs) for name, pairs in drawn.items()}


def _labelled(dataset: Dataset, strategy: Strategy, pairs: Pairs) -> Pairs:
    """Label pairs by the target: lists have labels by model (kept for protocol `paper`); target make compares makes."""
    if strategy.target == "model" or strategy.evaluate.protocol == "paper":
        return pairs
    make = dataset.table.ids["make"]
    return Pairs(pairs.left, pairs.right, (make[pairs.left] == make[pairs.right]).astype(np.int8))
