"""Ablation studies: what a budget allows, strict files, lists thinned, and a study that is stopped and gone on with."""

import csv
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from support.paths import TOOLS

from kcars.cli import main
from kcars.core.errors import Interrupted, KcarsError
from kcars.data.readers import compcars
from kcars.metrics.bootstrap import paired_difference
from kcars.runs.run import Run
from kcars.settings.strategy import load_strategy
from kcars.training.callbacks.save_state import SaveState

sys.path.insert(0, str(TOOLS))
import ablate  # noqa: E402
import ablation_lists  # noqa: E402
import ablation_runs  # noqa: E402
import ablation_study  # noqa: E402
from ablation_plan import Planner, fitted  # noqa: E402

SMALL = ["data.size_px=32", "model.width=0.25", "train.batch=16", "evaluate.resamples=100", "evaluate.folds=0"]
STUDY = {
    "base": "demo/verify",
    "set": SMALL,
    "budget": {"photos": 200, "size_px": 32},
    "reference": "plain",
    "variants": {
        "plain": [],
        "Swept and swept": {"sweep": {"train.learning_rate": [1e-4, 1e-3]}},
        "by lda": {"of": "plain", "set": ["evaluate.distance=lda"]},
        "broken": ["model.weights=/nowhere.safetensors"],
    },
}


def write(path: Path, **changes) -> Path:
    path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return path


# ---- what a budget allows ----


@pytest.mark.parametrize(("budget", "epochs"), [(1000, 10), (1099, 10), (999, 9), (7, 1)])
def test_epochs_stay_within_the_budget_and_there_is_at_least_one(budget, epochs):
    work = fitted(budget, 20, 5, lambda epochs: [5] * epochs)
    assert (work.epochs, work.photos, work.total) == (epochs, 20 * epochs, 100 * epochs)


