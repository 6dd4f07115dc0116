"""A loss is one file: what it registers appears everywhere, with no other edit."""

import json

import numpy as np
import pytest
from support.commands import kcars, rows, small
from support.one_file import registered

from kcars.core.errors import KcarsError
from kcars.losses.catalogue import LOSSES, those_for
from kcars.objectives.losses import build_loss
from kcars.settings.strategy import json_schema, load_strategy, to_yaml

ONE_FILE = '''
"""The distance of the label's probability from 1, to a power."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings
from kcars.losses.catalogue import LOSSES, Loss


class PowerSettings(Settings):
    name: Literal["power"]
    power: float = Field(1.0, gt=0, description="of the distance")


def values(labels, logits, *, power: float = 1.0):
    from keras import ops

    from kcars.losses.parts import one_hot

    right = ops.sum(one_hot(labels, logits) * ops.softmax(ops.cast(logits, "float32")), axis=-1)
    return ops.power(1.0 - right, power)


LOSS = LOSSES.register(Loss("power", PowerSettings, ("logits",), values))
'''


@pytest.fixture
def power(tmp_path):
    with registered(LOSSES, "power", ONE_FILE, tmp_path) as loss:
        yield loss


def test_what_one_file_registers_is_in_settings_schema_and_messages(power):
    strategy = load_strategy("scratch/classify", ["loss={name: power}", "loss.power=2"])
    assert (strategy.loss.name, strategy.loss.power) == ("power", 2.0)
    assert "power: 2.0" in to_yaml(strategy)
    assert "PowerSettings" in json.loads(json_schema())["$defs"]
    assert those_for("classify", False)[-1] == "power" and "power" not in those_for("verify", False)
    with pytest.raises(KcarsError, match="loss.name: 'powers' is not known; choose one of cross_entropy, .*, power"):
        load_strategy("scratch/classify", ["loss.name=powers"])
    with pytest.raises(KcarsError, match="loss.powr: unknown setting of power; choose one of name, power"):
        load_strategy("scratch/classify", ["loss={name: power}", "loss.powr=2"])
    with pytest.raises(KcarsError, match="loss power does not support task verify"):
        load_strategy("scratch/verify", ["loss={name: power}"])
    assert np.asarray(build_loss("power", power=2.0).call(np.array([0]), np.float32([[0, 0]]))) == pytest.approx(0.25)


def test_nothing_is_left_of_it_once_it_is_forgotten(power):
    LOSSES.forget("power")
    with pytest.raises(KcarsError, match="loss.name: 'power' is not known"):
        load_strategy("scratch/classify", ["loss={name: power}"])
    LOSSES.register(power)


@pytest.mark.slow
def test_it_trains_and_goes_on(power, drawn, tmp_path):
    changes = small("loss={name: power}", "train.epochs=1", "train.schedule=constant")
    kcars("train", "--task", "classify", "--data", drawn, "--out", tmp_path / "run", *changes)
    kcars("train", "--resume", tmp_path / "run", "--set", "train.epochs=2")
    assert [0 < float(row["loss"]) < 1 for row in rows(tmp_path / "run/history.csv")] == [True, True]


@pytest.mark.parametrize("name", LOSSES)
def test_settings_of_each_loss_are_named_as_it_is_and_fit_its_function(name):
    loss = LOSSES[name]
    own = [one for one in loss.settings.model_fields if one != "name"]
    assert loss.settings(name=name).name == name
    for of_batch in (False, True):
        if loss.of_batch if of_batch else loss.values:
            assert set(own) <= set(loss.parameters(of_batch))
