"""Nothing below a folder is passed over in silence: what no reader takes is counted, named and reported by every command."""

import os
from unicodedata import normalize

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.compcars_tree import write_photo

from kcars.cli import main
from kcars.core.errors import KcarsError
from kcars.data import source
from kcars.data.photo_files import PHOTO_ENDINGS, walked
from kcars.data.readers import folders, manifest
from kcars.settings import DataSettings

EXAMPLES = int(os.environ.get("KCARS_EXAMPLES", "60"))
DATA = DataSettings(size_px=32)


def cars(root, *places, photos=4):
    for place in places:
        for number in range(photos):
            write_photo(root / place / f"{number}.jpg", (40 * number + 10, 200, 30))
    return root


def run(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


# ---- files and links ----


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*PHOTO_ENDINGS, ".JPG", ".avif", ".heic", ".gif", ".tif", ".mp4", ".txt", "", ".JFIF", ".jpg ", "x"]
        ),
        max_size=8,
    )
)
def test_every_file_is_read_or_named(tmp_path_factory, endings):
    root = tmp_path_factory.mktemp("cars")
    names = [f"{number}{ending}" for number, ending in enumerate(endings)]
    for name in names:
        (root / name).touch()
    found = walked(root)
    assert sorted(found.photos + found.others) == sorted(names)
    assert found.photos == sorted(name for name in names if name.lower().endswith(PHOTO_ENDINGS))


@pytest.mark.parametrize("ending", [".jfif", ".jpe", ".JFIF", ".pjpeg"])
def test_what_browsers_save_is_read(tmp_path, ending):
    root = cars(tmp_path / "cars", "audi", "bmw")
    for file in (root / "bmw").iterdir():
        file.rename(file.with_suffix(ending))
    table = folders.read(root, "classify", DATA).table
    assert table.names["make"] == {1: "audi", 2: "bmw"} and len(table) == 8


def passed_over(root):
    cars(root, "audi/a1", "bmw/x1", "fiat/127")
    for file in (root / "fiat/127").iterdir():
        file.rename(file.with_suffix(".avif"))
    (root / "audi/a1/5.GIF").touch()
    return root


@pytest.mark.parametrize("command", [["data", "stats", "--data"], ["data", "check", "--data"], ["data", "init"]])
def test_commands_report_other_files(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    root = passed_over(tmp_path / "cars")
    _, _, err = run(*command, root)
    told = f"{root}: 5 files skipped: .avif (4), .gif (1), such as audi/a1/5.GIF; no photo is read in fiat/127"
    assert err.count(told) == 1


def test_check_lists_them_as_notes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = passed_over(tmp_path / "cars")
    (root / "linked").symlink_to(root / "audi")
    code, out, _ = run("data", "check", "--data", root)
    assert code in (0, 1) and "not_read " in out and "linked_folder " in out
    faults = source.listed_faults(root)
    assert [fault.path for fault in faults if fault.kind == "linked_folder"] == ["linked"]
    assert len([fault for fault in faults if fault.kind == "not_read"]) == 5


def test_class_folders_that_are_links_are_named(tmp_path, capsys):
    root = cars(tmp_path / "cars", "audi", "bmw")
    for name in ("fiat", "opel"):
        (root / name).symlink_to(cars(tmp_path / "other", name) / name)
    folders.read(root, "classify", DATA)
    assert "2 links to folders are not followed, such as fiat, opel" in capsys.readouterr().err


# ---- splits ----


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("Train", "VALID", "Test"),
        ("training", "validation", "testing"),
        ("TRAIN", "Val", "TEST"),
    ],
)
def test_the_usual_names_of_splits(tmp_path, train, validation, test):
    root = cars(tmp_path, *(f"{split}/{make}" for split in (train, validation, test) for make in ("audi", "bmw")))
    dataset = folders.read(root, "classify", DATA)
    assert dataset.table.names["make"] == {1: "audi", 2: "bmw"}
    for rows, name in ((dataset.train, train), (dataset.validation, validation), (dataset.test, test)):
        assert len(rows) == 8 and all(path.startswith(f"{name}/") for path in dataset.table.paths[rows])
    manifest.write(root)
    again = manifest.read(root / "photos.csv", "classify", DATA)
    assert again.fingerprint() == dataset.fingerprint()


def plan(root, task, *settings_):
    from kcars.settings.strategy import load_strategy
    from kcars.tasks import task_module

    strategy = load_strategy(f"start/{task}", settings_, task=task)
    return task_module(task).plan(source.load(root, task, strategy.data), strategy)


def test_val_validates(tmp_path):
    root = cars(tmp_path, *(f"{split}/{make}" for split in ("train", "val", "test") for make in ("audi", "bmw")))
    planned = plan(root, "classify")
    assert {path.split("/")[0] for path in planned.dataset.table.paths[planned.validation]} == {"val"}
    assert {path.split("/")[0] for path in planned.dataset.table.paths[planned.train]} == {"train"}


