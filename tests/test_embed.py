import numpy as np

from kcars.embed import network_outputs


class Store:
    def __init__(self):
        self.asked = []

    def read(self, rows):
        self.asked += rows.tolist()
        pixels = np.zeros((len(rows), 2, 2, 3), np.uint8)
        pixels[:, 0, 0, 0] = rows  # the left column tells the row, the right one is empty
        return pixels


class Model:
    """Gives the top left and the top right pixel, and records the batch sizes it was asked for."""

    def __init__(self):
        self.sizes = set()

    def predict_on_batch(self, pixels):
        self.sizes.add(len(pixels))
        return {"model": pixels[:, 0, :, 0].astype("float32")}


def test_each_distinct_photo_passes_once_and_order_is_kept():
    store, model = Store(), Model()
    out = network_outputs(model, store, batch=4, mirror=False)(np.array([9, 2, 9, 5, 2, 7, 1]))
    assert out[:, 0].tolist() == [9, 2, 9, 5, 2, 7, 1]
    assert sorted(store.asked) == [1, 2, 5, 7, 9]
    assert model.sizes == {4}  # the last short batch is filled up: one trace


def test_mirror_is_the_mean_of_both():
    out = network_outputs(Model(), Store(), batch=4, mirror=True)(np.array([8, 6]))
    assert out.tolist() == [[4.0, 4.0], [3.0, 3.0]]


def test_no_rows_give_no_outputs():
    assert len(network_outputs(Model(), Store(), 4, False)(np.array([], int))) == 0
