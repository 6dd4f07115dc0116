"""The doctor on planted faults: all are found, and nothing else is."""

import csv
import io
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.commands import kcars, rows

from kcars.data.faults import KINDS, spoils
from kcars.data.source import listed_faults, load_every_task
from kcars.doctor import check as doctor
from kcars.doctor.check import NEAR_BITS, near_pairs


class Patient:
    """A copy of drawn cars into which faults are planted; `planted` holds (kind, path) of each."""

    def __init__(self, root: Path):
        self.root, self.planted = root, Counter()
        lists = root / "train_test_split"
        self.files = {name: lists / "classification" / f"{name}.txt" for name in ("train", "test")}
        self.files["verify"] = lists / "verification" / "verification_train.txt"
        self.pairs = lists / "verification" / "verification_pairs_hard.txt"
        self.photos = iter([p for p in self.listed("train") if self.listed("train").index(p) % 3 == 0])

    def listed(self, name: str) -> list[str]:
        return self.files[name].read_text().split()

    def plant(self, kind: str, path: str) -> str:
        self.planted[kind, path] += 1
        return path

    def file(self, path: str) -> Path:
        return self.root / "image" / path

    def label(self, path: str) -> Path:
        return (self.root / "label" / path).with_suffix(".txt")

    def saved(self, kind: str, convert, name="JPEG", **options) -> None:
        path = self.plant(kind, next(self.photos))
        content = io.BytesIO()
        convert(Image.open(self.file(path))).save(content, name, **options)
        self.file(path).write_bytes(content.getvalue())

    def twin_of(self, path: str, name: str, like: str, lists: list[str], change=None) -> str:
        """A photo called `name` of the model of `like` with the content of `path`, listed."""
        twin = str(Path(like).parent / name)
        if change:
            change(Image.open(self.file(path))).save(self.file(twin), quality=60)
        else:
            shutil.copy(self.file(path), self.file(twin))
        shutil.copy(self.label(path), self.label(twin))
        if change:
            self.label(twin).write_text("1\n1\n1 1 180 120\n")
        for each in lists:
            with self.files[each].open("a") as file:
                file.write(twin + "\n")
        return twin