def test_val_models_validate_a_verification(tmp_path):
    places = [
        f"{split}/{make}/{split}{make}{model}" for split in ("train", "val", "test") for make in "ab" for model in "12"
    ]
    planned = plan(cars(tmp_path / "cars", *places), "verify")
    assert {path.split("/")[0] for path in planned.dataset.table.paths[planned.validation]} == {"val"}
    assert len(planned.pairs["validation/hard"])
    places = [f"{split}/{make}/{model}" for split in ("train", "val") for make in "ab" for model in "12"]
    places += [f"test/{make}/{model}" for make in "ab" for model in "34"]
    with pytest.raises(KcarsError, match="4 models are in both the training and the validation split"):
        plan(cars(tmp_path / "shared", *places), "verify")


def test_splits_without_a_test_are_refused(tmp_path):
    root = cars(tmp_path, "train/audi", "train/bmw", "val/audi", "val/bmw")
    with pytest.raises(KcarsError, match="no photo is in the test split"):
        plan(root, "classify")


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (("train/audi", "test/audi", "bmw"), "test looks like a split and is next to class folders such as bmw"),
        (("valid", "invalid"), "valid looks like a split"),
        (("audi/train", "audi/test", "bmw/train"), "looks like a split and is below a class folder"),
        (("audi/a1/Train", "audi/a1/Val"), "looks like a split and is below a class folder"),
    ],
)
def test_what_may_be_a_split_or_a_class_is_refused(tmp_path, places, told):
    with pytest.raises(KcarsError, match=told) as error:
        folders.read(cars(tmp_path, *places), "classify", DATA)
    assert "\n" not in str(error.value)


# ---- names ----

NFC, NFD = "Citroën", normalize("NFD", "Citroën")


@pytest.mark.parametrize(
    ("one", "other"), [(NFC, NFD), ("Audi", "AUDI"), ("Audi", "Audi "), ("Audi  A", "audi A"), ("Straße", "STRASSE")]
)
def test_names_that_look_alike_are_one_class(tmp_path, capsys, one, other):
    root = cars(tmp_path / "cars", f"{one}/1", f"{other}/2", "bmw/3")
    table = folders.read(root, "classify", DATA).table
    assert len(table.names["make"]) == 2 and len(table.names["model"]) == 3
    assert "names that differ in case, spaces or Unicode form are merged" in capsys.readouterr().err
    listed = tmp_path / "photos.csv"
    listed.write_text("path,make\n" + "".join(f'"cars/{path}",{path.split("/")[0]}\n' for path in walked(root).photos))
    assert len(manifest.read(listed, "classify", DATA).table.names["make"]) == 2


def test_names_are_composed_and_trimmed(tmp_path, capsys):
    root = cars(tmp_path / "cars", f"{NFD} ", " bmw")
    assert sorted(folders.read(root, "classify", DATA).table.names["make"].values()) == [NFC, "bmw"]
    assert capsys.readouterr().err == ""


def test_a_name_of_blanks_is_refused(tmp_path):
    with pytest.raises(KcarsError, match="a name must not be blank"):
        folders.read(cars(tmp_path, "audi", "  "), "classify", DATA)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.text(st.sampled_from("aAéÉe\u0301 ßsS-1"), min_size=1, max_size=5), min_size=1, max_size=8))
def test_no_two_classes_look_alike(names):
    from kcars.data.spelling import one_spelling, plain

    labels = [(name, f"{name}x") for name in names if name.strip()]
    found = one_spelling(labels, "cars")
    for position in (0, 1):
        kept = {label[position] for label in found}
        assert len({plain(name) for name in kept}) == len(kept)
        for name in kept:
            assert name == normalize("NFC", name).strip()
    assert [plain(make) for make, _ in found] == [plain(make) for make, _ in labels]


