"""What a new network begins with: chance, published weights, a file, or the backbone of an earlier run."""

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
NAMED = 3  # So many names in a message, no more.


def earlier_run(strategy: Strategy) -> Run | None:
    """The run whose backbone `model.weights` names, where it names one."""
    source = strategy.model.weights
    return Run.open(Path(source)) if source not in ("none", "imagenet") and Path(source).is_dir() else None


def begin(network, plan: Plan, expected: dict | None = None) -> dict[str, str] | None:
    """Bring a new Network to `model.weights`; what was read, None where there was nothing to read.

    expected: what was read when the run began. Raises KcarsError where weights cannot be had, do not fit, are others
    than expected.
    """
    from kcars.models.weights import load

    model = plan.strategy.model
    if model.weights == "none":
        return None
    backbone, run = network.scored.get_layer(model.backbone), earlier_run(plan.strategy)
    facts = _from_run(backbone, run, plan) if run else load(backbone, model.weights)
    if expected and expected["sha256"] != facts["sha256"]:
        raise KcarsError(
            f"model.weights: {facts['file']} has changed since the run began; put it back as it was, or train anew"
        )
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
    """KcarsError where an earlier run that training begins with knows what is tested on.

    Where it knows what epoch and threshold are chosen on, by the plan or its folds, that is told.
    """
    run = earlier_run(plan.strategy)
    if run is None:
        return
    known, table, tested = provenance.read(run), plan.dataset.table, plan.dataset.test_rows()
    where = f"model.weights: run {run.folder} has learned"
    seen = known.seen(table, tested)
    if seen.any():
        raise KcarsError(
            f"{where} from {seen.sum()} of the {len(tested)} photos that are tested on here, such as "
            f"{table.paths[tested[seen]][0]}; scores would be worthless{known.caution}{_way_out(plan)}"
        )
    held = np.concatenate([one.validation for one in (plan, *folds)])
    if not task_texts(plan.strategy.task).of_pairs:
        if flattered := int(known.seen(table, held, trained=True).sum()):
            _warn(f"{where} from {flattered} of the {len(held)} photos that choose the epoch")
        return
    if shared := sorted(known.models & set(model_names(table, tested))):
        raise KcarsError(
            f"{where} {len(shared)} of the models in the test pairs, such as {', '.join(shared[:NAMED])}; verification is "
            f"measured on models that nothing has learned{_way_out(plan)}"
        )
    if flattered := sorted(known.models & set(model_names(table, held))):
        named = ", ".join(flattered[:NAMED])
        _warn(f"{where} {len(flattered)} of the models that choose epoch and threshold, such as {named}")


def _way_out(plan: Plan) -> str:
    """How a user's own photos are parted so that one run may begin with another; lists of a release part them already."""
    if plan.dataset.split == "as listed":
        return ""
    what = task_texts(plan.strategy.task).parted
    return (
        f"; to begin with that run, part the {what} into folders train/ and test/, train it anew with --data on train/ alone, "
        "and this one with --data on the folder of both"
    )


def _warn(what: str) -> None:
    warn(f"warning: {what}: validation scores flatter; the test does not")
