"""Photos described by a CSV: what is read, what is refused, and splits that part neither groups nor models."""

import csv

import numpy as np
import pytest
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.data.readers import manifest
from kcars.settings import DataSettings

DATA = DataSettings(size_px=32)
ALL = DataSettings(size_px=32, split="all")


@pytest.fixture
def folder(tmp_path):
    """Makes audi (a1, a2, a3) and bmw (x1, x2, x3), eight photos each, in folders."""
    for make, model in [("audi", "a1"), ("audi", "a2"), ("audi", "a3"), ("bmw", "x1"), ("bmw", "x2"), ("bmw", "x3")]:
        for number in range(8):
            write_photo(tmp_path / "cars" / make / model / f"{number}.jpg", colour=(number * 20, 60, 90))
    return tmp_path / "cars"


def lines(folder):
    with (folder / "photos.csv").open() as file:
        return list(csv.DictReader(file))


def rewrite(folder, rows, name="photos.csv"):
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def edited(folder, **columns):
    """photos.csv as `init` writes it, with columns set by functions of (make, model, number)."""
    manifest.write(folder)
    rows = lines(folder)
    for row in rows:
        number = int(row["path"].split("/")[-1][0])
        row.update({name: str(value(row["make"], row["model"], number)) for name, value in columns.items()})
    rewrite(folder, rows)
    return folder / "photos.csv"


def test_init_fills_in_what_the_folders_tell(folder):
    file, _ = manifest.write(folder)
    rows = lines(folder)
    assert len(rows) == 48
    assert (rows[0]["path"], rows[0]["make"], rows[0]["model"], rows[0]["group"]) == ("audi/a1/0.jpg", "audi", "a1", "")
    with pytest.raises(KcarsError, match="exists already"):
        manifest.write(folder)
    dataset = manifest.read(file, "classify", DATA)
    assert [dataset.table.name("make", id_) for id_ in (1, 2)] == ["audi", "bmw"]
    assert dataset.table.name("model", dataset.table.ids["model"][-1]) == "bmw x3"


def test_init_names_each_photo_by_its_own_folders_where_they_are_of_no_one_layout(folder):
    """One photo that lies too deep, or beside model folders, once cost all others their names, without a word."""
    before = {row["path"] for row in lines(folder)} if (folder / "photos.csv").exists() else set()
    write_photo(folder / "audi/a1/2010/deep.jpg")
    write_photo(folder / "audi/beside.jpg")
    write_photo(folder / "alone.jpg")
    assert not before
    _, unnamed = manifest.write(folder)
    assert unnamed == ["alone.jpg", "audi/a1/2010/deep.jpg"]
    found = {row["path"]: (row["make"], row["model"]) for row in lines(folder)}
    assert found["audi/beside.jpg"] == ("", "audi") and found["alone.jpg"] == ("", "")
    others = {path: named for path, named in found.items() if path.count("/") == 2}
    assert others and all(named == tuple(path.split("/")[:2]) for path, named in others.items())
    with pytest.raises(KcarsError, match=r"photos\.csv:2: make and model are empty"):
        manifest.read(folder / "photos.csv", "classify", DATA)


def test_every_column_is_read(folder):
    file = edited(
        folder,
        left=lambda *_: 5, top=lambda *_: 6, right=lambda *_: 50, bottom=lambda *_: 40,
        viewpoint=lambda make, model, number: ("front", "rear", "side", "front-side", "rear-side", "3", "", "1")[number],
        year=lambda make, model, number: 2000 + number if number else "",
        split=lambda make, model, number: "train" if number < 6 else "test",
    )  # fmt: skip
    dataset = manifest.read(file, "classify", DATA)
    assert (len(dataset.train), len(dataset.test), dataset.split) == (36, 12, "as given")
    assert dataset.table.box[0].tolist() == [5, 6, 50, 40]
    assert dataset.table.viewpoint[:8].tolist() == [1, 2, 3, 4, 5, 3, -1, 1]
    assert dataset.table.year[:3].tolist() == [-1, 2001, 2002]


def test_one_of_make_and_model_is_enough(folder):
    file = edited(folder, make=lambda *_: "")
    dataset = manifest.read(file, "classify", DATA)
    assert np.array_equal(dataset.table.ids["make"], dataset.table.ids["model"])
    assert dataset.table.name("model", 1) == "a1"


