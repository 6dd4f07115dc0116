"""A network is rebuilt from strategy and classes alone, whatever training added to it."""

import json

import pytest
from support.commands import kcars, small

from kcars.demo.models import load
from kcars.inference.predictor import load as predictor


@pytest.mark.slow
def test_a_run_with_makes_and_adjusted_logits_is_used_after_training(drawn, tmp_path):
    run, photo = tmp_path / "run", next((drawn / "image").rglob("*.jpg"))
    added = small("model.make_weight=0.5", "balance.logit_adjustment=1", "train.epochs=1")
    kcars("train", "--task", "classify", "--data", drawn, "--out", run, *added)
    (prediction,) = predictor(run).predict([photo])
    assert json.loads(kcars("explain", run, photo, "--json").splitlines()[-1])["explained"] == prediction.answer
    (shown,) = load(run).predictor.predict([photo])  # As the page loads it.
    assert shown.names == prediction.names
