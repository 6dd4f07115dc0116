"""The examples of docs/extend work: each page's files are written and found as those of an installed package, then used as it says."""

import doctest
import json
import re
import shlex
import sys
import tomllib
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from support.commands import kcars, small
from support.compcars_tree import write_photo
from support.paths import ROOT

from kcars.backbones.catalogue import BACKBONES
from kcars.data.readers.catalogue import READERS
from kcars.input.augment.catalogue import OPERATIONS
from kcars.losses.catalogue import LOSSES
from kcars.metrics.catalogue import SCORES

PAGES = ROOT / "docs/extend"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)
CATALOGUES = {
    "kcars.backbones": BACKBONES,
    "kcars.losses": LOSSES,
    "kcars.readers": READERS,
    "kcars.augmentations": OPERATIONS,
    "kcars.scores": SCORES,
}


@dataclass
class Page:
    """A page of docs/extend, and the package of its example in a folder of its own."""

    name: str
    folder: Path
    blocks: list[tuple[str, str, str]] = field(init=False)

    def __post_init__(self):
        self.blocks = BLOCK.findall((PAGES / f"{self.name}.md").read_text(encoding="utf-8"))

    def code(self, kind: str) -> list[str]:
        return [text for found, title, text in self.blocks if found == kind and not title]

    def install(self) -> list[tuple[str, str]]:
        """Write its files, with what an installation writes of pyproject.toml; (group, name) of each entry point."""
        for _, title, text in self.blocks:
            if title and "/" not in title:
                (self.folder / title).write_text(text)
        project = tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]
        place = self.folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        place.mkdir()
        head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (place / "METADATA").write_text(head)
        groups = project["entry-points"]
        lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in of.items()) for group, of in groups.items()]
        (place / "entry_points.txt").write_text("\n".join(lines))
        return [(group, name) for group, of in groups.items() for name in of]

    def run(self) -> dict[str, str]:
        """What each of its kcars commands prints, by its first words; trainings are small.

        Processes that earlier tests left work in other folders: cars/ is named whole.
        """
        told = {}
        for line in "".join(self.code("sh")).splitlines():
            words = [str(Path("cars").absolute()) if word == "cars" else word for word in shlex.split(line)[1:]]
            if words[0] == "train":
                words[1:1] = small("train.epochs=1")
            told[" ".join(word for word in words[:2] if not word.startswith("-"))] = kcars(*words)
        return told

    def check(self) -> None:
        """Run its sessions of Python, which must give what stands there."""
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        runner, known = doctest.DocTestRunner(verbose=False, optionflags=flags), {}
        for number, text in enumerate(self.code("pycon")):
            one = doctest.DocTestParser().get_doctest(text, known, f"{self.name} {number}", self.name, 0)
            runner.run(one, clear_globs=False)
            known = one.globs
        assert runner.tries and not runner.failures


@pytest.fixture
def page(request, tmp_path, monkeypatch):
    """The page of the test's name, installed; the working folder is empty."""
    (tmp_path / "package").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.syspath_prepend(tmp_path / "package")
    one = Page(request.node.originalname.removeprefix("test_"), tmp_path / "package")
    for catalogue in CATALOGUES.values():
        len(catalogue)  # Those of kcars come first.
    points, before = one.install(), set(sys.modules)
    for group, name in points:
        if group in CATALOGUES:
            import_module(next(iter(entry_points(group=group, name=name))).value)
            assert name in CATALOGUES[group]
    yield one
    for group, name in points:
        if group in CATALOGUES:
            CATALOGUES[group].forget(name)
    for file in one.folder.glob("*.py"):
        if file.stem in set(sys.modules) - before:
            del sys.modules[file.stem]


def cars_at(drawn) -> Path:
    Path("cars").symlink_to(drawn)
    return Path("cars")


@pytest.mark.slow
def test_backbone(page, drawn, lean):
    cars_at(drawn)
    Path("photo.jpg").write_bytes(next((drawn / "image").rglob("*.jpg")).read_bytes())
    told = page.run()
    assert "balanced acc" in told["train"] and Path("why.png").is_file()
    page.check()


@pytest.mark.slow
def test_loss(page, drawn, lean):
    cars_at(drawn)
    assert "balanced acc" in page.run()["train"]
    page.check()


@pytest.mark.slow
def test_reader(page, lean, colour_verifier, monkeypatch):
    lines = []
    for number in range(32):
        write_photo(Path(f"cars/{number:04}.jpg"), (number % 4 * 60, 3 * number, 90))
        lines.append(f"{number:04}.jpg;make {number % 4 // 2};model {number % 4}\n")
    Path("cars/labels.txt").write_text("".join(lines))
    monkeypatch.setattr("kcars.inference.predictor.load", lambda place: colour_verifier)
    told = page.run()
    assert "32 photos examined" in told["data check"] and "classify train" in told["data stats"]
    assert f"data: {Path('cars').absolute()}" in told["train"] and "32 photos, 4 names" in told["index build"]
    page.check()


@pytest.mark.slow
def test_augmentation(page, drawn, lean):
    cars_at(drawn)
    assert "balanced acc" in page.run()["train"]
    page.check()


@pytest.mark.slow
def test_score(page, drawn, lean):
    cars_at(drawn)
    told = page.run()
    assert "worst recall" in told["train"] and "worst recall" in told["table runs/worst"]
    assert "test/worst_recall" in json.loads(Path("runs/worst/scores.json").read_text())["scores"]
    assert "recall of the class that is recognised least" in Path("report.html").read_text()
    page.check()


def test_command(page, drawn):
    cars_at(drawn)
    lines = [line.removeprefix("$ ").split() for line in "".join(page.code("console")).splitlines()]
    told = [kcars(*words[1:]) for words in lines]
    assert len(told[0].splitlines()) == 4 and all(int(line.split()[0]) > 0 for line in told[0].splitlines())
    assert "Count the photos of each make in FOLDER." in told[1]
    assert re.search(r"Added:\n +count +Count the photos of each make in FOLDER\.", kcars("--help"))
    assert "kcars: dataset nowhere: there is no such folder" in kcars("count", "nowhere", code=2)


def test_a_command_that_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    (tmp_path / "broken-1.dist-info").mkdir()
    (tmp_path / "broken-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    lines = "[kcars.commands]\nseek = nowhere:seek\nfind = json:loads\ntrain = json:loads\n"
    (tmp_path / "broken-1.dist-info/entry_points.txt").write_text(lines)
    monkeypatch.syspath_prepend(tmp_path)
    assert "kcars: command seek: nowhere:seek (kcars.commands) cannot be loaded (No module" in kcars("seek", code=2)
    assert "kcars: command find: json:loads (kcars.commands) is not a click command" in kcars("find", code=2)
    told = " ".join(kcars("--help").split())
    assert "seek command seek: nowhere:seek (kcars.commands) cannot be loaded" in told
    assert "--strategy" in kcars("train", "--help")  # An added command takes no place of one of kcars.


def test_every_part_has_a_page_and_every_page_a_test():
    pages = {page.stem for page in PAGES.glob("*.md")} - {"index"}
    assert {f"test_{page}" for page in pages} <= set(globals())
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    assert all(f"({page}.md)" in index for page in pages)
    assert all(f"`{group}`" in index for group in (*CATALOGUES, "kcars.commands"))
