"""Initial weights of a network: random, published, from a file, or from the backbone of an earlier run."""

from pathlib import Path
from typing import Any

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.files import real_path
from kcars.core.plain_text import warn
from kcars.data.photo_table import model_names
from kcars.runs import provenance
from kcars.runs.checkpoint import scored_network
from kcars.runs.run import WEIGHTS, Run
from kcars.settings import Strategy
from kcars.tasks.plan import Plan
from kcars.tasks.texts import task_texts

SAME_LAYOUT = {"simple_resnet": "resnet18"}  # Two names of one network.
NAMED = 3  # Maximum number of names in a message.


def earlier_run(strategy: Strategy) -> Run | None:
    """Return the run that `model.weights` names, if any."""
    source = strategy.model.weights
    return Run.open(Path(source)) if source not in ("none", "imagenet") and Path(source).is_dir() else None


def begin(network, plan: Plan, expected: dict | None = None) -> dict[str, str] | None:
    """Load `model.weights` into a new Network; return a description of the source, None for random weights.

    expected: the description at the start of the run. Raises KcarsError if weights are unavailable, do not fit, or differ
    from the expected ones.
    """
    from kcars.models.weights import load

    model = plan.strategy.model
    if model.weights == "none":
        return None
    backbone, run = network.scored.get_layer(model.backbone), earlier_run(plan.strategy)
    facts = _from_run(backbone, run, plan) if run else load(backbone, model.weights)
    if expected and expected["sha256"] != facts["sha256"]:
        raise KcarsError(f"model.weights: {facts['file']} has changed since the run began; restore it, or train again")
    return facts


def _from_run(backbone, run: Run, plan: Plan) -> dict[str, str]:
    from kcars.models.weights import copy_weights

    settings, wanted = run.strategy().model, plan.strategy.model
    for name in ("backbone", "normalization"):
        ours, theirs = getattr(wanted, name), getattr(settings, name)
        if SAME_LAYOUT.get(ours, ours) != SAME_LAYOUT.get(theirs, theirs):
            raise KcarsError(
                f"model.weights: run {run.folder} has model.{name} {theirs}, this one {ours}; the two must be equal: "
                f"--set model.{name}={theirs}"
            )
    earlier: Any = scored_network(run).get_layer(settings.backbone)
    copy_weights(earlier, backbone, run.folder)
    return {
        "run": str(real_path(run.folder)),
        "file": str(real_path(run.best_weights)),
        "sha256": run.files.sha256(WEIGHTS),
    }


def refuse_tested(plan: Plan, folds: list[Plan]) -> None:
    """Raise KcarsError if the earlier run of the initial weights was trained on test photos.

    Warns if it was trained on photos that choose epoch and threshold, in the plan or its folds.
    """
    run = earlier_run(plan.strategy)
    if run is None:
        return
    known, table, tested = provenance.read(run), plan.dataset.table, plan.dataset.test_rows()
    where = f"model.weights: run {run.folder} was trained on"
    seen = known.seen(table, tested)
    if seen.any():
        raise KcarsError(
            f"{where} {seen.sum()} of the {len(tested)} test photos of this run, such as "
            f"{table.paths[tested[seen]][0]}; scores would be worthless{known.caution}{_way_out(plan)}"
        )
    held = np.concatenate([one.validation for one in (plan, *folds)])
    if not task_texts(plan.strategy.task).of_pairs:
        if flattered := int(known.seen(table, held, trained=True).sum()):
            _warn(f"{where} {flattered} of the {len(held)} photos that choose the epoch")
        return
    if shared := sorted(known.models & set(model_names(table, tested))):
        raise KcarsError(
            f"{where} {len(shared)} of the models in the test pairs, such as {', '.join(shared[:NAMED])}; verification is "
            f"tested on unseen models{_way_out(plan)}"
        )
    if flattered := sorted(known.models & set(model_names(table, held))):
        named = ", ".join(flattered[:NAMED])
        _warn(f"{where} {len(flattered)} of the models that choose epoch and threshold, such as {named}")


def _way_out(plan: Plan) -> str:
    """Return how to split a user's own photos so that one run may start from another; releases have fixed lists."""
    if plan.dataset.split == "as listed":
        return ""
    what = task_texts(plan.strategy.task).parted
    return (
        f"; to start from that run, split the {what} into folders train/ and test/, train it again with --data on train/ only, "
        "and this one with --data on the folder of both"
    )


def _warn(what: str) -> None:
    warn(f"warning: {what}: validation scores are too optimistic; test scores are not")
