"""Draws of the training lists, and the table of scores on them."""

import argparse
import json
import sys

import numpy as np
import pytest
from support.paths import TOOLS

from kcars.core.errors import KcarsError
from kcars.data.readers import compcars
from kcars.settings import DataSettings

sys.path.insert(0, str(TOOLS))
import ablation_lists  # noqa: E402
import measure_draws  # noqa: E402

DATA = DataSettings(size_px=32)


def photos(folder, task) -> tuple[set[str], set[str]]:
    """Paths of the training and of the test photos."""
    dataset = compcars.read(folder, task, DATA)
    return tuple(set(dataset.table.paths[rows].tolist()) for rows in (dataset.train, dataset.test_rows()))


@pytest.mark.parametrize("task", ["verify", "classify"])
def test_a_draw_divides_the_training_list_and_leaves_the_test_alone(drawn, tmp_path, task):
    before, kept_out = photos(drawn, task)
    draws = [photos(ablation_lists.drawn(drawn, tmp_path / f"{seed}", task, 0.6, seed), task) for seed in (0, 1)]
    for train, test in draws:
        assert train | test <= before and not (train & test) and not ((train | test) & kept_out)
        models = [{path.split("/")[1] for path in part} for part in (train, test)]
        assert not models[0] & models[1] if task == "verify" else models[0] == models[1]
        share = len(models[0]) / len(models[0] | models[1]) if task == "verify" else len(train) / len(before)
        assert share == pytest.approx(0.6, abs=0.08)
    assert draws[0] != draws[1]
    again = ablation_lists.drawn(drawn, tmp_path / "0", task, 0.6, 0)
    assert photos(again, task) == draws[0]
    with pytest.raises(KcarsError, match="share 1: must be"):
        ablation_lists.drawn(drawn, tmp_path / "none", task, 1, 0)


def test_a_table_tells_the_mean_and_the_worst_draw():
    scores = [{"test/balanced_accuracy": value, "test/nll": 1 - value} for value in (0.25, 0.75)]
    rows = measure_draws.table({"quick/classify": scores}, ("test/balanced_accuracy", "test/nll"))
    assert rows[-1] == ["`quick/classify`", "0.500 (0.250)", "0.500 (0.750)"]


def test_long_names_of_folders_are_short_and_differ():
    settings = ",".join(f"train.fine_tune.head_epochs={number}" for number in range(20))
    names = {measure_draws.name_of(f"start/verify,{settings},train.epochs={epochs}") for epochs in (1, 2)}
    assert len(names) == 2 and max(map(len, names)) < 120


def test_a_run_that_was_scored_is_not_trained_again(drawn, tmp_path, monkeypatch):
    variant = measure_draws.Variant.of("quick/verify,evaluate.shrinkage=0.5")
    assert variant.settings == ("evaluate.shrinkage=0.5",) and variant.task == "verify"
    asked = argparse.Namespace(data=drawn, out=tmp_path, target="model", share=0.6)
    commands = []

    def train(command, **_):
        commands.append(command[3:])
        folder = tmp_path / "quick-verify-evaluate-shrinkage-0-5-1"
        folder.mkdir(exist_ok=True)
        if len(commands) > 1:
            (folder / "scores.json").write_text(json.dumps({"scores": {"hard/roc_auc": {"value": 0.5}}}))
        return argparse.Namespace(returncode=int(len(commands) == 1))

    monkeypatch.setattr(measure_draws.subprocess, "run", train)
    with pytest.raises(KcarsError, match="draw 1: kcars train ended with exit code 1"):
        measure_draws.run(variant, asked, 1)
    for _ in range(2):
        assert measure_draws.run(variant, asked, 1) == {"hard/roc_auc": 0.5}
    assert len(commands) == 2 and "--resume" in commands[1]
    assert {"--set=evaluate.shrinkage=0.5", "--set=train.seed=1"} <= set(commands[0])
    assert np.all([commands[0][commands[0].index("--strategy") + 1] == "quick/verify"])
