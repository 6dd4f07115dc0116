"""Rebuilds a run's network with the weights of its checkpoint, from the run folder alone."""

import warnings
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.runs.fitted import pipeline_of
from kcars.runs.run import Run
from kcars.runs.score_files import file_of
from kcars.tasks import task_module
from kcars.untrusted.run_folder import RunFolder
from kcars.untrusted.weight_files import array_bytes

MARGIN = 2**20  # Bytes that a file may have in addition to its weights, such as a seed.


def scored_network(run: Run):
    """Load the Keras model whose outputs are scored; KcarsError if its weights are missing or damaged."""
    strategy = run.strategy()
    network = task_module(strategy.task).scored(strategy, run.classes())
    load_best(network, run.best_weights)
    return network


def answering_network(run: Run):
    """Load the network for predictions of a scored run: `scored_network` with the head used for scoring.

    Also raises KcarsError if the run is unscored, or the head is missing or damaged.
    """
    head = pipeline_of(run).head
    network, target = scored_network(run), run.strategy().target
    if head is None:
        return network
    if not head.fits(network.get_layer(target).input.shape[-1], network.get_layer(target).output.shape[-1]):
        name = file_of("head", run.scores())
        raise KcarsError(f"{run.folder / name}: does not fit the network; {run.files.remedy(name)}")
    return head.on(network, target)


def load_best(network, path: Path) -> None:
    """Load a run's checkpoint into a network; KcarsError, with the remedy, if that is impossible."""
    files = RunFolder(path.parent)
    if not files.has(path.name):
        raise KcarsError(
            f"{path}: there are no weights: the run stopped before the end of its first epoch, or they were deleted; "
            f"kcars train --resume {path.parent} writes them"
        )
    files.sha256(path.name)  # Raises if the digest differs.
    again = f"kcars train --resume {path.parent} writes it again"
    try:
        _refuse_more_than(sum(array.nbytes for array in network.get_weights()), path)
        with warnings.catch_warnings(action="ignore"):  # Keras warns about each layer, then raises.
            network.load_weights(path)
    except (ValueError, OSError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0].partition(" (")[0]
        raise KcarsError(f"{path}: damaged ({reason}); {again}") from None
    for weight, array in zip(network.weights, network.get_weights(), strict=True):
        if not np.isfinite(array).all():
            raise KcarsError(f"{path}: {weight.path} has numbers that are not finite; {again}")


def _refuse_more_than(size: int, path: Path) -> None:
    """Raise ValueError if a weights file has more bytes than its network, or refers to data in other files."""
    if (found := array_bytes(path)) > size + MARGIN:
        raise ValueError(f"has {found:,} bytes of weights, its network {size:,}")
