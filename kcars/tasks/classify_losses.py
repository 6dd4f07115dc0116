"""What a classification's make learns by, and the loss that its validation tells."""

from kcars.losses.catalogue import LOSSES
from kcars.tasks.plan import Plan, training_loss


def plain_loss(plan: Plan):
    """Cross entropy, of makes beside models too: no offset, margin or weight for rare classes; with the label smoothing of the strategy's loss, where it has some."""
    from kcars.objectives.losses import build_loss

    return build_loss("cross_entropy", label_smoothing=getattr(plan.strategy.loss, "label_smoothing", 0.0))


def validation_loss(plan: Plan):
    """The loss of answers as they are given.

    What training adds for rare classes does not count: no photo's weight, no offset of logits, no margin (which leaves cross
    entropy). An alpha of the focal losses does: it is the loss itself.
    """
    plain = LOSSES[plan.strategy.loss.name].plain
    return plain_loss(plan) if plain else training_loss(plan)
