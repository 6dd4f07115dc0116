"""A search for settings: what may be searched, what a stop leaves, and that the test is never read."""

import csv
import importlib.util
import json
import os
import signal

import numpy as np
import pytest
from support.begun_run import begun
from support.commands import kcars, small

from kcars.core.errors import Diverged, Interrupted, KcarsError, NoWayOn
from kcars.settings.strategy import load_strategy
from kcars.tuning import search
from kcars.tuning.search_record import Trial
from kcars.tuning.search_space import Choice, Range, parse, strategy_with

pytestmark = pytest.mark.usefixtures("lean")

VERIFY = load_strategy("demo/verify")


def one(text, strategy=VERIFY):
    (found,) = parse([text], strategy)
    return found


@pytest.mark.parametrize(
    ("text", "log", "whole"),
    [
        ("train.learning_rate=1e-4..1e-2", True, False),
        ("train.learning_rate=1e-3..1e-2", False, False),
        ("train.learning_rate=1e-3..1e-2:log", True, False),
        ("train.learning_rate=1e-5..1e-1:linear", False, False),
        ("train.weight_decay=0..1", False, False),
        ("train.batch=16..64", False, True),
        ("train.batch=2..1e3", True, True),
        ("train.early_stopping=1..5", False, True),
        ("train.plateau.patience=1..5", False, True),
        ("model.width=1..2", False, False),
    ],
)
def test_ranges(text, log, whole):
    found = one(text)
    assert (found.log, found.whole) == (log, whole)
    assert {type(end) for end in found.ends()} == {int if whole else float}
    assert one(str(found)) == found


def test_lists_of_any_kind():
    assert one("train.batch=32,64").values == (32, 64)
    assert one("train.decay_norms=true,false").values == (True, False)
    assert one("train.early_stopping=null,3").value("null") is None
    losses = one("loss={name: arcface, margin: 0.1},{name: normalised_softmax}")
    assert losses.value(list(losses.distribution().choices)[0]) == {"name": "arcface", "margin": 0.1}
    assert one("data.augment='flip(0.5)','flip(0.5) | affine(0.3, rotate=5)'").values[1].endswith("rotate=5)")
    assert strategy_with(VERIFY, {"train.batch": 32, "loss.margin": 0.3}).loss.margin == 0.3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.batch", "expected KEY=LOW..HIGH or KEY=A,B"),
        ("train.batch=", "expected KEY=LOW..HIGH or KEY=A,B"),
        ("train.batch=32", "is a single value"),
        ("train.batch=32,32", "has a value twice"),
        ("train.batch=64..32", "64 is not below 32"),
        ("train.batch=32..32", "32 is not below 32"),
        ("train.batch=1..x", "is not a range"),
        ("train.batch=16..64:square", "'square' is not a scale"),
        ("train.weight_decay=0..1:log", "a logarithmic range must begin above 0"),
        ("train.batch=16.5..64", "valid integer"),
        ("train.batch=0..64", "greater than or equal to 2"),
        ("loss.margin=0.1..2", "less than 1.57"),
        ("train.epoch=1..3", "unknown setting"),
        ("train.batch.size=1..3", "is a single value, not a section"),
        ("train.seed=0..9", "cannot be searched"),
        ("evaluate.folds=0,2", "cannot be searched"),
        ("task=verify,classify", "cannot be searched"),
    ],
)
def test_what_cannot_be_searched(text, message):
    with pytest.raises(KcarsError) as error:
        parse([text], VERIFY)
    assert str(error.value).startswith("--search ") and message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("second", ["train.batch=8..16", "train=1,2"])
def test_a_setting_stands_once(second):
    with pytest.raises(KcarsError, match="is given twice"):
        parse(["train.batch=32,64", second], VERIFY)


def test_values_that_need_others_may_be_searched_and_are_told_when_they_do_not_fit():
    assert one("train.batch=16..64")  # 17 is no multiple of data.photos_per_class.
    with pytest.raises(KcarsError, match="train.batch 17 is not a multiple"):
        strategy_with(VERIFY, {"train.batch": 17})


SPACE = [
    Range("train.learning_rate", 1e-4, 1e-2, True, False),
    Choice("train.batch", (16, 32)),
    Range("n", 1, 9, False, True),
]


def sampled(count, score, seed=0) -> list[Trial]:
    trials = []
    for number in range(1, count + 1):
        values = search.sample(SPACE, trials, seed)
        value = score(values)
        trials.append(Trial(number, values, "failed" if value is None else "complete", value))
    return trials


