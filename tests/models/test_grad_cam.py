"""Maps of networks whose answers are known, beside plain computations: finite differences, and CAM where they are one."""

import keras
import numpy as np
import pytest

from kcars.backbones.blocks.residual import pooled
from kcars.backbones.build import build_backbone
from kcars.backbones.catalogue import BACKBONES, Scale
from kcars.models.grad_cam import BATCH, GradCam
from kcars.models.networks import classifier, embedder, with_auxiliary
from kcars.models.split_at_grid import cut_at_grid
from kcars.posthoc.distance_transform import DistanceTransform
from kcars.posthoc.pipeline import Pipeline

SIZE, CELLS = 32, 4


def eye(pooling="average"):
    """A backbone whose grid (n, 4, 4, 3) is the mean colour of each eighth of the side, 0 to 1."""
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    shrunk = keras.layers.AveragePooling2D(SIZE // CELLS)(pixels)
    grid = keras.layers.Rescaling(1 / 255)(shrunk)
    return keras.Model(pixels, pooled(grid, pooling), name="eye")


def naming(kernel, pooling="average"):
    network = classifier(eye(pooling), {"model": kernel.shape[1]})
    network.get_layer("model").set_weights([kernel, np.zeros(kernel.shape[1])])
    return network


def with_corner(colour, row=0, column=3):
    """A black photo with one place of the grid coloured."""
    photo = np.zeros((SIZE, SIZE, 3), np.uint8)
    step = SIZE // CELLS
    photo[row * step : (row + 1) * step, column * step : (column + 1) * step] = colour
    return photo


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)


def cells(photos):
    step = SIZE // CELLS
    return photos.reshape(len(photos), CELLS, step, CELLS, step, 3).mean((2, 4)) / 255


def test_the_one_place_that_matters_has_all_the_heat():
    cam = GradCam(naming(np.eye(3)))
    photos = np.stack([with_corner((255, 0, 0)), with_corner((255, 0, 0), 2, 1)])
    red, again = cam.of_classes(photos, np.array([0, 0]))
    assert red[0, 3] > 0 and np.count_nonzero(red) == 1
    assert again[2, 1] > 0 and np.count_nonzero(again) == 1
    assert not cam.of_classes(photos, np.array([1, 2])).any(), "red says nothing for or against green and blue"


def test_what_speaks_against_is_below_nothing():
    cam = GradCam(naming(np.array([[1.0], [-1.0], [0.0]])))
    photo = np.maximum(with_corner((255, 0, 0)), with_corner((0, 255, 0), 3, 0))
    (heat,) = cam.of_classes(photo[None], np.array([0]))
    assert heat[0, 3] == -heat[3, 0] > 0


def test_under_a_mean_and_a_linear_head_it_is_the_class_activation_map():
    """Zhou et al. 2016: the head's weights on every place of the grid; here each place also counts a sixteenth."""
    kernel = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    photos, classes = noise(BATCH + 3), np.arange(BATCH + 3) % 5
    found = GradCam(naming(kernel)).of_classes(photos, classes)
    plain = np.einsum("nhwc,cn->nhw", cells(photos), kernel[:, classes]) / CELLS**2
    np.testing.assert_allclose(found, plain, atol=1e-5)


def slopes(answer, grid):
    """Of `answer` in every place and channel of a grid (h, w, c), by finite differences."""
    found = np.zeros(grid.shape)
    for place in np.ndindex(*grid.shape):
        moved = grid.copy(), grid.copy()
        moved[0][place] += 1e-3
        moved[1][place] -= 1e-3
        found[place] = (answer(moved[0]) - answer(moved[1])) / 2e-3
    return found


def plain_map(answer, grid):
    return (grid * slopes(answer, grid)).sum(-1)


def test_a_generalized_mean_is_gone_through_too():
    kernel = np.array([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.3]])
    photos = noise(2)
    found = GradCam(naming(kernel, "gem")).of_classes(photos, np.array([1, 0]))
    for heat, grid, label in zip(found, cells(photos), (1, 0), strict=True):

        def logit(grid, label=label):
            return (grid**3).mean((0, 1)) ** (1 / 3) @ kernel[:, label]

        np.testing.assert_allclose(heat, plain_map(logit, grid), atol=1e-4)


TRANSFORM = DistanceTransform(
    np.array([0.1, 0.2, -0.1], np.float32),
    np.array([[1.0, 0.5], [-0.3, 1.0], [0.2, -0.7]], np.float32),
    np.array([1.0, 2.0], np.float32),
)


