import numpy as np
import pytest
from test_strategy import MINIMAL, written

from kcars.data import compcars
from kcars.errors import KcarsError
from kcars.run import Run
from kcars.strategy import load_strategy
from kcars.tasks import classify


@pytest.fixture
def plan(tree, tmp_path):
    return classify.plan(compcars.read(tree.root, "classify"), load_strategy(written(tmp_path, MINIMAL)))


def test_a_run_describes_itself(plan, tmp_path):
    Run.create(tmp_path / "run", plan, "mine")
    run = Run.open(tmp_path / "run")
    assert run.strategy() == plan.strategy
    facts = run.facts()
    assert facts["data"]["fingerprint"] == plan.dataset.fingerprint()
    assert facts["data"]["training_photos"] + facts["data"]["validation_photos"] == 16
    assert "keras" in facts["versions"]
    run.note(planned={"epochs": 2})
    assert run.facts()["planned"] == {"epochs": 2}
    assert run.facts()["strategy"] == "mine"
    assert run.settings_file() == plan.strategy


def test_history_comes_back_as_written(plan, tmp_path):
    run = Run.create(tmp_path / "run", plan, "mine")
    run.record([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": float("nan")}])
    first, second = run.history()
    assert first == {"epoch": 1.0, "loss": 0.5}
    assert np.isnan(second["loss"])


@pytest.mark.parametrize("damage", ["{", '{"format": 99}'])
def test_a_damaged_run_is_one_line(plan, tmp_path, damage):
    Run.create(tmp_path / "run", plan, "mine")
    (tmp_path / "run" / "run.json").write_text(damage)
    with pytest.raises(KcarsError, match="cannot be read|written in format 99"):
        Run.open(tmp_path / "run")


def test_force_replaces_runs_only(plan, tmp_path):
    run = Run.create(tmp_path / "run", plan, "mine")
    (run.folder / "old.csv").write_text("")
    with pytest.raises(KcarsError, match="--force"):
        Run.create(run.folder, plan, "mine")
    assert not (Run.create(run.folder, plan, "mine", force=True).folder / "old.csv").exists()
