"""AdamW on the strategy's schedule (Loshchilov and Hutter 2019)."""

import keras

from kcars.settings import TrainSettings


def adamw(settings: TrainSettings, rate) -> keras.optimizers.Optimizer:
    """The optimizer at a learning rate or schedule of one (`schedules.build_schedule`)."""
    return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