def test_cheaper_epochs_at_the_beginning_leave_room_for_more():
    def costs(epochs):  # Half of the epochs cost a quarter.
        return [1] * (epochs // 2) + [4] * (epochs - epochs // 2)

    for budget in range(40, 400, 7):
        fitting = [epochs for epochs in range(1, 100) if 10 * sum(costs(epochs)) <= budget]
        assert fitted(budget, 10, 4, costs).epochs == max(fitting)
    assert fitted(1000, 10, 4, costs).epochs == 40  # Not 25, which the dearer photos would allow.


@pytest.fixture(scope="module")
def planner(lean, drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    first = {"strategy": "demo/classify", "set": [*SMALL[:4], "model.backbone=resnet18"], "share": 0.4}
    variants = {
        "plain": [],
        "larger": ["data.size_px=64"],
        "pairs": {"strategy": "Vr_SRes18_CT_B128_SCR", "set": ["difficulty=hard"]},
        "warm": {"begins_with": first},
        "twice": {"begins_with": {"share": 0.5, "set": ["train.learning_rate=1e-4"]}},
        "of another task": {"strategy": "demo/classify", "set": SMALL[:2]},
    }
    study = write(folder / "study.yaml", variants=variants, budget={"photos": 2000, "size_px": 32})
    return Planner(ablation_study.read(study), str(drawn), folder / "out")


def test_each_variant_spends_the_same(planner):
    plain, larger, pairs = (planner.trial(name, (), 0) for name in ("plain", "larger", "pairs"))
    each = planner.budget / 2000
    assert plain.work.multiply_adds == (each,) * plain.work.epochs
    assert larger.work.multiply_adds[0] == pytest.approx(4 * each, rel=0.05)  # The head alone does not grow.
    for trial in (plain, larger, pairs):
        work = trial.work
        assert work.total <= planner.budget < work.total + work.photos_per_epoch * work.multiply_adds[0]
        assert trial.settings.train.epochs == work.epochs
    assert larger.work.epochs == plain.work.epochs // 4
    # As many photos are anchors, and each brings another.
    assert pairs.work.photos_per_epoch == 2 * plain.work.photos_per_epoch
    assert planner.trial("plain", (), 1).settings.train.seed == 1


def test_variants_are_of_one_task(planner):
    with pytest.raises(KcarsError, match="variant of another task: is of task classify, the study's base of verify"):
        planner.trial("of another task", (), 0)


def test_a_first_run_spends_its_share_of_the_budget(planner):
    for name, share in (("warm", 0.4), ("twice", 0.5)):
        trial = planner.trial(name, (), 0)
        first, then = trial.before.work, trial.work
        assert first.total <= share * planner.budget < first.total + first.photos_per_epoch * first.multiply_adds[0]
        assert first.total + then.total <= planner.budget
        assert then.total > (1 - share) * planner.budget - then.photos_per_epoch * then.multiply_adds[0]
        assert trial.settings.model.weights == str(trial.before.folder)
    assert (trial.before.settings.loss.name, trial.before.settings.train.learning_rate) == ("arcface", 1e-4)


def test_a_classifier_that_a_verifier_begins_with_knows_no_model_that_validates(planner):
    trial = planner.trial("warm", (), 0)
    assert trial.before.settings.task == "classify"
    index = planner.dataset_of(trial.before).table
    from kcars.tasks import verify

    plan = verify.plan(planner.dataset_of(trial), trial.settings)
    held = np.unique(plan.dataset.table.ids["model"][plan.validation])
    assert len(held) == 8 and not np.isin(held, index.ids["model"]).any()
    assert len(np.unique(index.ids["model"])) == 16 - 8


# ---- the file ----


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bugdet": {}}, "bugdet: unknown key; known here: about, base, set, budget"),
        ({"budget": {"photos": 10}}, "budget.size_px: is missing; known here: photos, size_px"),
        ({"budget": {"photos": 0, "size_px": 32}}, "budget.photos"),
        ({"reference": "plane"}, "'plane' is no variant; choose one of plain"),
        ({"variants": {"plain": {"sett": []}}}, "variants.plain.sett: unknown key; known here: strategy, set, of"),
        ({"variants": {"plain": {"begins_with": {"share": 0.4, "on": "x"}}}}, "known here: share, strategy, set, data"),
        ({"variants": {"plain": ["train.epochs=3"]}}, "train.epochs cannot be set: the budget says how many"),
        ({"variants": {"plain": {"sweep": {"train.seed": [1]}}}}, "train.seed cannot be set"),
        ({"variants": {"plain": {"sweep": {"train.batch": []}}}}, "has no values"),
        ({"variants": {"plain": ["train.batch"]}}, "expected key=value"),
        ({"variants": {"plain": [], "Plain!": []}}, "another name is needed"),
        ({"variants": {"plain": [], "plain, more": []}}, "without commas"),
        ({"variants": {"plain": [], "anew": {"of": "plane", "set": ["evaluate.distance=lda"]}}}, "choose one of plain"),
        ({"variants": {"plain": [], "anew": {"of": "plain", "set": ["train.batch=4"]}}}, "changes more than scoring"),
        (
            {"variants": {"plain": [], "anew": {"of": "plain", "set": ["evaluate.mirror=false"]}}},
            "may stand: evaluate.adj",
        ),
    ],
)
def test_a_study_is_strict(tmp_path, changes, told):
    with pytest.raises(KcarsError) as error:
        ablation_study.read(write(tmp_path / "study.yaml", **changes))
    assert told in str(error.value) and str(tmp_path / "study.yaml") in str(error.value)


def test_a_budget_of_another_size_is_asked_for(tmp_path):
    file = write(tmp_path / "study.yaml")
    own = ablation_study.read(file).budget
    assert ablation_study.read(file, own.photos + 1).budget == own.model_copy(update={"photos": own.photos + 1})
    with pytest.raises(KcarsError, match="--photos: 0 found"):
        ablation_study.read(file, 0)