def smaller(photo):
    return photo.resize((photo.width * 3 // 4, photo.height * 3 // 4))


@pytest.fixture
def patient(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "cars")
    return Patient(tmp_path / "cars")


def plant_photos(patient: Patient) -> None:
    """Faults of single files, 29 of 13 kinds."""
    for _ in range(3):
        patient.file(patient.plant("empty", next(patient.photos))).write_bytes(b"")
        path = patient.plant("truncated", next(patient.photos))
        patient.file(path).write_bytes(patient.file(path).read_bytes()[:-900])
        patient.file(patient.plant("no_photo", next(patient.photos))).write_bytes(b"<html>not found</html>")
        patient.file(patient.plant("missing", next(patient.photos))).unlink()
        patient.saved("cmyk", lambda photo: photo.convert("CMYK"))
        patient.saved("grey", lambda photo: photo.convert("L"))
        patient.saved("wrong_ending", lambda photo: photo, "PNG")
    patient.saved("rotated", lambda photo: photo, exif=_turned())
    patient.label(list(patient.planted)[-1][1]).write_text("1\n1\n1 1 160 240\n")
    patient.saved("no_photo", lambda photo: photo.convert("P"), "GIF", save_all=True)
    frames = [Image.new("RGB", (240, 160), (shade, 90, 30)) for shade in (10, 200)]
    patient.saved("animated", lambda photo: photo, "WEBP", save_all=True, append_images=frames)
    patient.planted["wrong_ending", list(patient.planted)[-1][1]] += 1
    patient.saved("tiny", lambda photo: photo.resize((30, 20)))
    patient.planted["box_empty", list(patient.planted)[-1][1]] += 1
    path = patient.plant("box_outside", next(patient.photos))
    patient.label(path).write_text("1\n1\n10 10 500 90\n")
    path = patient.plant("degenerate_box", next(patient.photos))
    patient.label(path).write_text("1\n1\n10 10 10 90\n")
    (patient.root / "label" / patient.plant("unreadable_label", path := next(patient.photos))).with_suffix(
        ".txt"
    ).unlink()


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def plant_lists(patient: Patient) -> None:
    """Faults between photos and in lists, 14 of 11 kinds."""
    train, test = patient.listed("train")[-1], patient.listed("test")[-1]
    of_other = next(path for path in reversed(patient.listed("train")) if Path(path).parts[1] != Path(train).parts[1])
    twin = patient.twin_of(test, "zz0.jpg", test, ["train", "verify"])
    patient.plant("copy_in_two_splits", min(test, twin))
    second = patient.listed("test")[-2]
    twin = patient.twin_of(second, "zz1.jpg", second, ["train", "verify"], smaller)
    patient.plant("near_copy_in_two_splits", min(second, twin))
    twin = patient.twin_of(train, "zz2.jpg", of_other, ["train", "verify"])
    patient.plant("copy_with_two_labels", min(train, twin))
    third = patient.listed("train")[-8]
    twin = patient.twin_of(third, "zz3.jpg", of_other, ["train", "verify"], smaller)
    patient.plant("near_copy_with_two_labels", min(third, twin))
    fourth = patient.listed("train")[-12]
    twin = patient.twin_of(fourth, "zz4.jpg", fourth, ["train", "verify"])
    patient.plant("copy", min(fourth, twin))
    patient.files["train"].write_text(patient.files["train"].read_text() + f"{fourth}\n")
    patient.plant("listed_twice", fourth)
    both = patient.plant("in_two_splits", patient.listed("train")[-20])
    patient.files["test"].write_text(patient.files["test"].read_text() + f"{both}\n")
    lines = patient.pairs.read_text().splitlines()
    left, right, same = lines[0].split()
    other = lines[1].split()[0]
    gone = str(Path(left).parent / "gone.jpg")
    lines += [f"{right} {left} {same}", f"{other} {other} 1", f"{left} {gone} 1"]
    left, right, same = lines[5].split()
    lines[5] = f"{left} {right} {1 - int(same)}"
    patient.pairs.write_text("\n".join(lines) + "\n")
    first = lines[0].split()
    patient.plant("pair_repeated", min(first[:2]))
    patient.plant("pair_of_itself", other)
    patient.plant("pair_of_missing_photo", first[0])
    patient.planted["missing", gone] += 1
    patient.plant("pair_with_wrong_label", left)


def examined(root: Path):
    datasets, passed_over = load_every_task(root)
    assert not passed_over
    return doctor.check(datasets, listed_faults(root), progress=False)


def test_all_that_is_planted_is_found_and_nothing_else(patient):
    plant_photos(patient)
    plant_lists(patient)
    assert len(patient.planted) >= 40
    assert len({kind for kind, _ in patient.planted}) >= 20
    found = {(fault.kind, fault.path) for fault in examined(patient.root)}
    missed = set(patient.planted) - found
    assert not missed
    false_alarms = found - set(patient.planted)
    assert not false_alarms


def test_a_sound_dataset_has_no_findings(drawn):
    assert examined(drawn) == []


def test_the_command_writes_both_files_and_its_exit_code_tells(patient, tmp_path):
    output = kcars("data", "check", "--data", patient.root, "--out", tmp_path / "out")
    assert "0 findings" in output
    patient.saved("grey", lambda photo: photo.convert("L"))
    assert "grey" in kcars("data", "check", "--data", patient.root, "--out", tmp_path / "out")
    path = next(patient.photos)
    patient.file(path).write_bytes(b"<script>alert(1)</script>")
    output = kcars("data", "check", "--data", patient.root, "--out", tmp_path / "out", code=1)
    assert "spoils  no_photo" in output
    with (tmp_path / "out/findings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["spoils"], row["path"]) for row in rows][0] == ("no_photo", "1", path)
    page = (tmp_path / "out/findings.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "<script" not in page


def test_names_are_escaped_in_the_page(tmp_path):
    for name in ("<img src=x onerror=alert(1)>", "bus"):
        (tmp_path / "cars" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "cars" / name / f"{number}.jpg").write_bytes(b"none")
    kcars("data", "check", "--data", tmp_path / "cars", "--out", tmp_path / "out", code=1)
    page = (tmp_path / "out/findings.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_near_pairs_agree_with_a_plain_loop():
    random = np.random.default_rng(0)
    bits = random.integers(0, 2, (60, 256), np.uint8)
    bits[30:] = bits[:30] ^ (random.random((30, 256)) < 0.17)
    hashes = list(np.packbits(bits, axis=1))
    expected = {
        (i, j, int((bits[i] != bits[j]).sum()))
        for i in range(60)
        for j in range(i + 1, 60)
        if (bits[i] != bits[j]).sum() <= NEAR_BITS
    }
    assert len(expected) > 5
    assert set(near_pairs(hashes, NEAR_BITS, chunk=7)) == expected


def test_every_kind_says_what_it_means():
    assert all(meaning for _, meaning in KINDS.values())
    assert spoils("truncated") and not spoils("grey")


def test_real_photos(real_cars):
    """Cars196 holds some photos under two names: they were looked at, and are what the doctor says."""
    faults = examined(real_cars)
    kinds = Counter(fault.kind for fault in faults)
    assert kinds["near_copy_with_two_labels"] + kinds["near_copy_in_two_splits"] + kinds["near_copy"] == 7
    assert set(kinds) <= {"near_copy_with_two_labels", "near_copy_in_two_splits", "near_copy", "grey", "tiny"}


def test_a_model_in_given_train_and_test_photos_spoils_no_classification(tmp_path):
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for model in ("a", "b"):
            for number in range(4):
                place = tmp_path / "cars" / split / "make" / model / f"{number}.jpg"
                place.parent.mkdir(parents=True, exist_ok=True)
                small = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8))
                small.resize((120, 90), Image.Resampling.BICUBIC).save(place, quality=95)
    told = kcars("data", "check", "--data", tmp_path / "cars", "--out", tmp_path / "out")
    kinds = [row["kind"] for row in rows(tmp_path / "out/findings.csv")]
    assert "model_in_two_splits" not in kinds and "model_in_train_and_test" in told
