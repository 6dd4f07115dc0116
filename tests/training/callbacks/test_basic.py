import math

import keras
import numpy as np
import pytest
from support.networks import model, on

from kcars.core.errors import KcarsError
from kcars.objectives.schedules import build_schedule
from kcars.training.callbacks.basic import CollapseWatch, OneCycle, Plateau, StopOnNaN, TimeLimit


def test_plateau_halves_after_more_than_patience_epochs():
    built = model(0.8)
    plateau = on(Plateau("val_loss", 0.5, 1, 0.15), built)
    rates = []
    for loss in (1.0, 1.0, 1.0, 0.9, 0.9, 0.9, 0.9, 0.9):
        plateau.on_epoch_end(0, {"val_loss": loss})
        rates.append(round(float(built.optimizer.learning_rate), 3))
    assert rates == [0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.15]


def test_plateau_names_the_columns_it_could_watch():
    with pytest.raises(KcarsError, match="train.plateau.monitor: 'val_loss'.*'loss'"):
        on(Plateau("val_loss", 0.5, 1, 0), model()).on_epoch_end(0, {"loss": 1.0})


def test_nan_names_step_and_rate():
    with pytest.raises(KcarsError, match="nan at step 0, learning rate 0.5"):
        on(StopOnNaN(), model()).on_train_batch_end(0, {"loss": math.nan})
    on(StopOnNaN(), model()).on_train_batch_end(0, {"loss": 1.0})


def test_training_that_diverges_ends_with_one_line():
    built = model(1e20)
    x = np.ones((64, 2), "float32") * 1e10
    with pytest.raises(KcarsError, match="the loss is"):
        built.fit(x, np.zeros((64, 1)), verbose=0, callbacks=[StopOnNaN()])


def test_weights_that_are_not_finite_end_training_with_their_epoch():
    built = model()
    on(StopOnNaN(), built).on_epoch_end(0, {})
    built.layers[1].bias.assign([math.inf])
    with pytest.raises(KcarsError, match="dense/bias is not finite at step 0"):
        on(StopOnNaN(), built).on_epoch_end(0, {})


def test_collapse_is_told_once():
    told = []
    watch = CollapseWatch(told.append)
    for deviation in (0.2, 0.0001, 0.0001):
        watch.on_epoch_end(4, {"val_distance_std": deviation})
    watch.on_epoch_end(5, {})
    assert len(told) == 1
    assert "collapsed" in told[0]


def test_one_cycle_logs_the_rate_of_the_optimizers_step_and_draws_it(tmp_path):
    built = model()
    schedule = build_schedule("one_cycle", 1e-3, 10)
    built.compile(keras.optimizers.SGD(schedule), "mse")
    watch = on(OneCycle(schedule, 10, tmp_path / "rate.png"), built)
    watch.on_train_begin()
    assert (tmp_path / "rate.png").stat().st_size > 1000
    logs = {}
    built.fit(np.ones((6, 2)), np.ones((6, 1)), batch_size=2, verbose=0)
    watch.on_epoch_end(0, logs)
    assert logs["learning_rate"] == pytest.approx(float(schedule(3)))
    plain = {}
    on(OneCycle(0.25, 10), model(0.25)).on_epoch_end(0, plain)
    assert plain["learning_rate"] == 0.25


def test_time_limit_stops_and_says_so():
    told, built = [], model()
    built.stop_training = False
    limit = on(TimeLimit(0.0, told.append), built)
    limit.on_train_begin()
    limit.on_train_batch_end(0)
    assert built.stop_training
    assert "max_minutes" in told[0]


def test_a_restored_plateau_goes_on_waiting_where_it_stood():
    watch, other = on(Plateau("val_loss", 0.5, 1, 0), model()), Plateau("val_loss", 0.5, 1, 0)
    for loss in (1.0, 1.0):
        watch.on_epoch_end(0, {"val_loss": loss})
    on(other, built := model(0.8)).restore(watch.state())
    other.on_epoch_end(2, {"val_loss": 1.0})
    assert float(built.optimizer.learning_rate) == pytest.approx(0.4)


def test_minutes_before_a_stop_count():
    limit = TimeLimit(1.0, print)
    limit.on_train_begin()
    assert not limit.over
    limit.restore({"seconds": 61.0})
    assert limit.over
