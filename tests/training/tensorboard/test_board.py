"""What a run's TensorBoard folder holds, read back as TensorBoard reads it, also after stops."""

import json
import math
import os
import shutil
import signal
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from google.protobuf import text_format
from support.commands import kcars, rows, small
from support.runs import SAME, differences
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from kcars.data.photo_table import Classes
from kcars.training.callbacks.save_state import SaveState
from kcars.training.tensorboard import projector
from kcars.training.tensorboard.board import Board, tag
from kcars.training.tensorboard.pictures import by_name, examples

pytestmark = pytest.mark.usefixtures("shallow")

DIFFICULTIES = ["easy", "medium", "hard"]


class Events:
    """An event file as TensorBoard has it: kinds and steps by tag, PNG files by tag and step."""

    def __init__(self, folder):
        found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
        found.Reload()
        self.points = {name: found.Tensors(name) for name in found.Tags()["tensors"]}
        self.kinds = {name: found.SummaryMetadata(name).plugin_data.plugin_name for name in self.points}
        self.told = {name: found.SummaryMetadata(name).summary_description for name in self.points}

    def steps(self, kind):
        return {
            name: [point.step for point in points] for name, points in self.points.items() if self.kinds[name] == kind
        }

    def pictures(self, name):
        """Pixels (height, width, 3) by step."""
        return {
            point.step: cv2.imdecode(np.frombuffer(point.tensor_proto.string_val[2], np.uint8), cv2.IMREAD_COLOR)[
                ..., ::-1
            ]
            for point in self.points[name]
        }

    def text(self, name):
        return self.points[name][0].tensor_proto.string_val[0].decode()


# ---- the event file ----


def board_of(folder, epochs, colour=0):
    """A process that writes so many epochs' numbers and pictures, and is killed."""
    board = Board(folder)
    board.text("settings", f"colour: {colour}")
    for epoch in range(1, epochs + 1):
        board.image("picture", epoch, np.full((8, 6, 3), 10 * epoch + colour, np.uint8))
        board.scalars([{"epoch": number, "loss": 1 / number} for number in range(1, epoch + 1)])
    return board


def going_on(folder, epochs, colour=100):
    """A process that goes on from a state of so many epochs."""
    board = Board(folder)
    if epochs:
        board.scalars([{"epoch": number, "loss": 1 / number} for number in range(1, epochs + 1)])
    board.text("settings", f"colour: {colour}")
    return board


def colours(folder):
    return {step: int(pixels[0, 0, 0]) for step, pixels in Events(folder).pictures("picture").items()}


def test_pictures_keep_their_pixels_and_description(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    Board(tmp_path).image("validation/curve", 3, pixels, "what it shows")
    events = Events(tmp_path)
    assert np.array_equal(events.pictures("validation/curve")[3], pixels)
    assert events.told["validation/curve"] == "what it shows"


@pytest.mark.parametrize("epochs", [0, 1, 2, 3])
def test_who_goes_on_keeps_pictures_up_to_the_saved_state_and_no_later_ones(tmp_path, epochs):
    board_of(tmp_path, 3)
    board = going_on(tmp_path, epochs)
    kept = {epoch: 10 * epoch for epoch in range(1, epochs + 1)}
    assert ({} if not epochs else colours(tmp_path)) == kept
    board.image("picture", epochs + 1, np.full((8, 6, 3), 200, np.uint8))
    assert colours(tmp_path) == {**kept, epochs + 1: 200}
    assert Events(tmp_path).steps("scalars") == ({"training/loss": list(kept)} if epochs else {})
    assert Events(tmp_path).text("settings") == "colour: 100"
    assert len(list(tmp_path.iterdir())) == 1
    assert board.shows("picture", 1)


def test_pictures_survive_any_number_of_stops_with_the_same_bytes(tmp_path):
    board_of(tmp_path, 3)
    first = [point.tensor_proto.SerializeToString() for point in Events(tmp_path).points["picture"]]
    for _ in range(3):
        going_on(tmp_path, 3)
    assert [point.tensor_proto.SerializeToString() for point in Events(tmp_path).points["picture"]] == first


def test_a_broken_event_file_gives_what_stands_before_the_break(tmp_path):
    board_of(tmp_path, 3)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.rindex(b"picture")])  # In the middle of the last one.
    going_on(tmp_path, 3)
    assert colours(tmp_path) == {1: 10, 2: 20}
    assert Events(tmp_path).steps("scalars") == {"training/loss": [1, 2, 3]}


