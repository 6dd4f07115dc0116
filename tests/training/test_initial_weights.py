"""Beginning with the backbone of an earlier run: what is taken over, and what is refused."""

import csv
import itertools
import json
import re
import shutil

import numpy as np
import pytest
from support.commands import kcars, rows, small
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.data.readers import folders
from kcars.runs import provenance
from kcars.runs.checkpoint import scored_network
from kcars.runs.run import Run
from kcars.settings.strategy import load_strategy
from kcars.tasks import task_module
from kcars.training.initial_weights import refuse_tested

pytestmark = pytest.mark.usefixtures("lean")

ONE_EPOCH = ("train.epochs=1", "model.backbone=resnet18", "data.size_px=32", "data.augment=''", "model.dropout=0")


@pytest.fixture(scope="module")
def classified(lean, drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "classify"
    kcars("train", "--task", "classify", "--data", drawn, "--out", run, *small(*ONE_EPOCH))
    return run


def warm(drawn, run, out, *more, code=0, task="verify"):
    settings = small(*ONE_EPOCH, f"model.weights={run}", *more)
    return kcars("train", "--task", task, "--data", drawn, "--out", out, *settings, code=code)


@pytest.fixture
def split_by_photos(drawn, tmp_path):
    """Drawn cars with a description of their own: the models to test on are in no training list of either task."""
    lists = drawn / "train_test_split/verification"
    trained = set((lists / "verification_train.txt").read_text().split())
    photos = sorted(path.relative_to(drawn / "image").as_posix() for path in (drawn / "image").rglob("*.jpg"))
    out = tmp_path / "cars"
    for path in photos:
        make, model, *_ = path.split("/")
        target = out / ("train" if path in trained else "test") / make / model / path.rpartition("/")[2]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn / "image" / path, target)
    return out


def test_a_verifier_begins_with_a_classifiers_backbone(split_by_photos, tmp_path):
    first = tmp_path / "first"
    plain = small(*ONE_EPOCH, "data.on_bad_photo=stop")
    only_train = tmp_path / "only_train"
    shutil.copytree(split_by_photos / "train", only_train)
    kcars("train", "--task", "classify", "--data", only_train, "--out", first, *plain)
    second = tmp_path / "second"
    kept = warm(split_by_photos, first, second, "train.learning_rate=1e-12", "train.weight_decay=0")
    assert "models that choose epoch and threshold" in kept
    facts = json.loads((second / "run.json").read_text())["weights"]
    assert facts["run"] == str(first.resolve()) and len(facts["sha256"]) == 64
    before, after = (scored_network(Run.open(run)).get_layer("resnet18") for run in (first, second))
    for old, new in zip(before.trainable_weights, after.trainable_weights, strict=True):
        assert np.allclose(old, new, atol=1e-6), new.path
    # What the first run knew is known of the second too.
    uses = {line["use"] for line in rows(second / "learned_photos.csv")}
    assert uses == {"train", "validation", "earlier run"}


def test_a_run_that_knows_test_photos_is_refused(drawn, classified, tmp_path):
    """The drawn lists test verification on other models, so their photos are put into the classifier's list here."""
    run = tmp_path / "run"
    shutil.copytree(classified, run)
    lists = drawn / "train_test_split/verification/verification_pairs_hard.txt"
    tested = lists.read_text().split()[0]
    from kcars.data.source import load
    from kcars.runs.provenance import photo_keys
    from kcars.settings import DataSettings

    table = load(drawn, "verify", DataSettings(size_px=32)).table
    place = np.flatnonzero(table.paths == tested)
    (run / "digests.json").unlink()
    with (run / "learned_photos.csv").open("a", newline="") as file:
        csv.writer(file).writerow([tested, photo_keys(table, place)[0], "another", "model", "train"])
    told = warm(drawn, run, tmp_path / "out", code=2)
    assert "was trained on 1 of the" in told and tested in told
    assert not (tmp_path / "out").exists()


