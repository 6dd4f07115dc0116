import numpy as np
from support.networks import model

from kcars.training.callbacks.history import History


def test_history_counts_the_photos_seen_whatever_the_optimizer_skips():
    told, built = [], model()
    built.optimizer.iterations.assign(99)
    built.fit(np.ones((6, 2)), np.ones((6, 1)), batch_size=2, epochs=2, verbose=0, callbacks=[History(told.append, 2)])
    rows = told[-1]  # Always all of them.
    assert [(row["epoch"], row["step"], row["photos"]) for row in rows] == [(1, 3, 6), (2, 6, 12)]
    assert list(rows[0])[:6] == ["epoch", "step", "photos", "train_seconds", "seconds", "loss"]


def test_a_restored_history_tells_its_rows_again_and_goes_on_counting():
    told, built = [], model()
    before, after = History(list, 2), History(lambda rows: told.append(list(rows)), 2)
    built.fit(np.ones((6, 2)), np.ones((6, 1)), batch_size=2, verbose=0, callbacks=[before])
    after.restore(before.state())
    assert told == [before.rows]
    built.fit(np.ones((6, 2)), np.ones((6, 1)), batch_size=2, initial_epoch=1, epochs=2, verbose=0, callbacks=[after])
    assert [(row["epoch"], row["step"]) for row in told[-1]] == [(1, 3), (2, 6)]