def test_an_automatic_split_tests_on_a_share_of_each_model(folder):
    file = edited(folder)
    dataset = manifest.read(file, "classify", DATA)
    models = dataset.table.ids["model"]
    assert np.bincount(models[dataset.test])[1:].tolist() == [2] * 6
    assert len(np.intersect1d(dataset.train, dataset.test)) == 0
    assert len(dataset.train) + len(dataset.test) == 48
    assert "automatic" in dataset.split
    other = manifest.read(file, "classify", DATA.model_copy(update={"split_seed": 1}))
    assert (other.test != dataset.test).any()


def test_verification_holds_out_whole_models_and_draws_pairs(folder):
    dataset = manifest.read(edited(folder), "verify", DATA)
    model, make = dataset.table.ids["model"], dataset.table.ids["make"]
    tested = np.unique(model[dataset.test_rows()])
    assert len(tested) == 4
    assert not np.isin(model[dataset.train], tested).any()
    hard = dataset.pairs["hard"]
    assert (make[hard.left] == make[hard.right]).all()
    assert hard.same.sum() * 2 == len(hard) > 20


@pytest.mark.parametrize("task", ["classify", "verify"])
def test_an_automatic_split_parts_no_group(folder, task):
    # Pairs of neighbouring numbers are one car each; one camera has taken a photo of every audi.
    file = edited(
        folder,
        group=lambda make, model, number: "camera" if make == "audi" and number == 7 else f"{model} {number // 2}",
    )
    dataset = manifest.read(file, task, DATA)
    group = dataset.table.group
    tested = dataset.test if task == "classify" else dataset.test_rows()
    assert len(tested)
    assert not np.isin(group[dataset.train], group[tested]).any()
    for pairs in dataset.pairs.values():
        assert (group[pairs.left] != group[pairs.right]).all()
    if task == "classify":
        assert len(np.unique(dataset.table.ids["model"][dataset.train])) == 6


def test_one_group_for_everything_is_told(folder):
    file = edited(folder, group=lambda *_: "one camera")
    with pytest.raises(KcarsError, match="each of 16 training photos is in a group of the test"):
        manifest.read(file, "verify", DATA)


def test_a_given_split_that_parts_a_group_is_refused(folder):
    file = edited(
        folder, split=lambda make, model, number: "test" if number > 5 else "train", group=lambda *_: "one camera"
    )
    with pytest.raises(KcarsError, match="1 groups are in the training and the test split.*a1/0.jpg"):
        manifest.read(file, "classify", DATA)
    assert len(manifest.read(file, "classify", ALL).test) == 0


PAIRED = [("a3/0", "a3/1", 1, ""), ("a3/0", "x3/2", 0, ""), ("a3/0", "a2/2", 0, ""), ("a3/0", "a3/2", 1, "hard")]


def write_pairs(folder, pairs):
    make = {"a": "audi", "x": "bmw"}
    names = [[f"{make[path[0]]}/{path}.jpg" for path in pair[:2]] for pair in pairs]
    columns = ("left", "right", "same", "difficulty")
    rows = [dict(zip(columns, [*paths, *pair[2:]], strict=True)) for paths, pair in zip(names, pairs, strict=True)]
    rewrite(folder, rows, "pairs.csv")


def test_given_pairs_are_the_test_and_their_models_do_not_train(folder):
    write_pairs(folder, PAIRED)
    dataset = manifest.read(edited(folder), "verify", DATA)
    assert {name: given.same.tolist() for name, given in dataset.pairs.items()} == {
        "easy": [1, 0],
        "medium": [1, 0, 0],
        "hard": [1, 0, 1],
    }
    model = dataset.table.ids["model"]
    assert [dataset.table.name("model", id_) for id_ in np.unique(model[dataset.train])] == [
        "audi a1",
        "bmw x1",
        "bmw x2",
    ]
    assert dataset.split == "test set: the models of the given pairs"
    assert "automatic" in manifest.read(folder / "photos.csv", "verify", ALL).split


