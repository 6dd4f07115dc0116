"""Learning-rate schedules, computed in the graph."""

import inspect
import math

import keras
from keras import ops

from kcars.core.errors import KcarsError, one_of

SMALLEST = 1e-6
PEAK_FACTOR = 10.0  # Peak of one_cycle as a multiple of its base rate.


@keras.saving.register_keras_serializable(package="kcars")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Cosine rise from peak / start_divisor to peak = peak_factor * base, then cosine fall to the end.

    The end is peak / start_divisor / end_divisor, reached at step total_steps - 1 and kept after it. Equal at
    every step to torch.optim.lr_scheduler.OneCycleLR and its defaults (Smith and Topin 2017, arXiv 1708.07120).
    """

    def __init__(
        self,
        base: float,
        total_steps: int,
        peak_factor: float = PEAK_FACTOR,
        warm_up: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 1e4,
    ):
        super().__init__()
        self.base, self.total_steps = float(base), positive_steps(total_steps)
        self.peak_factor, self.warm_up = float(peak_factor), share("warm_up", warm_up)
        self.start_divisor, self.end_divisor = float(start_divisor), float(end_divisor)

    def __call__(self, step):
        peak = self.base * self.peak_factor
        start = peak / self.start_divisor
        end = start / self.end_divisor
        top, last = self.warm_up * self.total_steps - 1.0, self.total_steps - 1.0
        step = ops.cast(step, "float32")
        # Below four steps (at 30 %) there is no rise, as in torch: `top` is negative and unused.
        rising = start + (peak - start) * cosine_rise(step / max(top, SMALLEST))
        falling = end + (peak - end) * cosine_rise((last - step) / max(last - top, SMALLEST))
        return ops.where(step <= top, rising, falling)

    def get_config(self):
        names = ("base", "total_steps", "peak_factor", "warm_up", "start_divisor", "end_divisor")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable(package="kcars")
class EveryFew(keras.optimizers.schedules.LearningRateSchedule):
    """Advances another schedule once in `parts` steps: an optimizer that accumulates gradients counts every part."""

    def __init__(self, schedule, parts: int):
        super().__init__()
        self.schedule, self.parts = schedule, int(parts)

    def __call__(self, step):
        return self.schedule(step // self.parts)

    def get_config(self):
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "parts": self.parts}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["parts"])


def warmup_cosine(base: float, total_steps: int, warm_up: float = 0.2):
    """Linear warm-up to `base` over the share `warm_up` of the steps, then a cosine fall to 0.

    The rate of step 0 is above 0. Loshchilov and Hutter 2016, arXiv 1608.03983, without restarts.
    """
    warm_steps = max(1, round(share("warm_up", warm_up) * positive_steps(total_steps)))
    falling = max(1, total_steps - warm_steps)
    first = base / (warm_steps + 1)
    return keras.optimizers.schedules.CosineDecay(first, falling, warmup_target=base, warmup_steps=warm_steps)


def constant(base: float, total_steps: int) -> float:
    """`base` at every step."""
    return float(base)


SCHEDULES = {"one_cycle": OneCycle, "warmup_cosine": warmup_cosine, "constant": constant}


def build_schedule(name: str, base: float, total_steps: int, **settings):
    """The schedule called `name`, for the learning rate of a Keras optimizer.

    Raises:
        KcarsError: for an unknown name or setting; lists the known ones.
    """
    if name not in SCHEDULES:
        raise one_of("schedule", name, SCHEDULES)
    known = list(inspect.signature(SCHEDULES[name]).parameters)[2:]
    for setting in settings:
        if setting not in known:
            raise one_of(f"schedule {name}, setting", setting, known or ["none"])
    return SCHEDULES[name](base, total_steps, **settings)


def cosine_rise(fraction):
    """(1 - cos(pi f)) / 2, f clipped to 0..1; computed as a squared sine, which is precise near 0 in float32."""
    return ops.square(ops.sin(ops.clip(fraction, 0.0, 1.0) * (math.pi / 2)))


def positive_steps(total_steps: int) -> int:
    """Returns `total_steps`, which must be at least 1."""
    if total_steps < 1:
        raise KcarsError(f"total_steps: {total_steps} is too few; a schedule needs at least 1 step")
    return int(total_steps)


def share(what: str, value: float) -> float:
    """Returns `value`, which must lie in [0, 1)."""
    if not 0.0 <= value < 1.0:
        raise KcarsError(f"{what}: {value} is not a share of the steps; choose a number from 0 to below 1")
    return float(value)
