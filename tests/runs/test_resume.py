"""What may change when a run goes on, by its settings alone: no training here."""

import numpy as np
import pytest
from support.begun_run import begun

from kcars.core.errors import KcarsError
from kcars.runs.resume import identity, planned, refuse_other_photos, settings_to_go_on, warn_of_other_machine

CONSTANT = ("train.schedule=constant",)


def test_nothing_changed_goes_on_as_it_was(tree, tmp_path):
    run = begun(tree, tmp_path)
    assert settings_to_go_on(run, ()) == run.strategy()
    assert planned(run, run.strategy()) == run.facts()["planned"]
    (run.folder / "settings.yaml").unlink()
    assert settings_to_go_on(run, ()) == run.strategy()


def test_what_changes_no_step_may_change(tree, tmp_path):
    run = begun(tree, tmp_path)
    changed = settings_to_go_on(run, ("data.workers=1", "train.save_minutes=3", "train.early_stopping=9"))
    assert (changed.data.workers, changed.train.save_minutes, changed.train.early_stopping) == (1, 3, 9)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("train.batch=16", "--set: train.batch was 4 when the run began and is 16; leave it out"),
        ("train.seed=1", "train.seed was 0"),
        ("loss.label_smoothing=0.1", "loss.label_smoothing was 0.0"),
        ("data.augment=flip(0.5)", "data.augment was '' when"),
        ("train.plateau.factor=0.1", "needs train.schedule constant"),
    ],
)
def test_other_settings_are_refused(tree, tmp_path, change, told):
    run = begun(tree, tmp_path)
    with pytest.raises(KcarsError) as error:
        settings_to_go_on(run, (change,))
    assert told in str(error.value)


def test_an_edited_settings_file_is_refused(tree, tmp_path):
    run = begun(tree, tmp_path)
    file = run.folder / "settings.yaml"
    file.write_text(file.read_text().replace("batch: 4", "batch: 16"))
    with pytest.raises(KcarsError, match="settings.yaml: train.batch was 4 when the run began and is 16; set it back"):
        settings_to_go_on(run, ())


def test_an_edit_that_may_be_but_stands_in_the_file_is_told(tree, tmp_path, capsys):
    run = begun(tree, tmp_path)
    file = run.folder / "settings.yaml"
    file.write_text(file.read_text().replace("resamples: 1000", "resamples: 200"))
    assert settings_to_go_on(run, ()).evaluate.resamples == 1000
    assert "evaluate.resamples 200 is ignored, 1000 is used; use --set" in capsys.readouterr().err


def test_other_versions_are_refused(tree, tmp_path):
    run = begun(tree, tmp_path)
    run.note(versions={**run.facts()["versions"], "keras": "3.0.0", "gone": "1"})
    with pytest.raises(KcarsError, match=r"keras 3.0.0 is now 3\.\d+.*gone 1 is now absent; install the versions"):
        settings_to_go_on(run, ())


def test_a_constant_rate_can_be_extended_and_not_shortened(tree, tmp_path):
    run = begun(tree, tmp_path, *CONSTANT, "train.epochs=3")
    assert planned(run, settings_to_go_on(run, ("train.epochs=7",))) == {"epochs": 7, "steps_per_epoch": 5}
    with pytest.raises(KcarsError, match="planned for 3 epochs; it can be extended, not shortened"):
        settings_to_go_on(run, ("train.epochs=2",))


@pytest.mark.parametrize("schedule", ["one_cycle", "warmup_cosine"])
def test_a_falling_rate_cannot_be_extended_and_says_why(tree, tmp_path, schedule):
    run = begun(tree, tmp_path, f"train.schedule={schedule}", "train.epochs=3")
    with pytest.raises(KcarsError, match=f"schedule {schedule} ends at epoch 3.*--strategy .*settings.yaml"):
        settings_to_go_on(run, ("train.epochs=7",))


def test_a_length_fitted_to_minutes_stays(tree, tmp_path):
    run = begun(tree, tmp_path, *CONSTANT, "train.max_minutes=1", "train.epochs=3")
    with pytest.raises(KcarsError, match="was fitted to train.max_minutes"):
        settings_to_go_on(run, ("train.epochs=7",))


def test_a_states_identity_follows_what_decides_steps(tree, tmp_path):
    run = begun(tree, tmp_path)
    before = identity(run)
    settings = run.facts()["settings"]
    run.note(settings={**settings, "train": {**settings["train"], "epochs": 99}})
    assert identity(run) == before
    run.note(settings={**settings, "train": {**settings["train"], "seed": 99}})
    assert identity(run) != before


def test_changed_photos_are_named(tree, tmp_path):
    run = begun(tree, tmp_path)

    class Store:
        checksums = np.array([0, 9, 2], np.uint32)

    with pytest.raises(KcarsError, match="changed photos since it began: 1, such as b.jpg"):
        refuse_other_photos(run, Store, np.array(["a.jpg", "b.jpg", "c.jpg"]))
    Store.checksums = np.arange(3, dtype=np.uint32)
    refuse_other_photos(run, Store, np.array(["a.jpg", "b.jpg", "c.jpg"]))
    (run.folder / "photo_checksums.npy").unlink()
    refuse_other_photos(run, Store, np.array(["a.jpg", "b.jpg", "c.jpg"]))
    assert run.checksums().tolist() == [0, 1, 2]  # There was no state yet: they are written now.
    (run.folder / "photo_checksums.npy").unlink()
    (run.folder / "state.npz").touch()
    with pytest.raises(KcarsError, match="photo_checksums.npy: is missing, so changed photos cannot be detected"):
        refuse_other_photos(run, Store, np.array(["a.jpg", "b.jpg", "c.jpg"]))


def test_another_machine_is_told(tree, tmp_path, capsys):
    run = begun(tree, tmp_path)
    warn_of_other_machine(run)
    assert capsys.readouterr().err == ""
    run.note(machine={**run.facts()["machine"], "cores": 999})
    warn_of_other_machine(run)
    assert "cores: 999 when the run began" in capsys.readouterr().err