def test_given_pairs_with_a_given_split(folder):
    write_pairs(folder, PAIRED[:2])
    file = edited(folder, split=lambda make, model, number: "test" if model in ("a3", "x3") else "train")
    dataset = manifest.read(file, "verify", DATA)
    assert dataset.split == "as given"
    assert len(dataset.train) == 32
    assert len(dataset.pairs["medium"]) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("audi/a1/gone.jpg,audi/a1/1.jpg,1", r"pairs\.csv:2: 'audi/a1/gone\.jpg' is not in photos\.csv"),
        ("audi/a1/1.jpg,./audi/a1/1.jpg,0", r":2: pairs 'audi/a1/1\.jpg' with itself"),
        ("audi/a1/1.jpg,audi/a1/2.jpg,yes", "same 'yes'; expected 1"),
    ],
)
def test_pairs_that_cannot_be_are_told(folder, line, message):
    (folder / "pairs.csv").write_text(f"left,right,same\n{line}\n")
    with pytest.raises(KcarsError, match=message):
        manifest.read(edited(folder), "verify", DATA)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_spreadsheets_put_between_values(folder, delimiter):
    file = folder / "photos.csv"
    file.write_text("path,make\naudi/a1/0.jpg,audi\nbmw/x1/0.jpg,bmw\n".replace(",", delimiter))
    assert len(manifest.read(file, "classify", DATA).table) == 2


def test_missing_photos_are_named(folder):
    file = edited(folder)
    (folder / "bmw/x2/3.jpg").unlink()
    assert manifest.read(file, "classify", DATA).missing == ("bmw/x2/3.jpg",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,make\n../secret.jpg,audi\n", r"photos\.csv:2: path '\.\./secret\.jpg'; expected a path below"),
        ("path,make\n/etc/passwd,audi\n", "expected a path below"),
        ("path,make\na.jpg,audi\n./a.jpg,bmw\n", r":3: 'a\.jpg' is given in line 2 already"),
        ("path,make\na.jpg\n", ":2: the number of values differs from the number of columns, 2"),
        ("path,make\na.jpg,audi,more\n", "the number of values differs"),
        ("path,mkae\na.jpg,audi\n", r":1, column: 'mkae' is not known; choose one of path, make"),
        ("make,model\naudi,a1\n", "including path"),
        ("path,path\na,b\n", "each once"),
        (
            "path,make,split\na.jpg,audi,validate\n",
            "split: 'validate' is not known; choose one of train, validation, test",
        ),
        ("path,make,split\na.jpg,audi,train\nb.jpg,audi,\n", ":3: split is empty; give it in every line or in none"),
        ("path,make,left,top,right,bottom\na.jpg,audi,1,2,3\n", "the number of values differs"),
        ("path,make,left,top,right,bottom\na.jpg,audi,5,5,5,9\n", ":2: box 5, 5, 5, 9; expected left, top"),
        ("path,make,left,top\na.jpg,audi,5,5\n", ":2: box 5, 5, , ; expected left, top"),
        ("path,make,left\na.jpg,audi,-5\n", "left '-5'; expected an integer from 0"),
        ("path,make,year\na.jpg,audi,MMX\n", "year 'MMX'"),
        ("path,make,viewpoint\na.jpg,audi,above\n", "viewpoint: 'above' is not known; choose one of front"),
        ("path,make\na.jpg,\n", ":2: make and model are empty"),
        ("path,make\n", "contains no photo"),
        ("", "columns "),
        ('path,make\n"a.jpg,audi\n', "not a CSV file"),
        (b"path,make\n\xff.jpg,audi\n", "not UTF-8 text"),
        ("path,make\nnone.jpg,audi\n", "none of its 1 photos exists"),
    ],
)
def test_mistakes_are_one_line_with_their_place(folder, text, message):
    file = folder / "photos.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(KcarsError, match=message) as error:
        manifest.read(file, "classify", DATA)
    assert "\n" not in str(error.value)
    assert "photos.csv" in str(error.value)


def test_a_byte_order_mark_of_a_spreadsheet_is_no_mistake(folder):
    file = folder / "photos.csv"
    file.write_bytes(b"\xef\xbb\xbfpath,make\r\naudi/a1/0.jpg,audi\r\nbmw/x1/0.jpg,bmw\r\n")
    assert len(manifest.read(file, "classify", DATA).table) == 2
