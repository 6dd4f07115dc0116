"""What a classification's make learns by, and the loss that its validation tells."""

import numpy as np

from kcars.rare_classes import log_frequencies
from kcars.tasks.plan import Plan, training_loss


def make_loss(plan: Plan):
    """Cross entropy of the make's logits, offset by the makes' frequencies where the models' are by theirs."""
    tau = plan.strategy.balance.logit_adjustment
    if not tau:
        return _cross_entropy(plan)
    photos = np.bincount(plan.classes.make_numbers()[1], plan.class_photos())
    return _cross_entropy(plan, (tau * log_frequencies(photos)).tolist())


def validation_loss(plan: Plan):
    """The loss of answers as they are given.

    What training adds for rare classes does not count: no photo's weight, no offset of logits, no margin (which leaves cross
    entropy). An alpha of the focal losses does: it is the loss itself.
    """
    plain = plan.strategy.loss.name in ("cross_entropy", "ldam")
    return _cross_entropy(plan) if plain else training_loss(plan)


def _cross_entropy(plan: Plan, offsets: list[float] | None = None):
    """With the label smoothing of the strategy's loss, where it has some."""
    from kcars.losses import build_loss

    smoothing = getattr(plan.strategy.loss, "label_smoothing", 0.0)
    return build_loss("cross_entropy", label_smoothing=smoothing, offsets=offsets)
