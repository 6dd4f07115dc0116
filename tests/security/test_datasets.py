"""Datasets from strangers: pipes, links, bombs and unreadable folders end in one line, or are passed over by name."""

import os
import subprocess
import zlib

import numpy as np
import pytest
from scipy.io import savemat
from support.compcars_tree import write_photo
from support.hostile_names import assert_shown, run

from kcars.core.errors import KcarsError
from kcars.core.files import cache_place
from kcars.data import matlab, source
from kcars.data.photo_files import walk
from kcars.data.readers import compcars, folders, manifest, surveillance
from kcars.inference.photo_source import photos_of, read_boxes
from kcars.settings import DataSettings

DATA = DataSettings(size_px=32)


@pytest.fixture
def cars(tmp_path):
    for number in range(4):
        for model in ("a", "b"):
            write_photo(tmp_path / "cars" / model / f"{number}.jpg", (60 * number, 200, 40))
    return tmp_path / "cars"


def in_place_of(path, kind: str) -> None:
    """A pipe that nobody writes to, or a link to a device that never ends."""
    path.unlink(missing_ok=True)
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")


@pytest.fixture(params=["pipe", "device"])
def kind(request):
    return request.param


# ---- lists that are no files, or too large ----


def test_what_stands_in_place_of_a_csv(cars, kind):
    in_place_of(cars / "photos.csv", kind)
    with pytest.raises(KcarsError, match=r"photos\.csv: is a (named pipe|device)"):
        source.load(cars, "classify", DATA)
    with pytest.raises(KcarsError, match="exists already"):
        manifest.write(cars)
    (cars / "photos.csv").unlink()
    manifest.write(cars)
    in_place_of(cars / "pairs.csv", kind)
    with pytest.raises(KcarsError, match=r"pairs\.csv: is a (named pipe|device)"):
        source.load(cars, "verify", DATA)


def test_what_stands_in_place_of_boxes(tmp_path, kind):
    in_place_of(tmp_path / "boxes.csv", kind)
    with pytest.raises(KcarsError, match=r"boxes\.csv: is a (named pipe|device)"):
        read_boxes(tmp_path / "boxes.csv")


def test_what_stands_in_place_of_the_lists_of_a_release(tree, kind):
    lists = tree.root / "train_test_split"
    for name, task in (("classification/train", "classify"), ("verification/verification_pairs_hard", "verify")):
        before = (lists / f"{name}.txt").read_bytes()
        in_place_of(lists / f"{name}.txt", kind)
        with pytest.raises(KcarsError, match=r"txt: is a (named pipe|device)"):
            compcars.read(tree.root, task, DATA)
        (lists / f"{name}.txt").unlink()
        (lists / f"{name}.txt").write_bytes(before)


def test_what_stands_in_place_of_labels_is_passed_over(tree, kind):
    photo = tree.paths(5)[0]
    in_place_of(tree.root / "label" / f"{photo[:-4]}.txt", kind)
    index = compcars.read(tree.root, "classify", DATA).table
    assert index.box[index.paths == photo].tolist() == [[-1, -1, -1, -1]]
    assert ("unreadable_label", photo) in [(fault.kind, fault.path) for fault in compcars.listed_faults(tree.root)]


def test_what_stands_in_place_of_names(tree, kind):
    in_place_of(tree.root / "misc/make_model_name.mat", kind)
    with pytest.raises(KcarsError, match=r"mat: is a (named pipe|device)"):
        compcars.read(tree.root, "classify", DATA)


def test_what_stands_in_place_of_colours(tmp_path, kind):
    in_place_of(tmp_path / "color_list.mat", kind)
    with pytest.raises(KcarsError, match=r"mat: is a (named pipe|device)"):
        surveillance._colours(tmp_path / "color_list.mat")


def test_lists_are_bounded(cars, tree, monkeypatch):
    monkeypatch.setenv("KCARS_LIMITS", "list_mib=1")
    lists = [cars / "photos.csv", tree.root / "train_test_split/classification/train.txt"]
    for file, read in zip(lists, (manifest.described, compcars.numbered_lines), strict=True):
        with file.open("ab") as text:
            text.truncate(2**20 + 1)
        with pytest.raises(KcarsError, match=r"at most 1,048,576 are read"):
            read(file)
    with pytest.raises(KcarsError, match=r"at most 1,048,576 are read"):
        read_boxes(lists[0])