# ---- lists ----


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_files_are_found_in_either_unicode_form(tmp_path, form):
    other = "NFD" if form == "NFC" else "NFC"
    for number in range(4):
        for name in ("Citroën", "Škoda"):
            write_photo(tmp_path / normalize(form, name) / f"é{number}.jpg")
            on_disk = tmp_path / normalize(form, name) / f"é{number}.jpg"
            on_disk.rename(on_disk.with_name(normalize(form, on_disk.name)))
    paths = [normalize(other, f"{name}/é{number}.jpg") for name in ("Citroën", "Škoda") for number in range(4)]
    (tmp_path / "photos.csv").write_text("path,make\n" + "".join(f"{path},{path.split('/')[0]}\n" for path in paths))
    (tmp_path / "pairs.csv").write_text(f"left,right,same\n{paths[0]},{paths[1]},1\n{paths[0]},{paths[4]},0\n")
    dataset = manifest.read(tmp_path / "photos.csv", "classify", DATA)
    assert dataset.missing == () and sorted(dataset.table.paths) == walked(tmp_path).photos
    pairs = manifest.read(tmp_path / "photos.csv", "verify", DATA).pairs
    assert len(pairs["medium"]) == 2
    from kcars.gallery.described import described
    from kcars.inference.photo_source import in_boxes, photos_of, read_boxes

    assert all(one.photo.source.is_file() for one in described(tmp_path, True)[0])
    (tmp_path / "boxes.csv").write_text(
        "path,left,top,right,bottom\n" + "".join(f"{path},1,2,30,40\n" for path in paths)
    )
    boxed = in_boxes(
        photos_of([tmp_path / "Citroën", tmp_path / normalize("NFD", "Citroën")]), read_boxes(tmp_path / "boxes.csv")
    )
    assert [photo.box for photo in boxed if photo.source.is_file()] == [(1, 2, 30, 40)] * 4


@pytest.mark.parametrize(
    ("listed", "told"),
    [("a/0.JPG", "'a/0.jpg' exists, which differs from 'a/0.JPG' in upper and lower case"), ("A/0.jpg", "exists, which differs"),
     ("a\\0.jpg", "has backslashes; write / between folders")],
)  # fmt: skip
def test_what_a_list_means_is_said(tmp_path, listed, told, capsys):
    cars(tmp_path, "a", "b")
    (tmp_path / "photos.csv").write_text(f"path,make\n{listed},audi\n")
    with pytest.raises(KcarsError) as error:
        manifest.read(tmp_path / "photos.csv", "classify", DATA)
    assert told in str(error.value)
    (tmp_path / "photos.csv").write_text(
        f"path,make\n{listed},a\n" + "".join(f"{m}/{n}.jpg,{m}\n" for m in "ab" for n in (1, 2, 3))
    )
    from kcars.cli.load import load_and_report
    from kcars.settings.strategy import load_strategy

    dataset = load_and_report(tmp_path, load_strategy("scratch/classify", ()))
    assert dataset.missing == (listed,) and told in capsys.readouterr().err


def test_blanks_in_paths_of_a_list(tmp_path):
    cars(tmp_path, " audi", "bmw")
    paths = [" audi/0.jpg", " bmw/0.jpg ", "bmw/1.jpg", " audi/1.jpg"]
    (tmp_path / "photos.csv").write_text("path,make\n" + "".join(f"{path},{path.strip()[0]}\n" for path in paths))
    dataset = manifest.read(tmp_path / "photos.csv", "classify", DATA)
    assert dataset.missing == () and np.array_equal(
        sorted(dataset.table.paths), sorted([" audi/0.jpg", " audi/1.jpg", "bmw/0.jpg", "bmw/1.jpg"])
    )


def test_photos_that_no_line_lists_are_notes_of_the_check(tmp_path):
    cars(tmp_path, "a", "b")
    (tmp_path / "photos.csv").write_text("path,make\n" + "".join(f"{m}/{n}.jpg,{m}\n" for m in "ab" for n in (1, 2, 3)))
    assert [(fault.kind, fault.path) for fault in source.listed_faults(tmp_path)] == [
        ("not_listed", "a/0.jpg"),
        ("not_listed", "b/0.jpg"),
    ]


# ---- folders ----


def test_folders_that_hold_nothing_are_named(tmp_path, capsys):
    cars(tmp_path, "audi", "fiat")
    (tmp_path / "seat").mkdir()
    (tmp_path / "vw/.cache").mkdir(parents=True)
    folders.read(tmp_path, "classify", DATA)
    assert "2 empty folders: seat, vw" in capsys.readouterr().err


def test_runs_are_not_written_among_class_folders(tmp_path, monkeypatch):
    cars(tmp_path, "audi", "fiat", photos=10)
    monkeypatch.chdir(tmp_path)
    for command in (["train", "--task", "classify"], ["tune", "--task", "classify"], ["reproduce", "table-1"]):
        code, _, err = run(*command, "--data", ".")
        assert code == 2 and "is in the dataset ., where its images would be read as photos" in err
        assert run(*command, "--data", ".", "--out", tmp_path / "audi/run")[0] == 2
    assert sorted(os.listdir(tmp_path)) == ["audi", "fiat"] and not (tmp_path / "audi/run").exists()
    for place in (tmp_path / ".runs", tmp_path.parent / "outside", tmp_path.parent / f"{tmp_path.name}-runs"):
        source.refuse_within(tmp_path, place)
    (tmp_path / "photos.csv").write_text("path,make\naudi/0.jpg,audi\n")
    source.refuse_within(tmp_path, tmp_path / "runs")  # Its lines say what its photos are.