def test_a_sample_is_a_function_of_seed_and_trials():
    trials = sampled(14, lambda values: values["n"])
    assert [search.sample(SPACE, trials[:place], 0) for place in (0, 5, 13)] == [
        trials[place].sampled for place in (0, 5, 13)
    ]
    assert search.sample(SPACE, [], 1) != trials[0].sampled
    for trial in trials:
        assert 1e-4 <= trial.sampled["train.learning_rate"] <= 1e-2
        assert trial.sampled["train.batch"] in ("16", "32") and trial.sampled["n"] in range(1, 10)


def test_sampling_learns_from_scores_and_from_failures():
    best = sampled(60, lambda values: -abs(values["n"] - 7))
    assert (
        np.mean([abs(trial.sampled["n"] - 7) for trial in best[-20:]])
        < 1.5
        < np.mean([abs(trial.sampled["n"] - 7) for trial in best[:10]])
    )
    failing = sampled(60, lambda values: None if values["train.batch"] == "32" else 0.5)
    assert sum(trial.state == "failed" for trial in failing[-20:]) < 5


TINY = small("train.epochs=1", "evaluate.validation_pairs=100")
SEARCHED = ["--search", "train.learning_rate=1e-4..1e-2", "--search", "train.batch=16,32,18"]


def tune(data, out, *more, task="verify", code=0):
    return kcars("tune", "--task", task, "--data", data, "--out", out, *TINY, *SEARCHED, *more, code=code)


def table(out) -> list[dict]:
    with (out / "trials.csv").open() as file:
        return [{**row, "seconds": bool(row["seconds"])} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(lean, drawn, tmp_path_factory):
    """A search of three trials that nothing stopped, and what it printed."""
    out = tmp_path_factory.mktemp("whole") / "search"
    return out, tune(drawn, out, "--trials", 3)


def test_a_search_leaves_trials_and_a_strategy_and_never_reads_the_test(whole, drawn, tmp_path):
    out, output = whole
    rows = table(out)
    states = {row["trial"]: row["state"] for row in rows}
    # By seed 0; 18 is no multiple of the four photos a class.
    assert states == {row["trial"]: "failed" if row["train.batch"] == "18" else "complete" for row in rows}
    assert set(states.values()) == {"failed", "complete"}
    assert "failed: its settings: train.batch 18 is not a multiple" in output
    assert f"trials: 3, of which {list(states.values()).count('failed')} failed" in output
    assert not list(out.rglob("scores.json")) and not list(out.rglob("pairs.csv"))
    assert not list(out.rglob("state*.npz"))
    best = max((row for row in rows if row["score"]), key=lambda row: float(row["score"]))
    history = (out / "trials" / f"{int(best['trial']):03d}" / "history.csv").read_text().splitlines()
    assert dict(zip(*(line.split(",") for line in history), strict=True))["val_hard_roc_auc"] == best["score"]
    strategy = load_strategy(str(out / "best.yaml"))
    assert strategy.train.learning_rate == float(best["train.learning_rate"])
    assert strategy.train.batch == int(best["train.batch"])
    run = tmp_path / "run"
    kcars("train", "--strategy", out / "best.yaml", "--data", drawn, "--out", run)
    again = (run / "history.csv").read_text().splitlines()
    assert dict(zip(*(line.split(",") for line in again), strict=True))["val_hard_roc_auc"] == best["score"]


def test_one_trial_and_then_three_are_the_same_three(whole, drawn, tmp_path):
    out = tmp_path / "search"
    assert "trials: 1" in tune(drawn, out, "--trials", 1)
    assert len(table(out)) == 1
    tune(drawn, out, "--trials", 3)
    assert table(out) == table(whole[0])
    before = (out / "search.json").read_bytes()
    assert "trial 1 of" not in tune(drawn, out, "--trials", 2)
    assert (out / "search.json").read_bytes() == before


def test_a_trial_that_was_stopped_goes_on_to_the_same_scores(whole, drawn, tmp_path, monkeypatch):
    from kcars.training.callbacks.save_state import SaveState

    def stop(self, batch, logs=None):
        if self.step == 1:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(SaveState, "on_train_batch_begin", stop)
    out = tmp_path / "search"
    output = tune(drawn, out, "--trials", 2, code=128 + signal.SIGTERM)
    assert "the same command continues" in output.splitlines()[-1] and "--resume" not in output
    assert list(out.rglob("state.npz"))
    assert table(out)[-1]["state"] == "running"
    assert "steps, " in tune(drawn, out, "--trials", 2)  # "... were trained before", on standard output.
    assert table(out) == table(whole[0])[:2]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "train.epochs=2"], "began with train.epochs 1, not 2"),
        (["--search", "loss.margin=0.1..0.3"], "began with --search train.learning_rate=0.0001..0.01:log"),
    ],
)
def test_another_search_is_refused(whole, drawn, more, message):
    before = (whole[0] / "search.json").read_bytes()
    output = tune(drawn, whole[0], *more, code=2)
    assert message in output.splitlines()[-1]
    assert (whole[0] / "search.json").read_bytes() == before