def test_of_a_label_of_a_gigabyte_a_line_is_read(tree):
    photo = tree.paths(5)[0]
    with (tree.root / "label" / f"{photo[:-4]}.txt").open("ab") as label:
        label.truncate(2**30)
    index = compcars.read(tree.root, "classify", DATA).table
    assert index.box[index.paths == photo].tolist() == [[10, 5, 80, 55]]


def bomb(file, mebibytes: int) -> None:
    """A MATLAB file of one compressed element that unpacks to so many MiB of zeros."""
    savemat(file, {"names": np.array([["a"]], object)})
    header = file.read_bytes()[:128]
    packer = zlib.compressobj(9)
    size = mebibytes * 2**20
    dimensions, name = b"\5\0\0\0\x08\0\0\0\1\0\0\0" + (size & 0x7FFFFFF).to_bytes(4, "little"), b"\1\0\5\0names\0\0\0"
    flags = b"\6\0\0\0\x08\0\0\0\x09\0\0\0\0\0\0\0"
    begin = flags + dimensions + name + b"\2\0\0\0" + (size & 0x7FFFFFFF).to_bytes(4, "little")
    packed = packer.compress(b"\x0e\0\0\0" + (0x7FFFFFF0).to_bytes(4, "little") + begin)
    packed += b"".join(packer.compress(bytes(2**20)) for _ in range(mebibytes)) + packer.flush()
    file.write_bytes(header + b"\x0f\0\0\0" + len(packed).to_bytes(4, "little") + packed)


def test_a_matlab_file_takes_no_more_memory_than_it_may(tmp_path, monkeypatch):
    monkeypatch.setenv("KCARS_LIMITS", "matlab_unpacked_mib=8")
    many = np.empty((100_000, 1), object)
    many.fill("")
    savemat(tmp_path / "cells.mat", {"names": many}, do_compression=True)
    assert (tmp_path / "cells.mat").stat().st_size < 2**20
    with pytest.raises(KcarsError, match=r"needs more than 8 MiB of memory; KCARS_LIMITS"):
        matlab.read_cells(tmp_path / "cells.mat", "names")
    bomb(tmp_path / "zeros.mat", 256)
    with pytest.raises(KcarsError, match=r"zeros\.mat: cannot be read as a MATLAB file"):
        matlab.read_cells(tmp_path / "zeros.mat", "names")


def test_a_matlab_file_is_read_in_the_default_limit(tmp_path):
    """As many names as the release has, and more."""
    savemat(tmp_path / "a.mat", {"names": np.array([[f"Model {number}"] for number in range(5000)], object)})
    assert matlab.read_cells(tmp_path / "a.mat", "names")[4999] == ["Model 4999"]


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {secret}\n",
        "v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    ],
)
def test_a_list_that_is_called_a_video_is_none(tmp_path, text):
    """FFmpeg goes by the content: it would read other files, and addresses."""
    (tmp_path / "gate.mp4").write_text(text.format(secret=tmp_path / "secret.mp4"))
    (photo,) = photos_of([tmp_path / "gate.mp4"])
    assert "not a video that can be decoded; MP4" in str(photo.fault)


# ---- folders ----


@pytest.fixture
def unreadable(monkeypatch):
    """unreadable(folder): as a folder without permissions is for all but root."""
    real = os.scandir

    def refuse(folder):
        def scandir(place="."):
            if os.path.abspath(place) == str(folder):
                raise PermissionError(13, "Permission denied", place)
            return real(place)

        monkeypatch.setattr(os, "scandir", scandir)

    return refuse


