"""Heads around a small backbone: shapes, precision, copies, and geometry of the float32 layers."""

import keras
import numpy as np
import pytest
from keras import ops

from kcars.backbones.blocks.layers import CosineLogits, EuclideanDistance, L2Normalize, MakeLogits, PixelScaling
from kcars.backbones.blocks.residual import pooled, residual_grid
from kcars.backbones.catalogue import NORMALIZATIONS
from kcars.models import networks
from kcars.objectives.losses import build_loss

CLASSES = {"model": 5, "make": 3}
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("uint8")
LABELS = {"model": np.array([0, 1, 2, 3]), "make": np.array([0, 1, 2, 0])}


@pytest.fixture(params=["float32", "mixed_bfloat16", "mixed_float16"])
def policy(request):
    """A dtype policy, taken back after the test."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def small_backbone():
    """Two residual blocks: all that the heads can tell from a large one, and quick to trace."""
    pixels = keras.Input((32, 32, 3), name="pixels")
    images = PixelScaling(*NORMALIZATIONS["compcars"], name="scaling")(pixels)
    return keras.Model(pixels, pooled(residual_grid(images, (8, 16), (1, 1), "compact")), name="small")


def small_embedder():
    return networks.embedder(small_backbone(), dimensions=8)


def networks_with_inputs():
    shared = small_embedder()
    pairs = {"left": PIXELS, "right": PIXELS[::-1]}
    return [
        (networks.classifier(small_backbone(), CLASSES, dropout=0.3), PIXELS),
        (networks.margin_classifier(shared, CLASSES), PIXELS),
        (networks.siamese(shared), pairs),
    ]


def wander(model):
    """Give `model` weights that no initializer gives, the moving statistics included."""
    generator = np.random.default_rng(1)
    model.set_weights([weight * generator.uniform(0.9, 1.1, weight.shape) + 0.01 for weight in model.get_weights()])
    return model


def test_outputs_are_float32_by_target(policy):
    for model, inputs in networks_with_inputs():
        outputs = model(inputs)
        shapes = {target: tuple(output.shape) for target, output in outputs.items()}
        assert shapes == ({"same": (4,)} if "same" in shapes else {"model": (4, 5), "make": (4, 3)})
        assert {keras.backend.standardize_dtype(output.dtype) for output in outputs.values()} == {"float32"}


def test_backbone_trains_in_the_policy_and_ends_in_float32(policy):
    backbone = small_backbone()
    assert backbone.get_layer("stage1_block1_conv1").compute_dtype == policy.removeprefix("mixed_")
    assert backbone.get_layer("scaling").compute_dtype == "float32"
    assert backbone.output.dtype == small_embedder().output.dtype == "float32"


def test_the_neck_takes_means_away_before_anything_is_rounded(policy):
    features = keras.Input((3,), dtype="float32")
    head = keras.Model(features, networks._neck(features, 3))
    means = np.array([[100.0, 50.0, 10.0]], np.float32)
    given = means + np.random.default_rng(0).normal(size=(64, 3)).astype("float32") * 0.05
    centred = keras.Model(features, head.get_layer("neck").output)(given, training=True)
    wanted = (given - given.mean(0)) / np.sqrt(given.var(0) + 1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(centred), wanted, atol=0.01)


def test_float32_copy_equals_a_model_built_in_float32(policy):
    trained = [wander(model) for model, _ in networks_with_inputs()]
    keras.config.set_dtype_policy("float32")
    for model, (built, inputs) in zip(trained, networks_with_inputs(), strict=True):
        copy = networks.in_float32(model)
        built.set_weights(model.get_weights())
        assert copy.name == model.name
        for target, expected in built(inputs).items():
            np.testing.assert_array_equal(copy(inputs)[target], expected)
        if policy != "float32":
            assert np.any(np.asarray(model(inputs)[target]) != np.asarray(expected))


def test_float32_copy_shares_nothing_with_its_model():
    model = small_embedder()
    copy = networks.in_float32(model)
    before = np.asarray(copy(PIXELS))
    wander(model)
    np.testing.assert_array_equal(copy(PIXELS), before)


def test_saved_and_loaded_networks_give_the_same(policy, tmp_path):
    for model, inputs in networks_with_inputs():
        wander(model).save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        for target, expected in model(inputs).items():
            np.testing.assert_array_equal(loaded(inputs)[target], expected)


def test_bytes_and_floats_give_the_same():
    model = small_embedder()
    np.testing.assert_array_equal(model(PIXELS), model(PIXELS.astype("float32")))


def test_every_target_trains(policy):
    model = networks.classifier(small_backbone(), CLASSES)
    before = [np.asarray(model.get_layer(target).kernel) for target in CLASSES]
    model.compile("sgd", loss={target: build_loss("cross_entropy") for target in CLASSES})
    # In float16 the first steps may be skipped, until the loss scale has come down.
    history = model.fit(PIXELS, LABELS, epochs=8, verbose=0).history
    assert np.isfinite(history["loss"]).all() and {"model_loss", "make_loss"} <= set(history)
    after = [np.asarray(model.get_layer(target).kernel) for target in CLASSES]
    assert all(np.any(old != new) for old, new in zip(before, after, strict=True))


def test_siamese_and_margin_classifier_train_one_embedder(policy):
    shared = small_embedder()
    siamese, margin = networks.siamese(shared), networks.margin_classifier(shared, {"model": 5})
    assert shared in siamese.layers and shared in margin.layers
    siamese.compile("sgd", loss={"same": build_loss("contrastive")}, run_eagerly=True)  # Not traced for one step.
    margin.compile("sgd", loss={"model": build_loss("arcface")}, run_eagerly=True)
    same = {"same": np.array([1, 0, 0, 1])}
    for model, inputs, labels in (
        (siamese, {"left": PIXELS, "right": PIXELS[::-1]}, same),
        (margin, PIXELS, {"model": LABELS["model"]}),
    ):
        before = shared.get_weights()
        assert np.isfinite(model.fit(inputs, labels, verbose=0).history["loss"]).all()
        assert any(np.any(old != new) for old, new in zip(before, shared.get_weights(), strict=True))
        assert all(np.isfinite(weight).all() for weight in shared.get_weights())


def test_siamese_gives_the_distance_of_the_vectors():
    shared = small_embedder()
    vectors = np.asarray(shared(PIXELS), "float64")
    expected = np.linalg.norm(vectors - vectors[::-1], axis=1)
    found = networks.siamese(shared)({"left": PIXELS, "right": PIXELS[::-1]})["same"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_neck_and_dropout_are_optional():
    assert "neck" not in [layer.name for layer in networks.embedder(small_backbone(), head="linear").layers]
    assert "dropout" not in [layer.name for layer in networks.classifier(small_backbone(), CLASSES).layers]


def on_the_circle(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")


def test_distances_at_known_angles():
    distances = EuclideanDistance()(on_the_circle(0, 0, 0, 0), on_the_circle(0, 60, 90, 180))
    np.testing.assert_allclose(distances, [0, 1, 2**0.5, 2], atol=1e-6)


def test_cosines_at_known_angles():
    layer = CosineLogits(4)
    layer.build((None, 2))
    layer.directions.assign(7.0 * on_the_circle(0, 60, 90, 180).T)
    np.testing.assert_allclose(layer(on_the_circle(0)), [[1, 0.5, 0, -1]], atol=1e-6)


def test_cosines_never_pass_one():
    layer = CosineLogits(1)
    layer.build((None, 2))
    layer.directions.assign([[1.0], [0.0]])
    np.testing.assert_array_equal(layer(np.float32([[1.0001, 0], [-1.0001, 0]])), [[1], [-1]])


def test_lengths_become_one_and_zero_stays_zero():
    np.testing.assert_allclose(L2Normalize()(np.float32([[3, 4], [0, 0]])), [[0.6, 0.8], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("layer", [L2Normalize, EuclideanDistance])
def test_gradients_are_finite_at_zero(layer):
    """A step of plain descent from identical, or zero, vectors leaves finite weights."""
    inputs = keras.Input((2,))
    shifted = keras.layers.Dense(2, use_bias=True, kernel_initializer="zeros", name="shift")(inputs)
    output = layer()(shifted) if layer is L2Normalize else layer()(shifted, ops.zeros_like(shifted))
    model = keras.Model(inputs, output)
    model.compile(keras.optimizers.SGD(1e-9), loss=lambda _, y: y)
    model.fit(np.ones((2, 2)), np.zeros(2), verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_makes_probability_is_the_sum_over_its_models():
    makes, logits = [2, 0, 2, 1, 0, 2], np.random.default_rng(0).normal(0, 20, (5, 6)).astype("float32")
    found = np.asarray(ops.softmax(MakeLogits(makes)(logits)))
    models = np.asarray(ops.softmax(logits))
    for make in range(3):
        expected = models[:, [model for model, own in enumerate(makes) if own == make]].sum(1)
        np.testing.assert_allclose(found[:, make], expected, atol=1e-6)


def test_a_classifier_of_models_and_makes_learns_nothing_that_it_does_not_answer_with(policy):
    scored = networks.classifier(small_backbone(), {"model": 5})
    trained = networks.with_makes(scored, "model", [0, 0, 1, 2, 2])
    assert [weight.path for weight in trained.weights] == [weight.path for weight in scored.weights]
    losses = {"model": build_loss("cross_entropy"), "make": build_loss("cross_entropy")}
    trained.compile("sgd", loss=losses, run_eagerly=True)
    before = np.asarray(scored.get_layer("model").kernel)
    told = trained.train_on_batch(PIXELS, {"model": LABELS["model"], "make": np.array([0, 0, 1, 2])}, return_dict=True)
    assert np.isfinite(told["loss"]) and (np.asarray(scored.get_layer("model").kernel) != before).any()
    assert scored(PIXELS)["model"].shape == (4, 5) and list(scored(PIXELS)) == ["model"]


def test_a_head_of_cosines_scales_them_and_is_a_linear_one_of_unit_features():
    model = networks.classifier(small_backbone(), {"model": 5}, scale=16.0)
    logits = np.asarray(model(PIXELS)["model"])
    assert (np.abs(logits) <= 16.0).all()
    features = np.asarray(keras.Model(model.input, model.get_layer("model").input)(PIXELS))
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    kernel, bias = networks.linear_head(model, "model")
    np.testing.assert_allclose(features @ kernel + bias, logits, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 16, rtol=1e-5)
    np.testing.assert_allclose(networks.in_float32(model)(PIXELS)["model"], logits, atol=1e-5)