def test_other_data_a_damaged_record_and_other_folders_are_refused(whole, drawn, tmp_path):
    record = json.loads((whole[0] / "search.json").read_text())
    (tmp_path / "search.json").write_text(json.dumps({**record, "data": "other"}))
    assert "began with data other, not" in tune(drawn, tmp_path, code=2)
    for damaged in ("{", "[]", json.dumps({**record, "format": 9})):
        (tmp_path / "search.json").write_text(damaged)
        told = tune(drawn, tmp_path, code=2).splitlines()[-1]
        assert "search.json: " in told and "restore it, or choose another --out" in told
    (tmp_path / "search.json").rename(tmp_path / "letter.txt")
    assert "is not a search folder" in tune(drawn, tmp_path, code=2)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "0"], "--trials 0: is too few"),
        (["--minutes", "0"], "--minutes 0: is not a duration"),
        (["--steps", "50"], "--steps: cannot be combined with --search"),
        (["--rates", "1e-5..1"], "--rates: cannot be combined with --search"),
        (["--set", "evaluate.protocol=paper"], "validates on the test split, which must not choose settings"),
        (["--out", "/proc/nowhere"], "--out: /proc/nowhere cannot be written"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(drawn, tmp_path, arguments, message):
    output = tune(drawn, tmp_path / "out", *arguments, code=2)
    assert message in output.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_extra_is_named(drawn, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "optuna" else find(name, *rest)
    )
    assert "pip install 'kcars[tune]'" in tune(drawn, tmp_path / "out", code=2).splitlines()[-1]
    assert not (tmp_path / "out").exists()


class Trained:
    """Stands for `train`: raises or writes what a test wants, by learning rate."""

    def __init__(self, monkeypatch, outcome):
        monkeypatch.setattr(search, "train", self)
        monkeypatch.setattr(search, "_refuse_bad_photos", lambda *_: None)
        monkeypatch.setattr(search, "kept", lambda run: (run, 1))
        monkeypatch.setattr(search, "_parts", lambda run: [])
        self.outcome, self.calls = outcome, []

    def __call__(self, strategy, dataset, folder, title, force=False):
        self.calls.append(strategy)
        found = self.outcome(strategy)
        if isinstance(found, BaseException):
            raise found
        return found


def test_what_diverges_or_has_no_score_fails_and_the_search_goes_on(drawn, tmp_path, monkeypatch):
    class ResourceExhaustedError(Exception):
        """As TensorFlow's is called."""

    fates = iter([Diverged("training: the loss is nan"), float("nan"), ResourceExhaustedError(), 0.5])
    trained = Trained(monkeypatch, lambda strategy: next(fates))
    out = tmp_path / "out"
    output = kcars("tune", "--task", "classify", "--data", drawn, "--out", out, *TINY, *SEARCHED[:2], "--trials", 4)
    assert len(trained.calls) == 4
    assert [(row["state"], row["why"]) for row in table(out)] == [
        ("failed", "training: the loss is nan"),
        ("failed", "validation/balanced_accuracy is undefined"),
        ("failed", "out of memory"),
        ("complete", ""),
    ]
    assert "trial 1: failed: training: the loss is nan" in output


def test_settings_that_were_tried_are_not_trained_again(drawn, tmp_path, monkeypatch):
    trained = Trained(monkeypatch, lambda strategy: strategy.train.batch / 100)
    out = tmp_path / "out"
    asked = ["--search", "train.batch=16,32", "--trials", 6]
    output = kcars("tune", "--task", "classify", "--data", drawn, "--out", out, *TINY, *asked)
    assert len(trained.calls) == 2
    assert {(row["train.batch"], row["score"]) for row in table(out)} == {("16", "0.16"), ("32", "0.32")}
    assert output.count("the same as trial") == 4


def test_a_fault_that_is_no_trials_own_stops_the_search_and_the_same_command_goes_on(drawn, tmp_path, monkeypatch):
    def full(strategy):
        try:
            raise KcarsError("state.npz: cannot be written (No space left on device)")
        except KcarsError as error:
            told = KcarsError(f"{error}; fix this, then kcars train --resume RUN continues from the last save")
            told.__context__ = error
            return told

    fates = iter(
        [lambda _: 0.4, full, lambda _: Interrupted(signal.SIGINT, "stopped"), lambda _: 0.5, lambda _: NoWayOn("")]
    )
    Trained(monkeypatch, lambda strategy: next(fates)(strategy))
    command = [
        "tune",
        "--task",
        "classify",
        "--data",
        drawn,
        "--out",
        tmp_path / "out",
        *TINY,
        *SEARCHED[:2],
        "--trials",
        2,
    ]
    output = kcars(*command, code=2)
    assert output.splitlines()[-1] == (
        "kcars: trial 2: state.npz: cannot be written (No space left on device); fix this, then the same command continues"
    )
    sampled = [row["train.learning_rate"] for row in table(tmp_path / "out")]
    assert "kcars: stopped in trial 2; the same command continues" in kcars(*command, code=128 + signal.SIGINT)
    kcars(*command)
    assert [row["train.learning_rate"] for row in table(tmp_path / "out")] == sampled
    assert [row["state"] for row in table(tmp_path / "out")] == ["complete", "complete"]


def test_no_success_is_an_error(drawn, tmp_path, monkeypatch):
    Trained(monkeypatch, lambda strategy: Diverged("training: the loss is nan"))
    output = kcars(
        "tune", "--task", "classify", "--data", drawn, "--out", tmp_path, *TINY, *SEARCHED[:2], "--trials", 2, code=2
    )
    assert f"no trial succeeded; {tmp_path / 'trials.csv'} has the reasons" in output
    assert not (tmp_path / "best.yaml").exists()


def test_no_further_trial_begins_after_the_minutes(drawn, tmp_path, monkeypatch):
    Trained(monkeypatch, lambda strategy: 0.5)
    command = ["tune", "--task", "classify", "--data", drawn, "--out", tmp_path, *TINY, *SEARCHED[:2]]
    kcars(*command, "--trials", 3, "--minutes", 1e-9)
    assert len(table(tmp_path)) == 1
    kcars(*command, "--trials", 3, "--minutes", 60)
    assert len(table(tmp_path)) == 3


@pytest.mark.parametrize(
    ("changed", "raised", "called"),
    [
        ({}, None, ["go_on"]),
        ({"finished": True}, None, []),
        ({"versions": {}}, None, ["train anew"]),
        ({}, NoWayOn("state.npz: damaged"), ["go_on", "train anew"]),
        ({}, Diverged("nan"), ["go_on"]),
    ],
)
def test_a_trial_that_was_stopped_goes_on_or_begins_anew(tree, tmp_path, monkeypatch, changed, raised, called):
    run, calls = begun(tree, tmp_path), []
    run.note(**changed)

    def go_on(*_):
        calls.append("go_on")
        if raised:
            raise raised

    monkeypatch.setattr(search, "go_on", go_on)
    monkeypatch.setattr(search, "train", lambda *_, force=False: calls.append("train anew" if force else "train"))
    if isinstance(raised, Diverged):
        with pytest.raises(Diverged):
            search._trained(run.strategy(), None, run.folder, "mine", print)
    else:
        search._trained(run.strategy(), None, run.folder, "mine", print)
    assert calls == called


def test_a_run_of_other_settings_in_a_trials_place_is_replaced(tree, tmp_path, monkeypatch):
    run, calls = begun(tree, tmp_path), []
    monkeypatch.setattr(search, "train", lambda *_, force=False: calls.append(force))
    search._trained(strategy_with(run.strategy(), {"train.batch": 8}), None, run.folder, "mine", print)
    assert calls == [True]


@pytest.mark.parametrize(("keep", "found"), [("best", (0.7, 2)), ("last", (0.6, 3))])
def test_the_score_is_that_of_the_epoch_kept(tree, tmp_path, keep, found):
    run = begun(tree, tmp_path, f"train.keep={keep}")
    scores = (0.5, 0.7, 0.6)
    run.record([{"epoch": epoch, "val_balanced_accuracy": score} for epoch, score in enumerate(scores, 1)])
    assert search.kept(run) == found
    run.note(chosen={"epoch": 1, "score": 0.9, "folds": 2})
    assert search.kept(run) == (0.9, 1)