@pytest.mark.parametrize("file", sorted((TOOLS / "ablations").glob("*.yaml")), ids=lambda file: file.stem)
def test_what_shipped_studies_set_can_be_set(file):
    study = ablation_study.read(file)
    for variant in study.variants.values():
        trained = study.variants[variant.of] if variant.of else variant
        weights = ["model.weights=before"] if trained.begins_with else []
        for point in trained.points:
            overrides = [*study.set, *trained.set, *point, *weights, *(variant.set if variant.of else [])]
            assert load_strategy(trained.strategy or study.base, overrides)
        if first := variant.begins_with:
            load_strategy(first.strategy or study.base, [*([] if first.strategy else study.set), *first.set])


# ---- lists ----


def test_a_long_tail_falls_exponentially():
    paths = [f"1/{model}/2010/{number:03d}.jpg" for number in range(100) for model in (7, 8, 9)]
    kept = ablation_lists.thinned(paths, 100, seed=0)
    assert sorted(sum(f"/{model}/" in path for path in kept) for model in (7, 8, 9)) == [1, 10, 100]
    assert kept == [path for path in paths if path in set(kept)]
    assert kept == ablation_lists.thinned(paths, 100, seed=0) != ablation_lists.thinned(paths, 100, seed=1)
    few = [f"1/{model}/2010/{number}.jpg" for model, count in ((1, 2), (2, 8), (3, 4)) for number in range(count)]
    assert [sum(f"/{model}/" in path for path in ablation_lists.thinned(few, 4, 0)) for model in (1, 2, 3)] == [2, 8, 4]


def test_thinned_lists_leave_the_test_as_it_is(tree, tmp_path):
    out, strategy = tmp_path / "out/data/thin", load_strategy("scratch/classify")
    ablation_lists.long_tailed(tree.root, out, "classify", "model", 4, 0)
    before, after = (compcars.read(folder, "classify", strategy.data) for folder in (tree.root, out))
    _, photos = np.unique(after.table.ids["model"][after.train], return_counts=True)
    assert sorted(photos) == [1, 2, 3, 4] and len(before.train) == 16  # 4 x 4^(-k / 3): 4, 2.5, 1.6, 1
    assert list(after.table.paths[after.test]) == list(before.table.paths[before.test])
    (out / "train_test_split/classification/train.txt").write_text("3/5/2010/000.jpg\n")
    with pytest.raises(KcarsError, match="has other lists"):
        ablation_lists.long_tailed(tree.root, out, "classify", "model", 4, 0)


# ---- a whole study ----


def in_process(arguments: list[str], log: Path) -> int:
    result = CliRunner().invoke(main, arguments)
    with log.open("a") as file:
        file.write(result.output)
    return result.exit_code


def stopped_study(command: list[str]) -> int:
    """The exit code of the study, which SIGTERM stops within the first epoch of its first run."""
    begun, heard = SaveState.on_train_batch_begin, []

    def stop(self, batch, logs=None):
        if self.step == 2 and not heard:
            heard.append(os.kill(os.getpid(), signal.SIGTERM))
        return begun(self, batch, logs)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(SaveState, "on_train_batch_begin", stop)
        ablate.main(command)
    return ended.value.code


@pytest.fixture(scope="module")
def studied(lean, drawn, tmp_path_factory):
    """A study of two seeds, stopped by SIGTERM while its first run trains, then all, then once more."""
    folder = tmp_path_factory.mktemp("study")
    out, file = folder / "out", write(folder / "study.yaml")
    command = [
        str(file),
        "--data",
        str(drawn),
        "--out",
        str(out),
        "--seeds",
        "0,1",
        "--table",
        str(folder / "table.md"),
    ]
    asked = []

    def counted(arguments, log):
        asked.append(arguments)
        return in_process(arguments, log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation_runs, "run_kcars", counted)
        code = stopped_study(command)
        stopped = code, Run.open(out / "plain-0").facts()["finished"], (out / "plain-0/state.npz").exists()
        asked.clear()
        ablate.main(command)
        first = list(asked)
        asked.clear()
        ablate.main(command)
    return out, stopped, first, asked, (folder / "table.md").read_text()


