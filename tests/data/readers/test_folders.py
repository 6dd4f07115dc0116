import numpy as np
import pytest
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.data import source
from kcars.data.readers import folders, manifest
from kcars.gallery.described import described
from kcars.settings import DataSettings

DATA = DataSettings(size_px=32)


def made(root, *folders_of_photos):
    for folder in folders_of_photos:
        for number in range(6):
            write_photo(root / folder / f"{number}.jpg")
    return root


def test_make_and_model_are_read_off_the_folders(tmp_path):
    dataset = folders.read(made(tmp_path, "audi/a1", "audi/a2", "bmw/a1"), "classify", DATA)
    table = dataset.table
    assert np.bincount(table.ids["make"]).tolist() == [0, 12, 6]
    assert [table.name("model", id_) for id_ in (1, 2, 3)] == ["audi a1", "audi a2", "bmw a1"]
    assert np.bincount(table.ids["model"][dataset.test])[1:].tolist() == [2, 2, 2]


def test_one_level_serves_both_targets(tmp_path):
    table = folders.read(made(tmp_path, "van", "bus"), "classify", DATA).table
    assert np.array_equal(table.ids["make"], table.ids["model"])
    assert (table.name("make", 1), table.name("model", 2)) == ("bus", "van")


def test_train_and_test_folders_are_the_split(tmp_path):
    root = made(tmp_path, "train/audi/a1", "train/bmw/x1", "test/audi/a1", "test/bmw/x1")
    dataset = folders.read(root, "classify", DATA)
    assert dataset.split == "as given"
    assert all(path.startswith("test/") for path in dataset.table.paths[dataset.test])
    assert len(dataset.train) == len(dataset.test) == 12
    assert len(np.unique(dataset.table.ids["model"])) == 2


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (("a/b/c",), "a/b/c/0.jpg is 3 class folders deep"),
        (("",), "0.jpg is 0 class folders deep"),
        (("a/b", "c"), "c/0.jpg is one folder deep and a/b/0.jpg two"),
        ((), "contains no photo"),
    ],
)
def test_other_shapes_are_told(tmp_path, layout, message):
    with pytest.raises(KcarsError, match=message):
        folders.read(made(tmp_path, *layout), "classify", DATA)


def test_the_source_finds_the_reader_by_what_is_there(tmp_path, tree):
    made(tmp_path / "own", "audi/a1", "bmw/x1")
    assert source.load(tmp_path / "own", "classify", DATA).source == str(tmp_path / "own")
    (tmp_path / "own" / "photos.csv").write_text("path,make\naudi/a1/0.jpg,audi\n")
    assert len(source.load(tmp_path / "own", "classify", DATA).table) == 1
    assert len(source.load(tmp_path / "own" / "photos.csv", "classify", DATA).table) == 1
    assert source.load(tree.root.parent, "classify", DATA).source == str(tree.root)
    with pytest.raises(KcarsError, match=r"none\.csv: cannot be read"):
        source.load(tmp_path / "none.csv", "classify", DATA)
    with pytest.raises(KcarsError, match="no such folder"):
        source.load(tmp_path / "none", "classify", DATA)


@pytest.mark.parametrize(
    ("layout", "loose"),
    [
        (("audi/a1", "bmw/x1", ""), [f"{number}.jpg" for number in range(6)]),
        (("van", "bus", ""), [f"{number}.jpg" for number in range(6)]),
        (("train/van", "train/bus", "test/van", "test/bus", "train"), [f"train/{number}.jpg" for number in range(6)]),
        (("train/van", "test/van", ""), [f"{number}.jpg" for number in range(6)]),
    ],
)
def test_photos_beside_class_folders_are_left_out_and_told_by_every_reader(tmp_path, capsys, layout, loose):
    root = made(tmp_path / "cars", *layout)
    dataset = folders.read(root, "classify", DATA)
    told = f"{root}: 6 photos are next to the class folders and are left out, such as {loose[0]}"
    assert capsys.readouterr().err.count(told) == 1
    assert len(dataset.table) == 6 * (len(layout) - 1) and not set(loose) & set(dataset.table.paths)
    assert dataset.split == ("as given" if layout[0].startswith("train") else dataset.split)
    assert [(fault.kind, fault.path) for fault in source.listed_faults(root)] == [("no_class", path) for path in loose]
    named, why = described(root, boxes=False)
    assert why == "" and sum(bool(one.model) for one in named) == len(dataset.table) == len(named) - len(loose)
    manifest.write(root)
    assert len(manifest.read(root / "photos.csv", "classify", DATA).table) == len(dataset.table)
    assert [(fault.kind, fault.path) for fault in source.listed_faults(root)] == [
        ("not_listed", path) for path in loose
    ]


def test_one_photo_beside_the_class_folders_is_told_of_one(tmp_path, capsys):
    root = made(tmp_path / "cars", "audi/a1", "audi/a2")
    write_photo(root / "contact sheet.jpg")
    folders.described(root)
    assert "1 photo is next to the class folders and is left out, such as contact sheet.jpg" in capsys.readouterr().err
