import os

import numpy as np
import pytest
from support.strategies import MINIMAL, written

from kcars.core.errors import KcarsError
from kcars.core.files import write_json
from kcars.data.readers import compcars
from kcars.runs.run import Run
from kcars.settings.strategy import load_strategy
from kcars.tasks import classify

PLANNED = {"epochs": 2, "steps_per_epoch": 5}


@pytest.fixture
def plan(tree, tmp_path):
    return classify.plan(compcars.read(tree.root, "classify"), load_strategy(written(tmp_path, MINIMAL)))


def test_a_run_describes_itself(plan, tmp_path):
    Run.create(tmp_path / "run", plan, "mine", planned=PLANNED)
    run = Run.open(tmp_path / "run")
    assert run.strategy() == plan.strategy
    facts = run.facts()
    assert facts["data"]["fingerprint"] == plan.dataset.fingerprint()
    assert facts["data"]["training_photos"] + facts["data"]["validation_photos"] == 16
    assert "keras" in facts["versions"]
    run.note(finished=True)
    assert run.facts()["finished"] is True
    assert run.facts()["planned"] == PLANNED
    assert run.facts()["strategy"] == "mine"
    assert run.settings_file() == plan.strategy


def test_history_comes_back_as_written(plan, tmp_path):
    run = Run.create(tmp_path / "run", plan, "mine", planned=PLANNED)
    run.record([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": float("nan")}])
    first, second = run.history()
    assert first == {"epoch": 1.0, "loss": 0.5}
    assert np.isnan(second["loss"])


@pytest.mark.parametrize("damage", ["{", '{"format": 99}', "[]", '{"format": 2}', '{"format": 2, "strategy": 3}'])
def test_a_damaged_run_is_one_line(plan, tmp_path, damage):
    Run.create(tmp_path / "run", plan, "mine", planned=PLANNED)
    (tmp_path / "run" / "run.json").write_text(damage)
    with pytest.raises(KcarsError, match="not valid JSON|written in format|strategy is missing"):
        Run.open(tmp_path / "run")


@pytest.mark.parametrize("key", ["settings", "data", "versions", "machine", "planned", "strategy"])
def test_a_run_that_lacks_something_names_it(plan, tmp_path, key):
    run = Run.create(tmp_path / "run", plan, "mine", planned=PLANNED)
    facts = run.facts()
    del facts[key]
    write_json(run.folder / "run.json", facts)
    with pytest.raises(KcarsError, match=f"run.json: {key} is missing"):
        Run.open(run.folder)


def test_a_fold_is_no_run_of_its_own(plan, tmp_path):
    run = Run.create(tmp_path / "run", plan, "mine", planned=PLANNED)
    part = run.part("fold-1", plan, PLANNED)
    assert run.part("fold-1", plan, {**PLANNED, "epochs": 9}).facts()["planned"]["epochs"] == 9
    with pytest.raises(KcarsError, match="is a fold of .*run; name that"):
        Run.open(part.folder)


def test_checksums_that_are_cut_off_are_told(plan, tmp_path):
    run = Run.create(tmp_path / "run", plan, "mine", checksums=np.arange(5, dtype=np.uint32), planned=PLANNED)
    assert run.checksums().tolist() == [0, 1, 2, 3, 4]
    os.truncate(run.folder / "photo_checksums.npy", 10)
    with pytest.raises(KcarsError, match="photo_checksums.npy: has changed since it was written.*train again"):
        run.checksums()


def test_what_a_killed_start_left_is_no_run(plan, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").touch()
    (folder / ".run.json.abcdefgh").touch()
    run = Run.create(folder, plan, "mine", planned=PLANNED)
    for name in (".history.csv.ab_cd012", ".best.weights.h5", ".state.npz.01234567", ".state.previous.npz"):
        (folder / name).touch()
    run.forget_halves()
    (folder / ".gitignore").touch()
    run.forget_halves()
    (folder / ".gitignore").unlink()  # It was none of ours.
    assert sorted(os.listdir(folder)) == [".lock", "classes.json", "digests.json", "run.json", "settings.yaml"]


def test_force_replaces_runs_only(plan, tmp_path):
    run = Run.create(tmp_path / "run", plan, "mine", planned=PLANNED)
    (run.folder / "roc.csv").write_text("")
    with pytest.raises(KcarsError, match="--force"):
        Run.create(run.folder, plan, "mine")
    assert not (Run.create(run.folder, plan, "mine", force=True, planned=PLANNED).folder / "roc.csv").exists()


def test_earlier_scores_get_the_kind_of_epoch_from_the_settings(plan, tmp_path):
    run = Run.create(tmp_path / "run", plan, "mine", planned=PLANNED)
    run.files.write_json(
        "scores.json",
        {
            "protocol": "honest",
            "strategy": "mine",
            "finished": True,
            "task": "classify",
            "target": run.strategy().target,
            "difficulty": None,
            "data_fingerprint": "0",
            "best_epoch": 3,
            "decision": {},
            "counts": run.facts()["data"],
            "scores": {},
            "baselines": {},
        },
    )
    assert run.scores()["kept"] == "best"
    settings = run.facts()["settings"]
    run.note(settings=settings | {"train": settings["train"] | {"keep": "last"}})
    assert run.scores()["kept"] == "last"