def test_a_signal_is_handed_on_to_the_run_and_ends_the_study(tmp_path, monkeypatch):
    """By a program in the place of Python that saves when SIGTERM comes, as `kcars train` does."""
    program, log = tmp_path / "program", tmp_path / "log"
    program.write_text(
        "#!/bin/sh\ntrap 'echo saved; kill $sleeping; exit 143' TERM\nsleep 60 & sleeping=$!\necho begun $*\nwait\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(ablation_runs, "sys", SimpleNamespace(executable=str(program)))

    def signalled():
        for _ in range(600):
            if log.exists() and "begun" in log.read_text():
                os.kill(os.getpid(), signal.SIGTERM)
                return
            time.sleep(0.05)

    thread = threading.Thread(target=signalled)
    thread.start()
    with pytest.raises(Interrupted, match="the same command goes on") as stop:
        ablation_runs.run_kcars(["train", "--resume", "RUN"], log)
    thread.join()
    assert stop.value.signal == signal.SIGTERM
    assert log.read_text().splitlines() == ["begun -m kcars.cli train --resume RUN", "saved"]


def test_a_stopped_study_has_saved_all_and_goes_on(studied):
    out, (code, finished, saved), first, _, _ = studied
    assert code == 128 + signal.SIGTERM
    assert saved and not finished
    assert first[0][:3] == ["train", "--resume", str(out.resolve() / "plain-0")]
    names = ["plain-0", "swept-and-swept-train-learning-rate-0-0001-0", "swept-and-swept-train-learning-rate-0-001-0"]
    assert all(Run.open(out / name).scores()["finished"] for name in (*names, "plain-1", "by-lda-0", "by-lda-1"))
    assert (
        len([arguments for arguments in first if "swept" in " ".join(arguments)]) == 3
    )  # The chosen rate alone again.


def test_a_finished_study_trains_nothing_and_does_not_try_again_what_failed(studied):
    out, _, first, again, table = studied
    assert again == []
    assert sum("model.weights=/nowhere.safetensors" in arguments for arguments in first) == 2
    assert "- broken: seed 0: model.weights" in table and "/nowhere.safetensors" in table


def test_runs_are_as_planned(studied, drawn):
    out = studied[0]
    planner = Planner(ablation_study.read(out.parent / "study.yaml"), str(drawn), out)
    for seed in (0, 1):
        run, work = Run.open(out / f"plain-{seed}"), planner.trial("plain", (), seed).work
        assert run.history()[-1]["photos"] == work.photos == run.scores()["cost"]["epochs"] * work.photos_per_epoch
        assert run.scores()["cost"]["multiply_adds"] == work.multiply_adds[0]


def columns(out: Path) -> dict[tuple[str, str], dict]:
    with (out / "table.csv").open() as file:
        return {(row["variant"], row["seed"]): row for row in csv.DictReader(file)}


def test_a_variant_scored_anew_is_the_same_network(studied):
    out = studied[0]
    for seed in (0, 1):
        one, other = (out / f"{name}-{seed}" for name in ("plain", "by-lda"))
        assert (one / "best.weights.h5").read_bytes() == (other / "best.weights.h5").read_bytes()
        assert Run.open(other).scores()["metric"] == "lda"
        told = [
            json.loads((folder / "scores.json").read_text())["scores"]["hard/roc_auc"]["value"]
            for folder in (one, other)
        ]
        table = columns(out)
        rows = [table[name, str(seed)] for name in ("plain", "by lda")]
        assert [float(row["hard/roc_auc"]) for row in rows] == told and told[0] != told[1]
        assert rows[0]["multiply_adds"] == rows[1]["multiply_adds"]


def test_the_table_is_sorted_and_tells_differences_of_the_mean_over_seeds(studied, drawn):
    out, table = studied[0], studied[4]
    assert table == (out / "table.md").read_text()
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    heads, body = lines[0], lines[2:5]
    assert heads[5:8] == [*(f"hard / medium / easy, seed {seed}" for seed in (0, 1)), "hard / medium / easy, mean"]
    means = [float(row[7].split(" / ")[0]) for row in body]
    assert means == sorted(means, reverse=True)
    of = {row[0]: row for row in body}
    seeds = [float(of["plain"][place].split(" / ")[0]) for place in (5, 6)]
    assert float(of["plain"][7].split(" / ")[0]) == pytest.approx(np.mean(seeds), abs=0.0011)
    assert float(of["plain"][8]) == pytest.approx(abs(seeds[0] - seeds[1]) / 2**0.5, abs=0.0011)
    assert of["plain"][9] == ""
    value, low, high = expected_difference(out)
    assert of["by lda"][9] == f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
    row = columns(out)["by lda", "mean"]
    assert [float(row[key]) for key in ("difference", "low", "high")] == pytest.approx([value, low, high])
    swept = [line for line in lines if line[0] == "Swept and swept" and line[1].startswith("`train.learning_rate=")]
    best = max(swept, key=lambda line: float(line[2]))
    assert len(swept) == 2 and (best[4] == "chosen" or swept[0][2] == swept[1][2])
    assert sum(line[4] == "chosen" for line in swept) == 1


def expected_difference(out: Path) -> tuple[float, float, float]:
    """Of lda's mean over both seeds from that of distances as they are; makes are the paths' first part."""
    scores = {}
    for name in ("plain", "by-lda"):
        for seed in (0, 1):
            with (out / f"{name}-{seed}/pairs.csv").open() as file:
                rows = [row for row in csv.DictReader(file) if row["difficulty"] == "hard"]
            pairs = [(row["left"], row["right"], int(row["same"])) for row in rows]
            scores[name, seed] = pairs, [-float(row["distance"]) for row in rows]
    pairs = scores["plain", 0][0]
    assert all(each[0] == pairs for each in scores.values())  # Other seeds are tested on the same pairs.
    makes = [[path.split("/")[0] for path in side] for side in list(zip(*pairs, strict=True))[:2]]
    same = np.array([one[2] for one in pairs])
    ours, theirs = ([scores[name, seed][1] for seed in (0, 1)] for name in ("by-lda", "plain"))
    value, low, high = paired_difference(same, ours, theirs, makes)
    single = [paired_difference(same, ours[seed], theirs[seed], makes)[0] for seed in (0, 1)]
    assert value == pytest.approx(np.mean(single))
    return value, low, high


def test_a_folder_of_another_study_and_unknown_names_are_refused(studied, drawn, capsys):
    out = studied[0]
    other = write(out.parent / "other.yaml", set=[*SMALL, "train.weight_decay=0.1"])
    for more, told in (([], "was made with train.weight_decay"), (["--only", "plan"], "--only: 'plan' is not known")):
        with pytest.raises(SystemExit) as ended:
            ablate.main([str(other), "--data", str(drawn), "--out", str(out), *more])
        assert ended.value.code == 2
        assert told in capsys.readouterr().err


def test_a_dry_run_prints_the_plan_and_trains_nothing(drawn, tmp_path, capsys):
    file = write(tmp_path / "study.yaml", budget={"photos": 1000, "size_px": 32})
    ablate.main([str(file), "--data", str(drawn), "--out", str(tmp_path / "out"), "--dry-run"])
    told = capsys.readouterr().out
    assert "| plain |  | " in told and told.count("Swept and swept") == 2 and "those of plain-0" in told
    assert list((tmp_path / "out").iterdir()) == []