def test_who_is_killed_while_beginning_anew_leaves_both_files_and_no_picture_twice(tmp_path):
    board_of(tmp_path / "run", 2)
    (old,) = (tmp_path / "run").iterdir()
    content = old.read_bytes()
    going_on(tmp_path / "run", 2)
    old.write_bytes(content)
    assert len(list((tmp_path / "run").iterdir())) == 2
    going_on(tmp_path / "run", 2)
    assert Events(tmp_path / "run").steps("images") == {"picture": [1, 2]}


def test_tags_stand_in_groups():
    columns = ["loss", "learning_rate", "val_hard_roc_auc", "val_loss", "seconds", "photos"]
    assert [tag(column) for column in columns] == [
        "training/loss",
        "training/learning_rate",
        "validation/hard_roc_auc",
        "validation/loss",
        "work/seconds",
        "work/photos",
    ]


# ---- pictures ----


def classes_of(target, names, makes=()):
    return Classes(target, np.arange(len(names)), list(names), list(makes))


def test_a_confusion_matrix_is_shown_in_the_order_of_names_makes_together():
    confusion = np.arange(9).reshape(3, 3)
    found, names, makes = by_name(confusion, classes_of("model", ["X5", "A4", "118"], ["BMW", "Audi", "BMW"]))
    assert names == ["Audi A4", "BMW 118", "BMW X5"]
    assert makes == ["Audi", "BMW", "BMW"]
    assert found.tolist() == [[4, 5, 3], [7, 8, 6], [1, 2, 0]]
    assert by_name(confusion, classes_of("make", ["Kia", "audi", "BMW"]))[1:] == (["audi", "BMW", "Kia"], None)


def test_examples_say_classes_of_photos_and_whether_pairs_are_the_same():
    photos, classes = np.zeros((30, 8, 8, 3), np.uint8), classes_of("make", ["Audi", "BMW"])
    told = examples(photos, {"make": np.arange(30) % 2}, classes).axes[0].texts
    assert [text.get_text() for text in told] == ["Audi", "BMW"] * 12
    mixed = examples(photos[:2], {"make": np.float32([[0.7, 0.3], [0, 1]])}, classes).axes[0].texts
    assert [text.get_text() for text in mixed] == ["70% Audi", "100% BMW"]
    left, right = photos[:2], photos[:2] + 255
    pairs = examples({"left": left, "right": right}, {"same": np.array([1.0, 0.0])}, classes).axes[0]
    assert [text.get_text() for text in pairs.texts] == ["same", "different"]
    (pair, _) = (np.asarray(image.get_array()) for image in pairs.images)
    assert (pair[:, :8].max(), pair[:, 8:].min()) == (0, 255)


# ---- the projector's files ----


def plan_of(validation, train):
    return SimpleNamespace(
        validation=np.asarray(validation),
        train=np.asarray(train),
        strategy=SimpleNamespace(train=SimpleNamespace(seed=0)),
    )


def test_held_out_photos_are_projected_and_training_photos_where_there_are_none():
    assert projector.chosen_rows(plan_of([9, 3, 5], [1, 2])).tolist() == [3, 5, 9]
    assert projector.chosen_rows(plan_of([], [2, 1])).tolist() == [1, 2]
    many = projector.chosen_rows(plan_of(np.arange(5000), []))
    assert len(np.unique(many)) == projector.MOST
    assert np.array_equal(many, projector.chosen_rows(plan_of(np.arange(5000), [])))