def comparing(head="linear"):
    network = embedder(eye(), 3, head)
    network.get_layer("projection").set_weights([np.eye(3), np.zeros(3)])
    return network


@pytest.mark.parametrize(
    ("head", "transform", "unit"), [("linear", None, False), ("linear", None, True), ("neck", TRANSFORM, True)]
)
def test_maps_of_a_pair_are_those_of_minus_its_distance(head, transform, unit):
    left, right = noise(2, 1), noise(2, 2)
    found = GradCam(comparing(head), pipeline=Pipeline(transform=transform, unit=unit)).of_pairs(left, right)

    def vector(grid):
        return Pipeline(transform=transform, unit=unit)(grid.mean((0, 1))[None])[0]

    for place in range(2):
        one, other = cells(left)[place], cells(right)[place]
        for heat, grid, beside in ((found[0][place], one, other), (found[1][place], other, one)):
            plain = plain_map(lambda moved, b=beside: -np.linalg.norm(vector(moved) - vector(b)), grid)
            np.testing.assert_allclose(heat, plain, atol=1e-3 * np.abs(plain).max())


def test_what_two_photos_share_brings_them_together():
    """Both have red, at different places; the left has blue beside it, the right green."""
    left = np.maximum(with_corner((255, 0, 0), 0, 0), with_corner((0, 0, 255), 3, 3))
    right = np.maximum(with_corner((255, 0, 0), 3, 0), with_corner((0, 255, 0), 0, 3))
    (one,), (other,) = GradCam(comparing(), pipeline=Pipeline(unit=True)).of_pairs(left[None], right[None])
    assert one[0, 0] > 0 > one[3, 3] and other[3, 0] > 0 > other[0, 3]


def test_a_photo_beside_itself_has_a_map_without_heat():
    photo = noise(1)
    for maps in GradCam(comparing(), pipeline=Pipeline(unit=True)).of_pairs(photo, photo):
        assert np.isfinite(maps).all() and np.abs(maps).max() < 1e-6


def test_the_mirror_image_counts_by_half_and_is_turned_back():
    kernel = np.array([[1.0], [0.0], [0.0]])
    (plain,) = GradCam(naming(kernel)).of_classes(with_corner((255, 0, 0), 0, 1)[None], np.array([0]))
    (mirrored,) = GradCam(naming(kernel), mirror=True).of_classes(with_corner((255, 0, 0), 0, 1)[None], np.array([0]))
    np.testing.assert_allclose(mirrored, plain, atol=1e-6)


def test_every_backbone_but_the_transformer_is_cut_at_an_eighth():
    assert [one.name for one in BACKBONES.values() if not one.heat_grid] == ["dinov2_small"]


CASES = {
    "resnet18": lambda: embedder(build_backbone("resnet18", 64, Scale(0.25, "compact")), 8, "two_layers"),
    "gem": lambda: classifier(
        build_backbone("simple_resnet", 64, Scale(0.25, "compact"), pooling="gem"), {"make": 3}, 0.5
    ),
    "cosines": lambda: classifier(build_backbone("resnet18", 64, Scale(0.25)), {"make": 3}, scale=16.0),
    "resnet50": lambda: embedder(build_backbone("resnet50", 32), 8),
    "efficientnet_b0": lambda: embedder(build_backbone("efficientnet_b0", 32), 8, "linear"),
    "convnext_tiny": lambda: classifier(build_backbone("convnext_tiny", 32), {"make": 3}),
    "dinov2_small": lambda: classifier(build_backbone("dinov2_small", 28), {"make": 3}),
    "auxiliary": lambda: with_auxiliary(build_backbone("inception_v3", 75, grid=True), 3, "make")[1],
}


@pytest.mark.parametrize("case", CASES)
def test_a_network_cut_in_two_answers_as_it_did(case):
    network = CASES[case]()
    size_px = network.input_shape[1]
    photos = np.random.default_rng(0).integers(0, 256, (2, size_px, size_px, 3)).astype(np.float32)
    to_grid, to_output = cut_at_grid(network)
    grid = to_grid(photos)
    cells = {75: 7, 28: 2}.get(size_px, size_px // 8)
    assert grid.shape[1:3] == (cells, cells)
    wanted, found = network(photos), to_output(grid)
    if isinstance(wanted, dict):
        wanted, found = wanted["make"], found["make"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
