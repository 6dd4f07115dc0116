import numpy as np

from kcars.models.outputs import network_outputs, views


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


def test_views_move_the_photo_and_repeat_its_edge():
    photo = np.arange(10)[:, None] * 10 + np.arange(10)[None]
    seen = [photo[rows][:, columns] for rows, columns in views(10, mirror=False, shift=0.2)]
    assert (seen[0] == photo).all()
    assert seen[1][4, :4].tolist() == [40, 40, 40, 41]  # moved right
    assert seen[2][4, 6:].tolist() == [48, 49, 49, 49]
    assert seen[3][:4, 4].tolist() == [4, 4, 4, 14]
    assert seen[4][6:, 4].tolist() == [84, 94, 94, 94]
    both = [photo[rows][:, columns] for rows, columns in views(10, mirror=True, shift=0.2)]
    assert len(both) == 10
    assert (both[1] == photo[:, ::-1]).all()
    assert (both[3] == seen[1][:, ::-1]).all()
    assert len(views(10, mirror=True, shift=0.04)) == 2  # Less than half a pixel.


def test_shifts_are_averaged():
    out = network_outputs(Model(), Store(), batch=4, mirror=False, shift=0.25)(np.array([8]))
    pixels = Store().read(np.array([8]))
    wanted = [pixels[0][rows][:, columns][0, 0] for rows, columns in views(pixels.shape[1], False, 0.25)]
    assert out[0].tolist() == np.mean(wanted, 0)[: out.shape[1]].tolist()


def test_no_rows_give_no_outputs():
    assert len(network_outputs(Model(), Store(), 4, False)(np.array([], int))) == 0
