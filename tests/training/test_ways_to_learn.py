"""Ways to learn and to keep weights that can be set: each changes what it says, and a stopped run ends as a whole one."""

import json
import os
import signal

import keras
import numpy as np
import pytest
from support.commands import kcars, rows, small
from support.runs import SAME, differences, steps_per_epoch

from kcars.backbones.blocks.layers import GeneralizedMean, StochasticDepth
from kcars.training.callbacks.average import Averaged

pytestmark = pytest.mark.usefixtures("lean")

EVERYTHING = [
    "target=make",
    "data.classes=model",
    "model.make_weight=0.5",
    "train.epochs=2",
    "data.first_px=32",
    "data.size_px=48",
    "data.growth=0.5",
    "data.classes_per_make=2",
    "model.pooling=gem",
    "model.head=features",
    "model.embedding=128",
    "model.projection=16",
    "model.drop_path=0.3",
    "train.ema=0.9",
    "train.decay_norms=false",
    "train.keep=last",
    "evaluate.distance=whitened",
    "second_loss={weight: 0.5, loss: {name: multi_similarity}}",
]


@pytest.fixture(scope="module")
def everything(lean, drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("everything") / "run"
    kcars("train", "--task", "verify", "--data", drawn, "--out", run, *small(*EVERYTHING))
    return run


def test_a_run_with_everything_keeps_its_last_epoch_and_is_used(everything, drawn):
    scores = json.loads((everything / "scores.json").read_text())
    assert (scores["best_epoch"], scores["metric"], scores["cost"]["size_px"]) == (2, "whitened", 48)
    photos = [drawn / "image" / row["path"] for row in rows(everything / "tested_photos.csv")[:2]]
    assert "probability" in kcars("compare", *photos, "--model", everything)
    kcars("export", everything, "--format", "onnx", "--photos", 20, "--out", everything / "export")
    told = (everything / "export/README.md").read_text()
    assert "whitening" in told and "same make, also for models not seen in training (trained on 12 models)" in told
    kcars("report", everything)
    page = (everything / "report.html").read_text()
    assert "whitening" in page and "Same make with the largest distances" in page and "Different models" not in page


def test_makes_are_told_apart_by_what_models_taught(everything):
    classes, history = json.loads((everything / "classes.json").read_text()), rows(everything / "history.csv")
    assert (classes["target"], len(classes["names"]), len(set(classes["makes"]))) == ("model", 12, 4)
    assert {"model_loss", "vectors_loss", "make_loss"} <= history[0].keys()
    for row in rows(everything / "pairs.csv"):
        left, right = (row[side].split("/")[0] for side in ("left", "right"))
        assert (row["same"] == "1") == (left == right)


def test_stopped_within_an_epoch_of_either_size_it_ends_as_if_it_had_not_been(everything, drawn, tmp_path, at_step):
    run, steps = tmp_path / "run", steps_per_epoch(everything)
    at_step(1, lambda _: os.kill(os.getpid(), signal.SIGINT))
    kcars("train", "--task", "verify", "--data", drawn, "--out", run, *small(*EVERYTHING), code=130)
    at_step(steps + 1, lambda _: os.kill(os.getpid(), signal.SIGINT))
    kcars("train", "--resume", run, code=130)
    kcars("train", "--resume", run)
    assert differences(everything, run) == SAME


@pytest.mark.parametrize(("protocol", "chosen"), [("honest", "held-out training models"), ("paper", "the test pairs")])
@pytest.mark.parametrize("loss", ["contrastive", "multi_similarity", "triplet", "normalised_softmax"])
def test_every_loss_trains_by_both_protocols(drawn, tmp_path, loss, protocol, chosen):
    settings = small("train.epochs=1", f"loss={{name: {loss}}}", f"evaluate.protocol={protocol}")
    told = kcars("train", "--task", "verify", "--data", drawn, "--out", tmp_path / "run", *settings)
    assert f"chosen on {chosen}" in told
    (row,) = rows(tmp_path / "run/history.csv")
    assert float(row["loss"]) > 0
    assert ("balanced_accuracy" in row) == (loss == "normalised_softmax")  # Without classes there is none.


def small_network():
    pixels = keras.Input((4,), name="pixels")
    return keras.Model(pixels, keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(3, name="head")(pixels)))


