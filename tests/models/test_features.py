"""Features of a frozen backbone: computed once for each photo, and equal to the outputs of the whole network."""

import keras
import numpy as np
import pytest
from keras import layers

from kcars.models import features
from kcars.models.features import Features
from kcars.models.networks import classifier, embedder
from kcars.models.outputs import network_outputs
from kcars.settings.strategy import load_strategy

SIZE = 32


class Store:
    def __init__(self, photos=11):
        self.pixels = np.random.default_rng(0).integers(0, 256, (photos, SIZE, SIZE, 3), np.uint8)

    def read(self, rows):
        return self.pixels[rows]


def strategy(*changes):
    asked = ["model.backbone=resnet18", "evaluate.batch=4", f"data.size_px={SIZE}", "model.width=0.25", *changes]
    return load_strategy("scratch/classify", asked, target="model")


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(1)
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    grid = layers.Conv2D(6, 3, strides=8, activation="relu")(pixels / 255.0)
    return keras.Model(pixels, layers.GlobalAveragePooling2D()(grid), name="resnet18")


@pytest.fixture
def embedded(monkeypatch):
    """The numbers of photos that the backbone embedded, batch by batch."""
    counts = []
    inner = features.view_outputs

    def counted(backbone, pixels, *more):
        counts.append(len(pixels))
        return inner(backbone, pixels, *more)

    monkeypatch.setattr(features, "view_outputs", counted)
    return counts


NETWORKS = {
    "classifier": lambda backbone: classifier(backbone, {"model": 5}, square_root=True),
    "embedder": lambda backbone: embedder(backbone, 6, "features", square_root=True),
    "neck": lambda backbone: embedder(backbone, 3, "neck"),
}


@pytest.mark.parametrize("shift", [0.0, 0.1])
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_those_of_the_whole_network(own_cache, backbone, name, shift):
    network, store = NETWORKS[name](backbone), Store()
    rows = np.array([7, 0, 7, 3, 10])
    found = Features(network, strategy(f"evaluate.shift={shift}"), store).outputs(network)(rows)
    wanted = network_outputs(network, store, 4, mirror=True, shift=shift)(rows)
    assert np.allclose(found, wanted, atol=1e-5)


def test_each_photo_is_embedded_once_by_all_processes_and_datasets(own_cache, backbone, embedded):
    network, store = NETWORKS["classifier"](backbone), Store()
    first = Features(network, strategy(), store)(np.arange(6))
    assert embedded == [4, 2]
    again = Features(network, strategy(), store)(np.array([5, 8, 0, 5]))
    assert embedded == [4, 2, 1]
    assert np.array_equal(again[[0, 2, 3]], first[[5, 0, 5]])
    other = Store()
    other.pixels = np.concatenate([store.pixels[8:9], other.pixels[:3], store.pixels[:1]])  # As in a larger dataset.
    assert np.array_equal(Features(network, strategy(), other)(np.array([0]))[0], again[1])
    assert embedded == [4, 2, 1]


def test_other_weights_or_views_are_embedded_again(own_cache, backbone, embedded):
    network, store = NETWORKS["classifier"](backbone), Store(2)
    plain = Features(network, strategy(), store)(np.arange(2))
    Features(network, strategy("evaluate.mirror=false"), store)(np.arange(2))
    assert embedded == [2, 2]
    before = backbone.get_weights()
    backbone.set_weights([array + 0.5 for array in before])
    changed = Features(network, strategy(), store)(np.arange(2))
    backbone.set_weights(before)
    assert embedded == [2, 2, 2]
    assert not np.allclose(changed, plain)


def test_a_pass_that_was_stopped_goes_on_to_the_same_bits(own_cache, backbone, embedded, monkeypatch):
    network, store, rows = NETWORKS["classifier"](backbone), Store(), np.arange(11)
    reads = iter(range(100))

    class Stopping(Store):
        def read(self, rows):
            if next(reads) == 4:  # Three batches for the keys, and the second one to embed.
                raise KeyboardInterrupt
            return store.read(rows)

    with pytest.raises(KeyboardInterrupt):
        Features(network, strategy(), Stopping())(rows)
    done = sum(embedded)
    assert 0 < done < 11
    went_on = Features(network, strategy(), store)(rows)
    assert sum(embedded) == 11
    for file in own_cache.rglob("*.features"):
        file.unlink()
    assert np.array_equal(Features(network, strategy(), store)(rows), went_on)
