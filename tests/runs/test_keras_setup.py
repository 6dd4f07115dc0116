"""Starting Keras: a run depends on its settings, not on what the user's ~/.keras or environment says."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from kcars.core.errors import KcarsError
from kcars.runs.keras_setup import start
from kcars.settings.strategy import load_strategy
try:
    start(load_strategy("demo/classify").train, "float32")
except KcarsError as error:
    sys.exit(str(error))
import keras
config = keras.config
print(config.floatx(), config.epsilon(), config.image_data_format(), config.max_epochs(), config.max_steps_per_epoch())
"""


def started(home, **environment):
    """The outcome of a process that starts Keras with `home` as its folder."""
    environment = {**os.environ, "KERAS_HOME": str(home), **environment}
    return subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=False)


def test_the_users_keras_configuration_changes_nothing(tmp_path):
    own = {"floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first", "backend": "jax"}
    (tmp_path / "keras.json").write_text(json.dumps(own))
    done = started(tmp_path, KERAS_MAX_EPOCHS="1", KERAS_MAX_STEPS_PER_EPOCH="1")
    assert done.stdout.split() == ["float32", "1e-07", "channels_last", "None", "None"], done.stderr


@pytest.mark.parametrize("text", ['{"floatx": "float8"}', '{"epsilon": 1}', "[]"])
def test_a_keras_configuration_that_keras_refuses_is_one_line(tmp_path, text):
    (tmp_path / "keras.json").write_text(text)
    done = started(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Keras: rejects its configuration") and done.stderr.count("\n") == 1
