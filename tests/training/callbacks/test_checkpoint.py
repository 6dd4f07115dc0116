import math

import keras
import pytest
from support.networks import model, on

from kcars.core.errors import KcarsError
from kcars.training.callbacks.checkpoint import BestCheckpoint, EpochCheckpoint


def test_keep_best_keeps_the_highest_and_stops_after_patience(tmp_path):
    built = model()
    built.stop_training = False
    keep = on(BestCheckpoint(built, "score", tmp_path / "best.weights.h5", patience=2), built)
    for epoch, score in enumerate([0.1, 0.5, 0.4, 0.3]):
        built.layers[-1].bias.assign([float(epoch)])
        assert not built.stop_training
        keep.on_epoch_end(epoch, {"score": score})
    assert built.stop_training
    built.load_weights(tmp_path / "best.weights.h5")
    assert float(built.layers[-1].bias[0]) == 1.0
    assert (keep.best, keep.best_epoch) == (0.5, 2)


def test_keep_best_keeps_the_first_epoch_even_when_its_score_is_undefined(tmp_path):
    built = model()
    built.stop_training = False
    keep = on(BestCheckpoint(built, "score", tmp_path / "best.weights.h5"), built)
    keep.on_epoch_end(0, {"score": math.nan})
    assert (tmp_path / "best.weights.h5").is_file()
    keep.on_epoch_end(1, {"score": 0.1})
    assert keep.best_epoch == 2


def test_restored_it_puts_back_the_best_weights_of_its_state(tmp_path):
    built, path = model(), tmp_path / "best.weights.h5"
    built.stop_training = False
    keep = on(BestCheckpoint(built, "score", path, patience=2), built)
    keep.on_epoch_end(0, {"score": 0.5})
    state = keep.state()
    best = built.get_weights()
    built.layers[-1].bias.assign([9.0])
    keep.on_epoch_end(1, {"score": 0.9})  # Saved after the state, and then the process was killed.
    other = on(BestCheckpoint(built, "score", path, patience=2), built)
    other.restore(state)
    built.load_weights(path)
    assert all((one == two).all() for one, two in zip(built.get_weights(), best, strict=True))
    assert (other.best, other.best_epoch, other.over) == (0.5, 1, False)


def test_what_is_over_stays_over(tmp_path):
    built = model()
    built.stop_training = False
    keep = on(EpochCheckpoint(built, 2, tmp_path / "best.weights.h5"), built)
    keep.on_epoch_end(0)
    assert not keep.over
    keep.on_epoch_end(1)
    assert keep.over
    assert built.stop_training
    longer = EpochCheckpoint(built, 3, tmp_path / "best.weights.h5")
    longer.restore(keep.state())
    assert not longer.over


def test_a_full_disk_is_one_line_and_leaves_the_best_weights(tmp_path, monkeypatch):
    built, path = model(), tmp_path / "best.weights.h5"
    built.save_weights(path)

    def full(file):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(keras.Model, "save_weights", lambda self, file: full(file))
    with pytest.raises(KcarsError, match=r"best.weights.h5: cannot be written \(No space left"):
        on(BestCheckpoint(built, "score", path), built).on_epoch_end(0, {"score": 1.0})
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
