"""Losses of classification: that of the make head, and the validation loss."""

from typing import TYPE_CHECKING

from kcars.losses.catalogue import LOSSES
from kcars.tasks.plan import Plan, training_loss

if TYPE_CHECKING:
    from kcars.objectives.losses import CatalogueLoss  # It imports Keras.


def plain_loss(plan: Plan) -> "CatalogueLoss":
    """Return the cross entropy, also for an auxiliary make head: without offsets, margins or weights for rare classes, and with the label smoothing of the strategy's loss."""
    from kcars.objectives.losses import build_loss

    return build_loss("cross_entropy", label_smoothing=getattr(plan.strategy.loss, "label_smoothing", 0.0))


def validation_loss(plan: Plan) -> "CatalogueLoss":
    """Return the loss of the predictions.

    It excludes what training adds for rare classes: sample weights, logit offsets and margins (which leaves cross entropy).
    The alpha of focal losses is included, as part of the loss.
    """
    plain = LOSSES[plan.strategy.loss.name].plain
    return plain_loss(plan) if plain else training_loss(plan)
