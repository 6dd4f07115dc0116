"""Photos of one colour, a CompCars tree with known contents, and threads of the tests' processes."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import scipy.io


def write_photo(path: Path, colour=(10, 200, 30), size=(60, 90)) -> None:
    """A JPEG of one RGB colour, height x width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = np.full((*size, 3), colour[::-1], np.uint8)
    assert cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, 95])


class Tree:
    """A CompCars tree: makes 3 and 7; models 5 and 9 (make 3), 20 and 21 (make 7) to learn from; 30, 31 (3), 40 (7)."""

    models = {5: 3, 9: 3, 20: 7, 21: 7, 30: 3, 31: 3, 40: 7}
    photos_per_model = 6

    def __init__(self, root: Path):
        self.root = root
        for model, make in self.models.items():
            for number in range(self.photos_per_model):
                self.photo(make, model, number, viewpoint=number % 5 + 1)
        self.write_lists()
        names = np.array([[f"Make {k}"] for k in range(1, 9)], object)
        models = np.array([[f"Model {k}" if k in self.models else ""] for k in range(1, 51)], object)
        (root / "misc").mkdir()
        scipy.io.savemat(root / "misc/make_model_name.mat", {"make_names": names, "model_names": models})

    def photo(self, make, model, number, viewpoint=1, box="11 6 80 55") -> str:
        name = f"{make}/{model}/2010/{number:03d}"
        write_photo(self.root / "image" / f"{name}.jpg", colour=(model * 5, number * 20, 90))
        label = self.root / "label" / f"{name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"{viewpoint}\n1\n{box}\n")
        return f"{name}.jpg"

    def paths(self, *models) -> list[str]:
        return [f"{self.models[m]}/{m}/2010/{k:03d}.jpg" for m in models for k in range(self.photos_per_model)]

    def write_lists(self):
        lists = self.root / "train_test_split"
        (lists / "classification").mkdir(parents=True, exist_ok=True)
        (lists / "verification").mkdir(parents=True, exist_ok=True)
        learned = self.paths(5, 9, 20, 21)
        (lists / "classification/train.txt").write_text("\n".join(p for p in learned if p[-5] not in "45") + "\n")
        (lists / "classification/test.txt").write_text("\n".join(p for p in learned if p[-5] in "45") + "\n")
        (lists / "verification/verification_train.txt").write_text("\n".join(learned) + "\n")
        a, b, c = self.paths(30), self.paths(31), self.paths(40)
        same = [f"{x[i]} {x[i + 1]} 1" for x in (a, b, c) for i in range(4)]
        other = {"hard": zip(a, b, strict=True), "easy": zip(a, c, strict=True), "medium": zip(b, c, strict=True)}
        for name, pairs in other.items():
            lines = same + [f"{left} {right} 0" for left, right in pairs]
            (lists / f"verification/verification_pairs_{name}.txt").write_text("\n".join(lines) + "\n")


def every_fourth_model(tree: Path, folder: Path) -> Path:
    """A tree of the models of another one whose numbers four divides, in the lists of both tasks, with their photos."""
    kept = set()
    for source in (tree / "train_test_split").glob("*/*.txt"):
        lines = [line.split() for line in source.read_text().splitlines()]
        lines = [line for line in lines if all(int(path.split("/")[1]) % 4 == 0 for path in line if "/" in path)]
        kept.update(path for line in lines for path in line if "/" in path)
        target = folder / source.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(f"{' '.join(line)}\n" for line in lines))
    for path in kept:
        for place in (Path("image", path), Path("label", path).with_suffix(".txt")):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / place, folder / place)
    shutil.copytree(tree / "misc", folder / "misc")
    return folder
