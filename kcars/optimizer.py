"""AdamW on the strategy's schedule (Loshchilov and Hutter 2019)."""

import keras

from kcars.schedules import build_schedule
from kcars.strategy import TrainSettings


def adamw(settings: TrainSettings, total_steps: int) -> keras.optimizers.Optimizer:
    """The optimizer whose learning rate runs through `total_steps` steps of the schedule."""
    rate = build_schedule(settings.schedule, settings.learning_rate, max(total_steps, 2))
    return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