def test_the_average_is_that_of_a_plain_loop():
    network = small_network()
    averaged = Averaged(network, decay=0.5, parts=2)
    average, random = [w.copy() for w in network.get_weights()], np.random.default_rng(0)
    for step in range(1, 9):
        network.set_weights([random.normal(size=w.shape) for w in average])
        averaged.on_train_batch_end(step)
        if step % 2 == 0:  # Weights change once in two steps.
            updates = step // 2
            decay = min(0.5, (1 + updates) / (10 + updates))
            average = [decay * a + (1 - decay) * w for a, w in zip(average, network.get_weights(), strict=True)]
    for found, wanted in zip(averaged.kept.get_weights(), average, strict=True):
        assert found == pytest.approx(wanted, abs=1e-6)
    again = Averaged(small_network(), decay=0.5, parts=2)
    again.restore(averaged.state())
    assert again.steps == 8
    assert all(map(np.array_equal, again.kept.get_weights(), averaged.kept.get_weights()))


def test_generalized_mean_lies_between_mean_and_maximum():
    grid = np.array([1.0, 2.0, 3.0, 6.0], "float32").reshape(1, 2, 2, 1)
    for power, wanted in ((1.0, 3.0), (2.0, 12.5**0.5), (3.0, ((1 + 8 + 27 + 216) / 4) ** (1 / 3))):
        assert float(GeneralizedMean(power)(grid)[0, 0]) == pytest.approx(wanted, rel=1e-5)
    assert float(GeneralizedMean(60.0)(grid / 6)[0, 0]) == pytest.approx(1.0, abs=0.03)


def test_a_generalized_mean_of_nothing_has_a_finite_gradient():
    import tensorflow as tf

    layer = GeneralizedMean(9.0)
    grid = tf.Variable(np.zeros((2, 3, 3, 4), "float32"))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(grid))
    gradients = tape.gradient(total, [grid, layer.power.value])
    assert all(np.isfinite(np.asarray(one)).all() for one in gradients)


def test_stochastic_depth_drops_whole_photos_and_keeps_the_mean():
    layer, ones = StochasticDepth(0.25), np.ones((4000, 2, 2, 3), "float32")
    assert np.array_equal(layer(ones, training=False), ones)
    found = np.asarray(layer(ones, training=True))
    assert np.unique(found) == pytest.approx([0, 4 / 3])
    assert (found == found[:, :1, :1, :1]).all()
    assert found.mean() == pytest.approx(1.0, abs=0.03)  # Three deviations are 0.027.


def test_decay_leaves_single_numbers_alone_and_norms_and_biases_where_asked(drawn, tmp_path):
    from kcars.data.source import load
    from kcars.settings import FineTuneSettings
    from kcars.settings.strategy import load_strategy
    from kcars.tasks import verify
    from kcars.training.fine_tune import FineTuning
    from kcars.training.fit import compile_

    for decay_norms, fine_tune in (("true", None), ("false", None), ("false", FineTuneSettings())):
        strategy = load_strategy(
            "scratch/verify",
            [*small()[1::2], f"train.decay_norms={decay_norms}", "train.weight_decay=0.5", "model.pooling=gem"],
            task="verify",
        )
        strategy = strategy.model_copy(update={"train": strategy.train.model_copy(update={"fine_tune": fine_tune})})
        plan = verify.plan(load(drawn, "verify", strategy.data), strategy)
        network = verify.network(plan)
        compile_(network, plan, 1.0, FineTuning(network.scored.get_layer("resnet18"), fine_tune))
        model = network.trained
        gamma = network.scored.get_layer("resnet18").get_layer("stem_norm").gamma
        kernel = network.scored.get_layer("projection").kernel
        before = np.array(kernel)
        (exponent,) = [one for one in model.trainable_variables if one.path.endswith("/power")]
        model.optimizer.apply([keras.ops.zeros_like(one) for one in model.trainable_variables])
        assert np.asarray(gamma) == pytest.approx(0.5 if decay_norms == "true" else 1.0)  # They begin with 1.
        assert np.asarray(kernel) == pytest.approx(before / 2)
        assert float(exponent) == 3
