from dataclasses import replace

import numpy as np
import pytest
from support.streams import flat, make

from kcars.core.errors import KcarsError
from kcars.input.tf_data import plain_errors, training_dataset


@pytest.mark.parametrize("order", ["plain", "pairs"])
def test_the_dataset_gives_the_streams_batches_in_order_from_any_step(order):
    stream = make(order, augment="flip(0.5)")
    found = list(training_dataset(stream, 3, 7, workers=3).as_numpy_iterator())
    assert len(found) == 4
    for step, batch in zip(range(3, 7), found, strict=True):
        for a, b in zip(flat(batch), flat(stream.batch(step)), strict=True):
            assert a.dtype == b.dtype
            assert (np.asarray(a) == b).all()


def test_weights_of_photos_come_along():
    stream = replace(make("plain"), class_weights=np.float32([1, 2, 3, 4, 5]), begin_step=4)
    for step, batch in zip(range(3, 6), training_dataset(stream, 3, 6).as_numpy_iterator(), strict=True):
        assert len(batch) == 3 and (batch[2]["model"] == stream.batch(step)[2]["model"]).all()


def test_a_mistake_told_in_a_worker_comes_out_as_itself(monkeypatch):
    stream = make("plain")
    dataset = training_dataset(stream, 0, 2)

    def fail(rows):
        raise KcarsError("a.pixels: ends too early")

    monkeypatch.setattr(stream.store, "read", fail, raising=False)
    with pytest.raises(KcarsError, match="^a.pixels: ends too early$"), plain_errors():
        list(dataset.as_numpy_iterator())


def test_no_thread_tunes_what_is_fixed():
    assert training_dataset(make("plain"), 0, 1).options().autotune.enabled is False