def test_an_unreadable_folder_is_named_by_every_reader(cars, unreadable):
    unreadable(cars / "b")
    for read in (
        lambda: folders.read(cars, "classify", DATA),
        lambda: manifest.write(cars),
        lambda: list(photos_of([cars])),
        lambda: source.load_every_task(cars),
    ):
        with pytest.raises(KcarsError, match=r"cars/b/?: cannot be read \(Permission denied\)"):
            read()
    for command in (["data", "check", "--data"], ["data", "init"], ["index", "build", "--out", "x", "--model", "none"]):
        code, _, err = run(*command, cars)
        assert code == 2
        assert "cannot be read (Permission denied)" in err


def test_an_unreadable_folder_of_a_release_is_named(tree, unreadable):
    unreadable(tree.root / "image/3")
    with pytest.raises(KcarsError, match=r"image/3/?: cannot be read \(Permission denied\)"):
        compcars.read(tree.root, "classify", DataSettings(size_px=32, split="all"))


def test_photos_in_a_folder_that_cannot_be_entered_are_not_called_missing(tree, monkeypatch):
    real = os.lstat

    def lstat(path, **options):
        if "image/3/" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, **options)

    monkeypatch.setattr(os, "lstat", lstat)
    with pytest.raises(KcarsError, match=r"cannot be reached \(Permission denied\)"):
        compcars.read(tree.root, "classify", DATA)


def test_a_linked_folder_is_named_and_not_followed(cars, tmp_path, capsys):
    write_photo(tmp_path / "private" / "secret.jpg")
    (cars / "c").symlink_to(tmp_path / "private")
    (cars / "a" / "again").symlink_to(cars)
    (cars / "a" / "self.jpg").symlink_to(cars / "a" / "self.jpg")
    found = walk(cars)
    assert [path for path in found if "secret" in path or "again" in path] == []
    assert "2 links to folders are not followed" in capsys.readouterr().err
    dataset = folders.read(cars, "classify", DATA)
    assert dataset.missing == ("a/self.jpg",)


