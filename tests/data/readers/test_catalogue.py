"""A reader is one file: what it registers is read everywhere, with no other edit."""

import numpy as np
import pytest
from support.commands import kcars, small
from support.compcars_tree import write_photo
from support.one_file import registered

from kcars.core.errors import KcarsError
from kcars.data.photo_table import NO_BOX
from kcars.data.readers.catalogue import READERS, SHIPPED, Reader, reader_of
from kcars.data.source import listed_faults, load, load_every_task, refuse_within
from kcars.gallery.described import described
from kcars.settings import DataSettings

DATA = DataSettings(size_px=32)
ONE_FILE = '''
"""Photos that labels.txt names, a line each: path, make, model, with semicolons between them."""

from kcars.data.readers.catalogue import READERS, Reader
from kcars.data.readers.own import Photo, dataset


def read(folder, task, data):
    lines = [line.split(";") for line in (folder / "labels.txt").read_text().splitlines()]
    return dataset(folder, [Photo(*line) for line in lines], task, data, str(folder))


READER = READERS.register(Reader("labels", "a labels.txt", lambda path: (path / "labels.txt").is_file(), read))
'''


@pytest.fixture
def labels(tmp_path_factory):
    with registered(READERS, "labels", ONE_FILE, tmp_path_factory.mktemp("package")) as reader:
        yield reader


@pytest.fixture
def cars(tmp_path):
    """Photos of one folder that labels.txt alone names: 4 models of 8."""
    random, folder, lines = np.random.default_rng(0), tmp_path / "cars", []
    for number in range(32):
        model = number % 4
        write_photo(folder / f"{number:02}.jpg", tuple(random.integers(60 * model, 60 * model + 60, 3).tolist()))
        lines.append(f"{number:02}.jpg;make {model // 2};model {model}\n")
    (folder / "labels.txt").write_text("".join(lines))
    return folder


def test_the_layout_is_read_and_named_in_messages(labels, cars, tmp_path):
    table = load(cars, "classify", DATA).table
    assert sorted(table.names["make"].values()) == ["make 0", "make 1"] and len(table) == 32
    assert "classify" in load_every_task(cars)[0] and listed_faults(cars) == []
    refuse_within(cars, cars / "run")  # labels.txt would not name what is written there.
    found, unnamed = described(cars, boxes=True)
    assert len(found) == 32 and unnamed == "" and {one.make for one in found} == {"make 0", "make 1"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        KcarsError,
        match="contains no photo; expected a CSV, CompCars' layout, .*class folders make/model/ or a labels.txt",
    ):
        load(tmp_path / "empty", "classify", DATA)


def test_without_its_reader_the_folder_has_no_layout(cars):
    with pytest.raises(KcarsError, match="0 class folders deep"):
        load(cars, "classify", DATA)
    with pytest.raises(KcarsError, match="is in the dataset"):
        refuse_within(cars, cars / "run")


def test_readers_are_asked_in_their_order(coloured_cars, tree, labels):
    assert reader_of(coloured_cars).name == "folders" and reader_of(tree.root).name == "compcars"
    (tree.root / "labels.txt").touch()
    assert reader_of(tree.root).name == "compcars"
    assert reader_of(tree.root / "image").name == "folders"
    assert reader_of(tree.root / "image", describing=True).name == "compcars"
    (tree.root / "photos.csv").touch()
    assert reader_of(tree.root).name == reader_of(tree.root / "photos.csv").name == "manifest"
    assert reader_of(tree.root / "labels.txt").name == "manifest"  # A file is a CSV where nothing else reads it.
    assert reader_of(tree.root / "none.csv").name == "manifest" and reader_of(tree.root / "none") is None
    assert {*SHIPPED, "labels"} == set(READERS)


def test_a_name_stands_once():
    with pytest.raises(KcarsError, match="reader compcars: is registered by .* and by .*; rename one"):
        len(READERS)
        READERS.register(Reader("compcars", "", lambda path: False, print))


def test_what_an_index_takes_in_has_the_boxes_of_the_dataset(cars, labels):
    boxed = load(cars, "classify", DATA).table
    assert {tuple(box) for box in boxed.box.tolist()} == {NO_BOX}
    assert {one.photo.box for one in described(cars, boxes=True)[0]} == {None}


def test_it_is_checked_described_and_indexed(labels, cars, tmp_path, colour_verifier, monkeypatch):
    assert "32 photos" in kcars("data", "check", "--data", cars, "--out", tmp_path / "check")
    assert "classify train" in kcars("data", "stats", "--data", cars)
    monkeypatch.setattr("kcars.inference.predictor.load", lambda place: colour_verifier)
    built = kcars("index", "build", cars, "--model", tmp_path, "--out", tmp_path / "cars.index")
    assert "32 photos, 4 names" in built


@pytest.mark.slow
def test_it_is_trained_on(labels, cars, lean, tmp_path):
    changes = small("train.epochs=1")
    told = kcars("train", "--task", "classify", "--data", cars, "--out", tmp_path / "run", *changes)
    assert f"data: {cars}" in told and "balanced acc" in told


@pytest.mark.parametrize(
    "odd",
    [{"box": (1, 2, 3)}, {"box": ("a", 2, 3, 4)}, {"box": (0.5, 0, 2, 2)}, {"make": 7}, {"model": None}, {"group": 3}],
)
def test_odd_facts_of_a_photo_are_one_line(tmp_path, odd):
    from kcars.data.readers.own import Photo, dataset

    facts = {"path": "a.jpg", "make": "Audi", "model": "A4"} | odd
    with pytest.raises(KcarsError, match=r"labels: photo 'a\.jpg': .*(are expected|are texts)"):
        dataset(tmp_path, [Photo(**facts)], "classify", DATA, "labels")
