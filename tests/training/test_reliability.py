"""Runs that are stopped, starved or fed badly, from the command line: what docs/reliability.md promises."""

import csv
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from support.commands import kcars, small
from support.paths import TOOLS
from support.runs import SAME, differences, load_tool, steps_per_epoch

from kcars.runs.model_card import of_run
from kcars.runs.run import Run
from kcars.settings.strategy import load_strategy

bench_resume = load_tool("bench_resume")
SETTINGS = small("train.schedule=constant", "model.dropout=0.3")


def train(data, out, *more, settings=SETTINGS, code=0):
    return kcars("train", "--task", "classify", "--data", data, "--out", out, *settings, *more, code=code)


def resume(run, *more, code=0):
    return kcars("train", "--resume", run, *more, code=code)


@pytest.fixture(scope="module")
def cars(lean, drawn, tmp_path_factory):
    """Drawn cars of this module's own, whose photos tests may take away for a while."""
    return Path(shutil.copytree(drawn, tmp_path_factory.mktemp("own") / "cars"))


@pytest.fixture(scope="module")
def whole(cars, tmp_path_factory):
    """A run that nothing stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(cars, run)
    return run


def test_signals_within_an_epoch_save_and_the_run_goes_on(cars, whole, tmp_path, at_step):
    run, steps = tmp_path / "run", steps_per_epoch(whole)
    for number, step, command in (
        (signal.SIGINT, 3, train),
        (signal.SIGTERM, 5, lambda _, run, code: resume(run, code=code)),
    ):
        at_step(step, lambda _, number=number: os.kill(os.getpid(), number))
        output = command(cars, run, code=128 + number)
        told = f"stopped after step {step + 1}, {(step + 1) / steps:.2f} epochs, all saved; kcars train --resume {run}"
        assert told in output
        assert not (run / "history.csv").exists()
        assert "is unfinished" in kcars("evaluate", run, code=2)
    resume(run)
    assert differences(whole, run) == SAME


def test_mixed_and_balanced_batches_go_on_to_the_same_bits(cars, tmp_path, at_step):
    settings = small(
        "train.schedule=constant",
        "train.gradient_accumulation=2",
        "data.mix=both",
        "data.augment=crop(0.5) | flip(0.5) | rand_augment(0.5)",
        "balance.sampling=balanced",
        "balance.augment=crop(1) | rand_augment(0.8, operations=3, magnitude=15)",
    )
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(cars, whole, settings=settings)
    at_step(steps_per_epoch(whole) + 3, lambda _: os.kill(os.getpid(), signal.SIGINT))
    assert "stopped after step" in train(cars, run, settings=settings, code=130)
    resume(run)
    assert differences(whole, run) == SAME
    with (whole / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert all(0 < float(row["balanced_accuracy"]) < 1 and float(row["val_loss"]) > 0 for row in history)


def test_signals_outside_training_stop_at_once_and_say_how_to_go_on(cars, whole, monkeypatch):
    def scoring(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr("kcars.evaluation.evaluate.network_outputs", scoring)
    output = resume(whole, code=143)
    assert f"stopped while scoring; kcars evaluate {whole} scores it" in output
    monkeypatch.undo()
    assert "balanced acc." in kcars("evaluate", whole)

    def reading(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("kcars.data.source.load", reading)
    assert "kcars: stopped" in kcars("evaluate", whole, code=130)


def test_states_that_are_gone_are_not_begun_anew_in_silence(whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "state.npz").unlink()
    assert "state.npz: is missing; continuing from the previous one" in resume(run)
    assert differences(whole, run) == SAME
    (run / "state.npz").unlink()
    (run / "state.previous.npz").unlink()
    output = resume(run, code=2)
    assert "state.npz: is missing, but the run has 2 epochs; restore it, or train again" in output
    assert "mend" not in output


def test_deleted_weights_are_written_again(whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "best.weights.h5").unlink()
    assert f"kcars train --resume {run} writes them" in kcars("evaluate", run, code=2)
    resume(run)
    assert differences(whole, run) == SAME


def test_the_state_before_serves_where_the_newest_is_damaged(cars, whole, tmp_path, at_step):
    run = tmp_path / "run"
    at_step(steps_per_epoch(whole) + 2, lambda _: os.kill(os.getpid(), signal.SIGINT))
    train(cars, run, code=130)
    os.truncate(run / "state.npz", 5000)
    assert (
        f"state.npz: cannot be used (its checksum is wrong); continuing from the previous one, step {steps_per_epoch(whole)}"
        in (resume(run))
    )
    assert differences(whole, run) == SAME


def test_a_longer_constant_run_is_as_if_it_had_been_longer_from_the_start(cars, whole, tmp_path):
    run = tmp_path / "run"
    train(cars, run, "--set", "train.epochs=1")
    resume(run, "--set", "train.epochs=2")
    assert differences(whole, run) == SAME
    before = (run / "scores.json").read_text()
    resume(run)  # There is nothing left to learn: it is scored again.
    assert (run / "scores.json").read_text() == before


def test_more_epochs_after_an_early_stop_need_more_patience(cars, tmp_path):
    run = tmp_path / "run"
    train(cars, run, "--set", "train.epochs=5", "--set", "train.early_stopping=1", "--set", "train.learning_rate=1e-9")
    ended = len((run / "history.csv").read_text().splitlines()) - 1
    assert ended < 5
    resume(run, "--set", "train.epochs=6")
    assert len((run / "history.csv").read_text().splitlines()) - 1 == ended
    resume(run, "--set", "train.epochs=6", "--set", "train.early_stopping=9")
    assert len((run / "history.csv").read_text().splitlines()) - 1 == 6


def test_a_second_process_is_kept_off(whole, cars):
    with FileLock(whole / ".lock"):
        for command in (["train", "--resume", whole], ["evaluate", whole]):
            assert "another process is training or scoring it" in kcars(*command, code=2)
        assert "another process is training or scoring it" in train(cars, whole, "--force", code=2)


def test_what_belongs_to_the_run_is_not_given_again(whole):
    for option in (["--task", "verify"], ["--out", "elsewhere"], ["--force"], ["--strategy", "demo/verify"]):
        assert f"{option[0]}: cannot be combined with --resume" in resume(whole, *option, code=2)
    assert "train.batch was 16 when the run began" in resume(whole, "--set", "train.batch=8", code=2)


def test_other_data_is_refused(whole, tree):
    assert "trained on data" in resume(whole, "--data", tree.root, code=2)


def test_a_photo_that_changes_is_named_and_put_back_the_run_goes_on(cars, whole, tmp_path, at_step):
    run, photo = tmp_path / "run", sorted((cars / "image").rglob("*.jpg"))[7]
    original, times = photo.read_bytes(), photo.stat()
    place = original.rindex(b"\xff\xda") + 40  # Within the pixels: the same size, another picture.
    at_step(3, lambda _: os.kill(os.getpid(), signal.SIGINT))
    train(cars, run, code=130)
    photo.write_bytes(original[:place] + bytes([original[place] ^ 16]) + original[place + 1 :])
    try:
        output = resume(run, code=2)
    finally:
        photo.write_bytes(original)
        os.utime(photo, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert f"changed photos since it began: 1, such as {photo.relative_to(cars / 'image')}" in output
    resume(run)
    assert differences(whole, run) == SAME


@pytest.mark.parametrize("how", ["lost", "changed"])
def test_a_photo_that_goes_bad_within_an_epoch_is_named_and_nothing_is_lost(cars, whole, tmp_path, at_step, how):
    run, folder, aside = tmp_path / "run", cars / "image", cars / "aside"
    photos = sorted(folder.rglob("*.jpg"))

    def spoil(_):
        if how == "lost":
            folder.rename(aside)
            return
        shutil.copytree(folder, aside)  # Which keeps their times.
        for photo in photos:
            photo.write_bytes(b"no photo")

    off = [*SETTINGS, "--set", "data.cache=off", "--set", "data.prefetch=1", "--set", "data.workers=1"]
    at_step(3, spoil)
    try:
        output = train(cars, run, settings=off, code=2)
    finally:
        if aside.exists():
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
    told = "cannot be read (No such file or directory)" if how == "lost" else "has changed since the run began"
    assert any(f"{photo}: {told}" in output for photo in photos), output
    assert f"fix this, then kcars train --resume {run}" in output
    resume(run)
    assert differences(whole, run)[:2] == SAME[:2]


def test_a_loss_that_is_not_finite_ends_the_run_with_its_last_good_state(cars, whole, tmp_path, at_step):
    run, steps = tmp_path / "run", steps_per_epoch(whole)

    def spoil(saving):
        weights = saving.trained.trainable_variables[0]
        weights.assign(np.full(weights.shape, np.nan, np.float32))

    # Where a pooling or a fused ReLU makes 0 of NaN, the loss stays finite: the epoch's end finds the weights.
    at_step(steps + 2, spoil)
    output = train(cars, run, code=2)
    assert f"is not finite at step {2 * steps}" in output or f"the loss is nan at step {steps + 3}" in output
    assert "--resume" not in output
    assert len((run / "history.csv").read_text().splitlines()) == 2
    with np.load(run / "state.npz") as state:
        assert all(np.isfinite(state[name]).all() for name in state.files if state[name].dtype.kind == "f")
    resume(run)  # It was no fault of the run's own.
    assert differences(whole, run) == SAME


def test_a_clock_that_jumps_changes_nothing(cars, whole, tmp_path, monkeypatch):
    real, jumps = time.time, np.random.default_rng(0)
    monkeypatch.setattr(time, "time", lambda: real() + jumps.uniform(-1e7, 1e7))
    train(cars, tmp_path / "run")
    assert differences(whole, tmp_path / "run") == SAME


@pytest.fixture(scope="module")
def small_disks(cars, whole, tmp_path_factory):
    """What trainings on disks of a few MiB told, and the folder that holds what is left of them."""
    command = ["unshare", "--map-root-user", "--mount"]
    out = tmp_path_factory.mktemp("disks")
    (disk := out / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    if not shutil.which("unshare") or subprocess.run([*command, *mount], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small disk")
    weights, state = ((whole / name).stat().st_size for name in ("best.weights.h5", "state.npz"))
    program = [sys.executable, TOOLS.parent / "tests/support/small_disks.py", cars, out, disk]
    done = subprocess.run([*command, *program, str(weights + 2 * state), *SETTINGS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1]), out


def test_a_full_disk_stops_a_run_that_goes_on_once_there_is_room(whole, small_disks):
    told, out = small_disks
    stopped, again = told["state"], told["state"]["again"]
    assert (
        "state.npz: cannot be written (No space left on device); fix this, then kcars train --resume"
        in stopped["output"]
    )
    assert (stopped["code"], again["code"]) == (2, 0), again["output"]
    assert "Traceback" not in stopped["output"] and "SystemExit" in stopped["output"]
    assert differences(whole, out / "run") == SAME


def test_no_room_for_the_store_is_told_before_anything_is_written(small_disks):
    told = small_disks[0]["store"]
    assert "MiB are needed for the pixel store, 0 MiB are free; free some space, set KCARS_CACHE" in told["output"]
    assert told["code"] == 2 and "Traceback" not in told["output"]
    assert not any(".pixels" in name for name in told["left"])
    assert not told["run"]


@pytest.mark.parametrize("case", bench_resume.CASES)
def test_what_cases_of_the_bench_set_can_be_set(case, tmp_path, monkeypatch):
    """Strategies that they begin with change."""
    monkeypatch.setattr(bench_resume, "beginning", lambda data: data.parent / "before")
    command = bench_resume.train_command(f"{case}/float32", tmp_path / "cars")
    settings = [setting for option, setting in itertools.pairwise(command) if option == "--set"]
    assert load_strategy(command[command.index("--strategy") + 1], settings, task=command[2])


def test_runs_killed_at_random_moments_end_as_if_they_had_not_been(cars, tmp_path, monkeypatch, capsys):
    """What is killed is a process of its own; what goes on to its end does so in this one, of as many threads."""
    in_process_of_its_own = bench_resume.kcars

    def lean_kcars(arguments, kill_after, delay):
        if kill_after:
            return in_process_of_its_own(arguments, kill_after, delay)
        return SimpleNamespace(returncode=0, stderr=kcars(*arguments))

    monkeypatch.setattr(bench_resume, "__file__", str(TOOLS.parent / "tests/support/lean_child.py"))
    monkeypatch.setattr(bench_resume, "kcars", lean_kcars)
    assert bench_resume.proved("plain/float32", cars, tmp_path, kills=2, seed=0)
    assert capsys.readouterr().out.split()[-3:] == ["0", "0", "0"]


@pytest.mark.parametrize(
    ("place", "error", "code"),
    [("network_outputs", KeyboardInterrupt, 130), ("keep_maps", RuntimeError, 1), ("write_tables", RuntimeError, 1)],
)
def test_a_new_scoring_that_stops_leaves_the_run_as_it_was_scored(whole, tmp_path, monkeypatch, place, error, code):
    run = shutil.copytree(whole, tmp_path / "run")
    before, card = (run / "scores.json").read_text(), of_run(Run.open(run))

    def stopped(*_, **__):
        raise error

    monkeypatch.setattr(f"kcars.evaluation.evaluate.{place}", stopped)
    told = resume(run, "--set", "evaluate.shift=0.06", "--set", "evaluate.adjust=logits", code=code)
    monkeypatch.undo()
    assert ("its earlier scores are valid until then" in told) == (code == 130)
    assert (run / "scores.json").read_text() == before and json.loads((run / "run.json").read_text())["finished"]
    after = of_run(Run.open(run))
    assert {name: after[name] for name in card if name != "settings"} == {
        name: card[name] for name in card if name != "settings"
    }
    if place == "write_tables":
        kcars("evaluate", run)
        after = of_run(Run.open(run))
        assert after["input"]["shift"] == 0.06 and after["adjusted"]["kind"] == "logits"


def test_scores_stand_until_training_has_changed_what_they_are_of(whole, tmp_path, at_step):
    run, steps = shutil.copytree(whole, tmp_path / "run"), steps_per_epoch(whole)
    before = (run / "scores.json").read_text()

    def fails(_):
        raise RuntimeError("as a library may")

    at_step(2 * steps + 1, fails)
    resume(run, "--set", "train.epochs=4", code=1)
    assert (run / "scores.json").read_text() == before  # Within the third epoch: the weights are those of the second.
    assert not json.loads((run / "run.json").read_text())["finished"]
    at_step(3 * steps + 1, fails)
    resume(run, code=1)
    assert not (run / "scores.json").exists() and "is unfinished and has no scores" in kcars("report", run, code=2)
    resume(run)
    assert json.loads((run / "scores.json").read_text())["cost"]["epochs"] == 4