def test_a_run_that_knows_tested_models_is_refused(drawn, classified, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(classified, run)
    from kcars.data.photo_table import model_names
    from kcars.data.source import load
    from kcars.settings import DataSettings

    dataset = load(drawn, "verify", DataSettings(size_px=32))
    name = model_names(dataset.table, dataset.test_rows()[:1])[0]
    (run / "digests.json").unlink()
    with (run / "learned_photos.csv").open("a", newline="") as file:
        csv.writer(file).writerow(["elsewhere.jpg", "0" * 16, *name.split(" ", 1), "train"])
    told = warm(drawn, run, tmp_path / "out", code=2)
    assert "was trained on 1 of the models in the test pairs" in told and name in told


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("model.backbone=simple_resnet_large", "has model.backbone resnet18, this one simple_resnet_large"),
        ("model.normalization=imagenet", "has model.normalization compcars, this one imagenet"),
        ("model.width=0.5", "layer stem_conv of resnet18 needs"),
    ],
)
def test_other_networks_are_refused(drawn, classified, tmp_path, setting, told):
    found = warm(drawn, classified, tmp_path / "out", setting, code=2, task="classify")
    assert told in found, found
    assert not (tmp_path / "out").exists()


def test_validation_photos_that_an_earlier_run_learned_from_are_told(drawn, classified, tmp_path):
    """Another seed holds other photos out."""
    told = warm(drawn, classified, tmp_path / "other", "train.seed=1", task="classify")
    assert re.search(r"warning: .* was trained on \d+ of the \d+ photos that choose the epoch: .* too optimistic", told)


def test_two_names_of_one_network_give_each_other_weights(drawn, classified, tmp_path):
    told = warm(drawn, classified, tmp_path / "out", "model.backbone=simple_resnet", task="classify")
    assert (
        "too optimistic" not in told
    )  # The same photos are held out: they chose an epoch, and nothing learned from them.
    assert json.loads((tmp_path / "out/run.json").read_text())["weights"]["run"] == str(classified.resolve())


def test_runs_that_do_not_say_what_they_learned_are_refused(drawn, classified, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(classified, run)
    (run / "learned_photos.csv").unlink()
    assert "without it the run's training photos are unknown" in warm(
        drawn, run, tmp_path / "out", code=2, task="classify"
    )
    settings = small(*ONE_EPOCH, f"model.weights={classified}")
    same = ["train", "--task", "classify", "--data", drawn, "--out", classified, "--force", *settings]
    assert "choose another folder" in kcars(*same, code=2)


@pytest.fixture
def own_photos(tmp_path):
    """Class folders of three makes of six models, eight photos each, without lists."""
    for make, model, number in itertools.product(range(3), range(6), range(8)):
        write_photo(
            tmp_path / f"cars/make{make}/model{model}/{number}.jpg", (80 * make, 40 * model, 30 * number), (32, 32)
        )
    return tmp_path / "cars"


def a_plan(folder, task, *more):
    settings = load_strategy(
        f"scratch/{task}", ("data.size_px=32", "evaluate.validation_models=4", "evaluate.folds=0", *more)
    )
    return task_module(task).plan(folders.read(folder, task, settings.data), settings)


def classifier_of(folder, place):
    """A run's folder, as far as other runs ask what it has learned."""
    plan = a_plan(folder, "classify")
    run = Run.create(place, plan, "mine", planned={"epochs": 1, "steps_per_epoch": 1})
    provenance.record(run, plan)
    return place


def test_own_photos_without_lists_have_a_way_from_classifier_to_verifier(own_photos, tmp_path):
    run = classifier_of(own_photos, tmp_path / "first")
    plan = a_plan(own_photos, "verify", f"model.weights={run}")
    with pytest.raises(
        KcarsError, match="split the models, each whole, into folders train/ and test/, train it again with"
    ):
        refuse_tested(plan, [])
    tested = {path.rpartition("/")[0] for path in plan.dataset.table.paths[plan.dataset.test_rows()]}
    for folder in own_photos.glob("*/*"):
        name = folder.relative_to(own_photos).as_posix()
        shutil.move(folder, tmp_path / "parted" / ("test" if name in tested else "train") / name)
    run = classifier_of(tmp_path / "parted/train", tmp_path / "second")
    refuse_tested(a_plan(tmp_path / "parted", "verify", f"model.weights={run}"), [])


def test_a_classifier_names_the_way_too(own_photos, tmp_path):
    run = classifier_of(own_photos, tmp_path / "first")
    other = a_plan(own_photos, "classify", f"model.weights={run}", "data.split_seed=1")
    with pytest.raises(KcarsError, match="split the photos into folders train/ and test/"):
        refuse_tested(other, [])
    refuse_tested(a_plan(own_photos, "classify", f"model.weights={run}"), [])
