"""Whatever a dataset's files hold, a reader gives a Dataset or one line: no traceback, no hang, nothing written elsewhere.

KCARS_EXAMPLES sets how many examples each property tries (default 60).
"""

import contextlib
import os
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from support.compcars_tree import Tree, write_photo

from kcars.core.errors import KcarsError
from kcars.data.readers import compcars, folders, manifest, surveillance
from kcars.doctor.examine import examine
from kcars.images.decode import decode
from kcars.input.augment.chain import Augment
from kcars.settings import DataSettings
from kcars.settings.strategy import load_strategy

DATA = DataSettings(size_px=32)
EXAMPLES = settings(
    max_examples=int(os.environ.get("KCARS_EXAMPLES", "60")),
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
NAMES = st.sampled_from(
    ["a.jpg", "b/c.jpg", "../x.jpg", "/etc/passwd", "", ".", "..", "a//b", "é.jpg", "a\0b.jpg", "n" * 300, "train", "3/5/2010/000.jpg",
     "3/5/2010/../000.jpg", "999999999999/1/2010/a.jpg", "٣/5/2010/a.jpg", "-1/5/2010/a.jpg", "3/5/2010/000.jpg 3/5/2010/001.jpg 1"]
)  # fmt: skip
WORDS = st.one_of(
    NAMES, st.text(max_size=12), st.integers().map(str), st.floats().map(str), st.just('"'), st.just("\r")
)
HEADERS = st.lists(
    st.sampled_from(["path", "make", "model", "split", "left", "top", "right", "bottom", "viewpoint", "year", "group", "same", "x"]),
    min_size=1, max_size=8,
)  # fmt: skip
TABLES = st.tuples(HEADERS, st.lists(st.lists(WORDS, max_size=8), max_size=6)).map(
    lambda table: "\n".join(",".join(row) for row in [table[0], *table[1]])
)
LISTS = st.lists(st.lists(WORDS, max_size=3).map(" ".join), max_size=6).map("\n".join)


def contents(text):
    """Text that is nearly right, or any bytes."""
    return st.one_of(text.map(lambda found: found.encode("utf-8", "surrogatepass")), st.binary(max_size=200))


def survives(read):
    with contextlib.suppress(KcarsError):
        found = read()
        assert len(found.train) + len(found.test_rows()) <= 2 * len(found.table)
        assert all(not path.startswith("/") and ".." not in path.split("/") for path in found.table.paths)


def inventory(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("hostile") / "CompCars" / "data")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    for name in ("a.jpg", "b/c.jpg", "a/b.jpg"):
        write_photo(root / "cars" / name)
    return root / "cars"


@EXAMPLES
@given(photos=contents(TABLES), pairs=contents(TABLES), task=st.sampled_from(["classify", "verify"]))
def test_manifests(own, photos, pairs, task):
    (own / "photos.csv").write_bytes(photos)
    (own / "pairs.csv").write_bytes(pairs)
    before = inventory(own.parent)
    survives(lambda: manifest.read(own / "photos.csv", task, DATA))
    assert inventory(own.parent) == before


@EXAMPLES
@given(
    file=st.sampled_from(
        ["classification/train.txt", "classification/test.txt", "verification/verification_pairs_hard.txt"]
    ),
    content=contents(LISTS),
)
def test_lists_of_the_release(release, file, content):
    path = release.root / "train_test_split" / file
    before = path.read_bytes()
    try:
        path.write_bytes(content)
        for task in ("classify", "verify"):
            survives(lambda task=task: compcars.read(release.root, task))
        with contextlib.suppress(KcarsError):
            compcars.listed_faults(release.root)
    finally:
        path.write_bytes(before)


@EXAMPLES
@given(content=contents(st.lists(WORDS, max_size=5).map("\n".join)))
def test_label_files(release, content):
    (release.root / "label/3/5/2010/000.txt").write_bytes(content)
    survives(lambda: compcars.read(release.root, "classify"))


@settings(EXAMPLES, max_examples=EXAMPLES.max_examples // 10, deadline=None)
@given(data=st.data())
def test_matlab_files(release, own, data):
    """Any bytes, and real files with bytes changed, which can crash SciPy's reader: each takes a process."""
    file = own.parent / "names.mat"
    savemat(file, {"make_names": np.array([["Audi"]], object), "model_names": np.array([["A4"]], object)})
    content = bytearray(file.read_bytes())
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)
    ):
        content[place] = byte
    file.write_bytes(data.draw(st.one_of(st.just(bytes(content)), st.binary(max_size=300))))
    with contextlib.suppress(KcarsError):
        compcars.read_names(file)


@EXAMPLES
@given(lines=contents(LISTS))
def test_surveillance_lists(own, lines):
    root = own.parent / "sv_data"
    (root / "image").mkdir(parents=True, exist_ok=True)
    for name in (surveillance.TRAIN, surveillance.TEST):
        (root / name).write_bytes(lines)
    survives(lambda: surveillance.read(root, "classify", DATA))


@EXAMPLES
@given(
    names=st.lists(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
        min_size=1,
        max_size=3,
    )
)
def test_folder_names(tmp_path_factory, names):
    root = tmp_path_factory.mktemp("folders")
    with contextlib.suppress(OSError, ValueError):
        write_photo(root.joinpath(*names) / "1.jpg")
    survives(lambda: folders.read(root, "classify", DATA))


@EXAMPLES
@given(data=st.data())
def test_photos(tmp_path_factory, data):
    """Real photos with bytes changed or cut off, and any bytes."""
    path = tmp_path_factory.getbasetemp() / "hostile.jpg"
    write_photo(path)
    content = bytearray(path.read_bytes()[: data.draw(st.integers(0, 1000))])
    shuffle = random.Random(data.draw(st.integers(0, 10**6)))
    for _ in range(data.draw(st.integers(0, 6)) if content else 0):
        content[shuffle.randrange(len(content))] = shuffle.randrange(256)
    path.write_bytes(data.draw(st.one_of(st.just(bytes(content)), st.binary(max_size=100))))
    with contextlib.suppress(ValueError):
        assert decode(path.read_bytes(), np.array([5, 5, 40, 40]), 32, 0.1).shape == (32, 32, 3)
    assert isinstance(examine(path, (5, 5, 40, 40)).faults, list)


@EXAMPLES
@given(text=contents(st.lists(WORDS, max_size=6).map(": ".join)))
def test_strategies(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "hostile.yaml"
    file.write_bytes(text)
    with contextlib.suppress(KcarsError):
        load_strategy(str(file))


@EXAMPLES
@given(
    chain=st.lists(
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(["flip(0.5)", "affine(1, scale=(2, 1))", "erase(0.5, scale=7)", "flip(__import__('os'))", "grey()", "colour(0.5, hue='x')"]),
        ),
        max_size=3,
    ).map(" | ".join)
)  # fmt: skip
def test_augmentation_chains(chain):
    with contextlib.suppress(KcarsError):
        Augment(chain, 0)(np.zeros((1, 32, 32, 3), np.uint8), np.arange(1))
