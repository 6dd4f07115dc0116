"""Keras on other libraries than TensorFlow: what works there, where one is installed, and what is told."""

import importlib.util
import os
import subprocess
import sys

import pytest
from support.commands import kcars, small


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_training_and_scoring_work_there_without_maps(drawn, tmp_path, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = os.environ | {"KERAS_BACKEND": backend}
    for task in ("classify", "verify"):
        command = [
            "train",
            "--strategy",
            f"scratch/{task}",
            "--data",
            drawn,
            "--out",
            tmp_path / task,
            *small("train.epochs=1"),
        ]
        told = [sys.executable, "-m", "kcars.cli", *map(str, command)]
        done = subprocess.run(told, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(f"KERAS_BACKEND={backend} supports no heat maps") == 1
        assert (tmp_path / task / "scores.json").is_file() and not (tmp_path / task / "maps.csv").exists()


def test_a_library_that_is_unknown_or_not_installed_is_one_line(small_runs, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    told = "KERAS_BACKEND: 'theano' is not known; choose one of tensorflow, torch, jax"
    assert told in kcars("evaluate", small_runs["classify"], code=2)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "KERAS_BACKEND=torch: torch is not installed" in kcars("evaluate", small_runs["classify"], code=2)


def test_exports_are_made_by_tensorflow_alone(small_runs, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    output = kcars("export", small_runs["classify"], "--out", tmp_path / "export", code=2)
    assert "KERAS_BACKEND=jax: exports need TensorFlow" in output
    assert not list(tmp_path.iterdir())
