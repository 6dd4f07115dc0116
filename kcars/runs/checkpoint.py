"""A run's network with the weights of its best epoch, rebuilt from the run folder alone."""

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

MARGIN = 2**20  # Bytes that a file may hold beside its weights, such as a seed.


def scored_network(run: Run):
    """The Keras model whose outputs are scored; KcarsError where its weights are missing or damaged."""
    strategy = run.strategy()
    network = task_module(strategy.task).scored(strategy, run.classes())
    load_best(network, run.best_weights)
    return network


def answering_network(run: Run):
    """The network that answers for a scored run: `scored_network` with the head that its scores are by.

    Raises KcarsError also where the run is unscored, or that head is missing or damaged.
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
    """Bring a network to a run's best weights; KcarsError says how they are had again."""
    files = RunFolder(path.parent)
    if not files.has(path.name):
        raise KcarsError(
            f"{path}: there are no weights: the run ended before its first epoch did, or they were deleted; "
            f"kcars train --resume {path.parent} writes them"
        )
    files.sha256(path.name)  # Compares.
    again = f"kcars train --resume {path.parent} writes it anew"
    try:
        _refuse_more_than(sum(array.nbytes for array in network.get_weights()), path)
        with warnings.catch_warnings(action="ignore"):  # Keras warns of each layer, then raises.
            network.load_weights(path)
    except (ValueError, OSError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        told = str(error).splitlines()[0].partition(" (")[0]
        raise KcarsError(f"{path}: damaged ({told}); {again}") from None
    for weight, array in zip(network.weights, network.get_weights(), strict=True):
        if not np.isfinite(array).all():
            raise KcarsError(f"{path}: {weight.path} holds numbers that are not finite; {again}")


def _refuse_more_than(size: int, path: Path) -> None:
    """ValueError where a file of weights holds more bytes than its network has, or data that lie elsewhere."""
    if (found := array_bytes(path)) > size + MARGIN:
        raise ValueError(f"holds {found:,} bytes of weights, its network has {size:,}")
