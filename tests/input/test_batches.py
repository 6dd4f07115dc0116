import threading

import numpy as np
import pytest
from support.streams import flat, make

from kcars.core.errors import KcarsError
from kcars.input import batches


@pytest.mark.parametrize("order", ["plain", "pairs"])
def test_threads_give_the_streams_batches_in_order_from_any_step(order):
    stream = make(order, augment="flip(0.5)")
    found = list(batches.by_threads(stream, 3, 9, workers=3, prefetch=2))
    assert len(found) == 6
    for step, batch in zip(range(3, 9), found, strict=True):
        for a, b in zip(flat(batch), flat(stream.batch(step)), strict=True):
            assert (np.asarray(a) == b).all()


def test_other_libraries_than_tensorflow_are_fed_by_threads(monkeypatch):
    monkeypatch.setattr(batches.keras.backend, "backend", lambda: "torch")
    stream = make("plain")

    def fail(rows):
        raise KcarsError("a.pixels: ends too early")

    coming = iter(batches.training_batches(stream, 0, 2))
    assert (flat(next(coming))[0] == flat(stream.batch(0))[0]).all()
    monkeypatch.setattr(stream.store, "read", fail, raising=False)
    with pytest.raises(KcarsError, match="^a.pixels: ends too early$"), batches.plain_errors():
        list(batches.training_batches(stream, 0, 2))


def test_what_takes_no_more_batches_leaves_no_thread():
    before = threading.active_count()
    coming = batches.by_threads(make("plain"), 0, 1000, workers=2, prefetch=2)
    next(coming)
    coming.close()
    assert threading.active_count() == before
