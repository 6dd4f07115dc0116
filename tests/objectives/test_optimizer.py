"""AdamW as Keras has it, and what fine-tuning adds: rates of a part, late beginnings, gathered gradients."""

import keras
import numpy as np
import pytest

from kcars.objectives.optimizer import FusedAdamW, adamw
from kcars.objectives.schedules import build_schedule
from kcars.settings import FineTuneSettings, TrainSettings

GRADIENTS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


def settings(weight_decay=0.1, **more) -> TrainSettings:
    return TrainSettings(epochs=1, batch=8, learning_rate=0.01, weight_decay=weight_decay, **more)


def variable(name):
    return keras.Variable(np.ones(3, np.float32), name=name)


def follow(optimizer, values, gradients) -> np.ndarray:
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for _ in values], values)
    return np.stack([keras.ops.convert_to_numpy(value) for value in values])


def test_a_backbone_at_the_full_rate_learns_as_by_adamw():
    plain, own = variable("plain"), variable("own")
    follow(keras.optimizers.AdamW(0.01, weight_decay=0.1), [plain], GRADIENTS)
    follow(adamw(settings(fine_tune=FineTuneSettings()), 0.01, [own]), [own], GRADIENTS)
    assert np.allclose(plain, own, atol=1e-6)


def test_the_backbone_learns_and_decays_at_its_share_of_the_rate():
    slow, head, reference = variable("slow"), variable("head"), variable("reference")
    tuned = adamw(settings(fine_tune=FineTuneSettings(backbone_rate=0.1)), 0.01, [slow])
    follow(tuned, [slow, head], GRADIENTS)
    follow(keras.optimizers.AdamW(0.001, weight_decay=0.1), [reference], GRADIENTS)
    assert np.allclose(slow, reference, atol=1e-6)
    follow(keras.optimizers.AdamW(0.01, weight_decay=0.1), [second := variable("second")], GRADIENTS)
    assert np.allclose(head, second, atol=1e-6)


def test_what_begins_late_moves_as_if_it_began_then():
    late, head = variable("late"), variable("head")
    tuned = adamw(settings(fine_tune=FineTuneSettings(head_epochs=1)), 0.01)
    tuned.build([late, head])
    tuned.begin([head])
    follow(tuned, [head], GRADIENTS)
    tuned.begin([late, head])
    follow(tuned, [late, head], GRADIENTS[:5])
    fresh = variable("fresh")
    follow(keras.optimizers.AdamW(0.01, weight_decay=0.1), [fresh], GRADIENTS[:5])
    assert np.allclose(late, fresh, atol=1e-5)


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_gathered_gradients_are_those_of_the_whole_batch(schedule):
    whole, parts = variable("whole"), variable("parts")
    rate = build_schedule(schedule, 0.01, 20)
    pairs = GRADIENTS.reshape(20, 2, 3)
    follow(adamw(settings(), rate), [whole], pairs.mean(1))
    optimizer = adamw(settings(gradient_accumulation=2), rate)
    follow(optimizer, [parts], GRADIENTS)
    assert int(optimizer.iterations) == 20
    assert np.allclose(whole, parts, atol=1e-6)


def applied(optimizer, variable):
    return lambda gradient: optimizer.apply([gradient], [variable])


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("rate", [0.01, keras.optimizers.schedules.CosineDecay(0.01, 9)])
def test_the_fused_update_is_keras_own(parts, rate):
    import tensorflow as tf

    random, found = np.random.default_rng(0), []
    gradients = random.normal(size=(9, 7, 5)).astype(np.float32)
    for kind in (keras.optimizers.AdamW, FusedAdamW):
        more = {"gradient_accumulation_steps": parts} if parts > 1 else {}
        optimizer = kind(rate, weight_decay=0.1, **more)
        variable = keras.Variable(np.linspace(-1, 1, 35, dtype=np.float32).reshape(7, 5))
        optimizer.build([variable])
        step = tf.function(applied(optimizer, variable))
        for gradient in gradients:
            step(tf.constant(gradient))
        found.append([np.asarray(value) for value in (variable, *optimizer.variables)])
    for stock, fused in zip(*found, strict=True):
        assert np.allclose(stock, fused, rtol=1e-5, atol=1e-6)


RELATIVE = FineTuneSettings(backbone_rate=10, relative_rate=True)


@pytest.mark.parametrize(
    ("shape", "filters"), [((3, 3, 4, 5), (1, 1, 1, 5)), ((3, 3, 4, 1), (1, 1, 4, 1)), ((6, 5), (1, 5)), ((7,), (1,))]
)
def test_at_relative_rates_each_filter_changes_in_proportion_to_its_initial_weights(shape, filters):
    """Kernels of convolutions, depthwise convolutions and dense layers, and a bias."""
    random = np.random.default_rng(1)
    initial, sizes = random.normal(size=shape).astype("f4"), random.uniform(0.1, 50, filters).astype("f4")
    gradients = random.choice([-1, 1], (30, *shape)) * random.uniform(
        0.5, 1.5, (30, *shape)
    )  # Far above Adam's epsilon.
    gradients = gradients.astype("f4")
    small, large = keras.Variable(initial), keras.Variable(initial * sizes)
    follow(adamw(settings(fine_tune=RELATIVE), 0.01, [small]), [small], gradients)
    follow(adamw(settings(fine_tune=RELATIVE), 0.01, [large]), [large], gradients / sizes)
    assert np.abs(small - initial).max() > 0.1
    assert np.allclose(small * sizes, large, rtol=1e-3, atol=1e-4 * sizes.max())


def test_filters_of_one_size_learn_as_at_a_plain_rate():
    signs = np.sign(np.random.default_rng(2).normal(size=(2, 3))).astype("f4")
    relative, plain, zero = keras.Variable(0.5 * signs), keras.Variable(0.5 * signs), keras.Variable(np.zeros(3, "f4"))
    gradients = np.random.default_rng(3).normal(size=(20, 2, 3)).astype("f4")
    follow(adamw(settings(fine_tune=RELATIVE), 0.01, [relative]), [relative], gradients)
    halved = settings(fine_tune=FineTuneSettings(backbone_rate=1), weight_decay=0.2)
    follow(adamw(halved, 0.05, [plain]), [plain], gradients)
    assert np.allclose(relative, plain, atol=1e-6)
    follow(adamw(settings(fine_tune=RELATIVE), 0.01, [zero]), [zero], gradients[:, 0])
    assert (np.abs(zero) > 0).all()  # Biases begin at 0.


def test_the_head_has_its_own_rate_beside_relative_ones():
    backbone, head, reference = variable("backbone"), variable("head"), variable("reference")
    follow(adamw(settings(fine_tune=RELATIVE), 0.01, [backbone]), [backbone, head], GRADIENTS)
    follow(keras.optimizers.AdamW(0.01, weight_decay=0.1), [reference], GRADIENTS)
    assert np.allclose(head, reference, atol=1e-6)