def test_a_sprite_has_each_photo_in_its_place_and_fits_browsers(tmp_path):
    colours = np.arange(5, dtype=np.uint8) * 50
    store = SimpleNamespace(read=lambda wanted: np.broadcast_to(colours[wanted, None, None, None], (1, 96, 96, 3)))
    projector.write_sprite(tmp_path / "sprite.jpg", store, np.arange(5))
    sprite, tile = cv2.imread(str(tmp_path / "sprite.jpg")), projector.TILE_PX
    assert sprite.shape == (3 * tile, 3 * tile, 3)
    centres = sprite[tile // 2 :: tile, tile // 2 :: tile].mean(-1).ravel()
    assert centres == pytest.approx([0, 50, 100, 150, 200, 0, 0, 0, 0], abs=2)
    assert math.ceil(math.sqrt(projector.MOST)) * tile <= 4096  # Which every browser takes.


def test_names_that_would_break_a_line_do_not(tmp_path):
    names = {"make": {0: "A\tB"}, "model": {0: "C\nD"}}
    index = SimpleNamespace(
        name=lambda target, id_: names[target][id_],
        ids={"make": np.zeros(1, int), "model": np.zeros(1, int)},
        paths=np.array(["a.jpg"]),
    )
    projector.write_names(tmp_path / "photos.tsv", index, np.array([0]))
    assert (tmp_path / "photos.tsv").read_text() == "make\tmodel\tphoto\nA B\tC D\ta.jpg\n"


# ---- runs ----


def facts_of(run):
    return json.loads((run / "run.json").read_text())


def train(task, data, out, *more, code=0):
    settings = small("evaluate.validation_pairs=200", "train.schedule=constant", "train.keep=best", *more)
    return kcars("train", "--task", task, "--data", data, "--out", out, *settings, code=code)


@pytest.fixture(scope="module")
def verified(shallow, drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("verify") / "run"
    train("verify", drawn, run)
    return run


def check_projector(run, photos, dimensions):
    """Everything that the configuration names is there, and of the same number."""
    folder = run / "tensorboard"
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    vectors = np.loadtxt(folder / embedding.tensor_path, delimiter="\t", ndmin=2)
    head, *lines = (folder / embedding.metadata_path).read_text().splitlines()
    sprite = cv2.imread(str(folder / embedding.sprite.image_path))
    tiles = [side / size for side, size in zip(sprite.shape[:2], embedding.sprite.single_image_dim, strict=True)]
    assert vectors.shape == tuple(embedding.tensor_shape) == (photos, dimensions)
    assert head == "make\tmodel\tphoto"
    assert len(lines) == photos
    assert tiles == [math.ceil(math.sqrt(photos))] * 2
    return vectors, lines, embedding.tensor_name


def test_verification_shows_curves_distances_and_examples_by_epoch(verified):
    events = Events(verified / "tensorboard")
    assert events.steps("images") == {
        "training/photos after augmentation": [0],
        "validation/ROC curves": [1, 2],
        "validation/distances of pairs": [1, 2],
    }
    first, second = events.pictures("validation/ROC curves").values()
    assert first.shape == second.shape
    assert not np.array_equal(first, second)
    numbers = events.steps("scalars")
    assert {"training/learning_rate", "training/loss", "validation/hard_roc_auc", "work/seconds"} <= numbers.keys()
    assert set(map(tuple, numbers.values())) == {(1, 2)}
    assert len(numbers) == len(rows(verified / "history.csv")[0]) - 1
    assert (verified / "settings.yaml").read_text() in events.text("settings")
    assert "| fingerprint | `" in events.text("data")


def test_roc_csv_has_a_curve_of_each_epoch_and_difficulty_that_fits_its_auc(verified):
    found = rows(verified / "roc.csv")
    assert [(row["epoch"], row["difficulty"]) for row in found] == [(e, name) for e in "12" for name in DIFFICULTIES]
    grid = [f"{rate / 100:.2f}" for rate in range(101)]
    assert list(found[0]) == ["epoch", "difficulty", *grid]
    history = rows(verified / "history.csv")
    for row in found:
        curve = [float(row[rate]) for rate in grid]
        assert curve == sorted(curve)
        assert curve[-1] == 1
        area = float(history[int(row["epoch"]) - 1][f"val_{row['difficulty']}_roc_auc"])
        assert np.trapezoid(curve, dx=0.01) == pytest.approx(area, abs=0.01)


def test_the_vectors_of_verification_are_those_of_the_kept_epoch(verified):
    counts = facts_of(verified)["data"]
    vectors, lines, name = check_projector(verified, counts["validation_photos"], 256)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)
    history = rows(verified / "history.csv")
    best = max(history, key=lambda row: float(row["val_hard_roc_auc"]))["epoch"]
    assert name == f"validation photos, epoch {best}"
    held = {row["path"] for row in rows(verified / "learned_photos.csv") if row["use"] == "validation"}
    assert {line.split("\t")[2] for line in lines} == held


def test_classification_shows_its_confusion_matrix_and_the_features_before_its_head(small_runs):
    classified = small_runs["classify"]
    events = Events(classified / "tensorboard")
    assert events.steps("images") == {
        "training/photos after augmentation": [0],
        "validation/confusion matrix": [1, 2],
    }
    assert not (classified / "roc.csv").exists()
    counts = facts_of(classified)["data"]
    vectors, _, _ = check_projector(classified, counts["validation_photos"], 128)
    assert vectors.std() > 0


def test_folds_choose_and_the_refit_projects_training_photos(run_of_folds):
    run, facts = run_of_folds, facts_of(run_of_folds)
    told = f"training photos, epoch {facts['chosen']['epoch']}"
    assert check_projector(run, facts["data"]["training_photos"], 256)[2] == told
    assert not (run / "roc.csv").exists()
    assert len(rows(run / "fold-1" / "roc.csv")) == 2 * 3
    assert set(Events(run / "tensorboard").steps("images")) == {"training/photos after augmentation"}
    assert "validation/ROC curves" in Events(run / "fold-2" / "tensorboard").steps("images")


# ---- stops ----


def break_at(monkeypatch, method, step):
    """Ctrl-C where SaveState's method runs after so many steps."""
    before = getattr(SaveState, method)

    def broken(self, *arguments, **named):
        if self.step == step:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)
            if method == "_save":
                raise KeyboardInterrupt
        return before(self, *arguments, **named)

    monkeypatch.setattr(SaveState, method, broken)


