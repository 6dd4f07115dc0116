"""A run's network with the weights of its best epoch, rebuilt from the run folder alone."""

from pathlib import Path

from kcars.adjusted_head import AdjustedHead
from kcars.errors import KcarsError
from kcars.run import Run
from kcars.tasks import task_module


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
    head = AdjustedHead.chosen(run.scores().get("adjusted"), run.folder)
    network = scored_network(run)
    return head.on(network, run.strategy().target) if head else network


def load_best(network, path: Path) -> None:
    """Bring a network to a run's best weights; KcarsError says how they are had again."""
    if not path.is_file():
        raise KcarsError(
            f"{path}: there are no weights: the run ended before its first epoch did, or they were deleted; "
            f"kcars train --resume {path.parent} writes them"
        )
    try:
        network.load_weights(path)
    except (ValueError, OSError) as error:
        told = str(error).splitlines()[0].partition(" (")[0]
        raise KcarsError(f"{path}: damaged ({told}); kcars train --resume {path.parent} writes it anew") from None