def test_pipes_and_folders_that_are_called_like_photos(cars, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(cars / "a" / "pipe.jpg")
    (cars / "b" / "zero.jpg").symlink_to("/dev/zero")
    code, out, err = run("data", "stats", "--data", cars)
    assert code == 2
    assert "leads out of this folder" in err
    (cars / "b" / "zero.jpg").unlink()
    (cars / "b" / "folder.jpg").mkdir()
    for command in (["stats", "--pixels", "--sheet", "s.png"], ["check"], ["sample", "new"]):
        code, out, err = run("data", *command, "--data", cars)
        assert code == (1 if command == ["check"] else 0), err
        assert_shown(out + err)
    assert "missing,1,a/pipe.jpg" in (tmp_path / "kcars-check/findings.csv").read_text()


@pytest.fixture
def removed(cars):
    """Python's own functions remove no tree that is so deep."""
    yield
    subprocess.run(["rm", "-rf", str(cars)], check=True)


def test_trees_that_are_deep_and_folders_that_are_many(cars, removed):
    place = os.open(cars, os.O_RDONLY)
    for _ in range(2000):  # Deeper than Python calls functions, and than a path may be long.
        os.mkdir("dd", dir_fd=place)
        below = os.open("dd", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    with pytest.raises(KcarsError, match="cannot be read") as error:
        walk(cars)
    assert len(str(error.value)) < 600
    os.rename(cars / "dd", cars / ".dd")
    for number in range(3000):
        (cars / f"empty{number}").mkdir()
    assert len(walk(cars)) == 8
    subprocess.run(["rm", "-rf", cars], check=True)  # pytest could not.


@pytest.mark.parametrize("number", ["9" * 5000, "6", "0", "-1", "²"])
def test_a_viewpoint_is_one_of_five(cars, number):
    (cars / "photos.csv").write_text(f"path,model,viewpoint\na/0.jpg,a,{number}\n")
    with pytest.raises(KcarsError, match=r"photos\.csv:2, viewpoint"):
        source.load(cars, "classify", DATA)


@pytest.fixture
def surveyed(tmp_path):
    """The surveillance part with a photo of one model."""
    root = tmp_path / "sv_data"
    write_photo(root / "image/1/a.jpg")
    savemat(root / surveillance.NAMES, {"sv_make_model_name": np.array([["Audi", "A4", "1"]], object)})
    for name in (surveillance.TRAIN, surveillance.TEST):
        (root / name).write_text("1/a.jpg\n")
    return root


@pytest.mark.parametrize("number", ["9" * 11, "9" * 5000, str(2**31), "²"])
def test_a_model_of_surveillance_is_a_number_that_fits(surveyed, number):
    if len(number) < 20:
        write_photo(surveyed / "image" / number / "a.jpg")
    (surveyed / surveillance.TRAIN).write_text(f"1/a.jpg\n{number}/a.jpg\n")
    with pytest.raises(KcarsError, match=r"txt:2: .* is not a photo path"):
        surveillance.read(surveyed, "classify", DATA)


@pytest.mark.parametrize("colour", [10**12, -(10**12), "9" * 5000, "red"])
def test_a_colour_is_a_number_that_fits(surveyed, colour):
    savemat(surveyed / surveillance.COLOURS, {"color_list": np.array([["1/a.jpg", colour]], object)})
    with pytest.raises(KcarsError, match="color_list is not a list of photo and colour number"):
        surveillance.read(surveyed, "classify", DATA)


def test_names_of_the_largest_length(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for model in ("m" * 255, "n" * 255):
        for number in range(4):
            write_photo(tmp_path / "0.jpg", (60 * number, 200, 40))
            (tmp_path / "cars" / model).mkdir(parents=True, exist_ok=True)
            (tmp_path / "0.jpg").rename(tmp_path / "cars" / model / f"{number}{'x' * 250}.jpg")
    assert run("data", "check", "--data", tmp_path / "cars")[0] in (0, 1)
    assert run("data", "stats", "--data", tmp_path / "cars", "--out", "o" * 255)[0] == 0
    assert run("data", "sample", "s" * 255, "--data", tmp_path / "cars")[0] == 0


# ---- blame ----


def test_drawn_may_mean_two_things(cars, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cars.rename(tmp_path / "drawn")
    code, _, err = run("data", "stats", "--data", "drawn")
    assert code == 2
    assert "--data drawn: is ambiguous, because ./drawn exists; write ./drawn" in err
    code, out, _ = run("data", "stats", "--data", "./drawn")
    assert code == 0
    assert out.splitlines()[1].split()[2] == "6"  # Of eight photos of two models a quarter is tested on.
    monkeypatch.setenv("KCARS_DATA", "./drawn")
    assert run("data", "stats")[1] == out


def test_a_cache_that_cannot_be_written_stops_no_reading(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KCARS_CACHE", str(tmp_path / "file" / "cache"))
    for command in (["check"], ["stats"], ["stats", "--all"], ["sample", "new"]):
        code, _, err = run("data", *command, "--data", tree.root)
        assert code in (0, 1), err
        assert all("nothing is cached" in line for line in err.splitlines() if "cache" in line)


def test_a_full_disk_of_temporary_files_is_blamed_and_no_other_place(tmp_path, monkeypatch):
    import tempfile

    from kcars.core.unfinished import temporary_folder

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(KcarsError, match=r"temporary folder .*none \(TMPDIR\): cannot be written"), temporary_folder():
        pass
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KcarsError, match=r"\(TMPDIR\): cannot be written \(No space"), temporary_folder() as folder:
        raise OSError(28, "No space left on device", str(folder / "x"))
    assert list(tmp_path.iterdir()) == []


def test_starting_tensorflow_needs_no_temporary_file(tmp_path, monkeypatch):
    import tempfile

    from kcars.runs.keras_setup import native_stderr_held

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with native_stderr_held():
        os.write(2, b"held")


def test_the_cache_is_read_where_it_cannot_be_written(tree, monkeypatch):
    everything = DataSettings(size_px=32, split="all")
    before = compcars.read(tree.root, "classify", everything)
    assert list((cache_place() / "indexes").glob("*.npz"))
    monkeypatch.setattr(compcars, "_table", None)  # Reading again would fail.
    assert compcars.read(tree.root, "classify", everything).fingerprint() == before.fingerprint()