@pytest.mark.parametrize("where", ["within the second epoch", "after its pictures and before its state"])
def test_a_stopped_run_ends_with_the_same_curves_pictures_and_projection(verified, drawn, tmp_path, monkeypatch, where):
    run, steps = tmp_path / "run", facts_of(verified)["planned"]["steps_per_epoch"]
    if where == "within the second epoch":
        break_at(monkeypatch, "on_train_batch_begin", steps + 2)
    else:
        break_at(monkeypatch, "_save", 2 * steps)
    train("verify", drawn, run, code=130)
    shown = Events(run / "tensorboard").steps("images")["validation/ROC curves"]
    assert shown == ([1] if where == "within the second epoch" else [1, 2])
    assert not (run / "tensorboard" / "projector_config.pbtxt").exists()
    kcars("train", "--resume", run)
    assert differences(verified, run) == SAME
    for name in ("vectors.tsv", "photos.tsv", "sprite.jpg"):
        assert (run / "tensorboard/projector" / name).read_bytes() == (
            verified / "tensorboard/projector" / name
        ).read_bytes()


def test_a_finished_run_that_is_resumed_projects_nothing_anew(small_runs, tmp_path, monkeypatch):
    run = shutil.copytree(small_runs["classify"], tmp_path / "run")

    def never(*_):
        raise AssertionError("nothing has changed")

    monkeypatch.setattr(projector, "_vectors", never)
    kcars("train", "--resume", run)
