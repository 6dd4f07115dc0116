"""Shared test data: a tiny CompCars tree with known contents, tiny drawn cars, and the real photos where they are."""

import gc
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from support.compcars_tree import Tree, write_photo
from support.threads import THREADS

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # As kcars sets it, for tests that import TensorFlow first.
if "PYTEST_XDIST_WORKER" in os.environ:  # Workers share the cores: more threads than those only wait for one another.
    threads = str(max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])))
    for name in THREADS:
        os.environ.setdefault(name, threads)


def pytest_collection_modifyitems(items):
    from support import order

    for item in items:
        order.mark(item)
    order.longest_first(items)


def pytest_collection_finish():
    """The garbage collector, a tenth of the time of four small trainings, looks at what was imported no more."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """No test, and no fixture of a module, touches the user's cache folder or dataset, or those of another worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KCARS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("KCARS_DATA", raising=False)
        yield


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path / "CompCars" / "data")


@pytest.fixture(scope="session")
def cells_of_a_tree(tmp_path_factory) -> Path:
    """What the cache folder keeps of the MATLAB file that every `Tree` has: each of its two cells costs a process."""
    from kcars.core.files import cache_place
    from kcars.data.readers.compcars import read_names

    folder = tmp_path_factory.mktemp("cells")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KCARS_CACHE", str(folder / "cache"))
        read_names(Tree(folder / "data").root / "misc/make_model_name.mat")
        return cache_place() / "matlab"


@pytest.fixture
def own_cache(cells_of_a_tree, tmp_path, monkeypatch) -> Path:
    """A cache folder of the test's own, in which nothing but the names of a `Tree` is known yet."""
    shutil.copytree(cells_of_a_tree, tmp_path / "cache" / "matlab")
    monkeypatch.setenv("KCARS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def made_once(temporary, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the session that make(folder) fills, for whichever worker comes first: the others wait for it."""
    root = temporary.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, done = root / name, root / f"{name}.done"
    from support.runs import as_shipped

    with as_shipped(), FileLock(root / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # What another worker began and could not end.
            make(folder)
            done.touch()
    return folder


@pytest.fixture
def colour_verifier(tmp_path):
    """A verifier that is at once there: a photo's vector is its mean colour."""
    from support.colours import colour_model

    (tmp_path / "colours").mkdir()
    return colour_model(place=str(tmp_path / "colours"))


@pytest.fixture
def coloured_cars(tmp_path) -> Path:
    """Class folders: two red models of Fiat, one blue of Audi, four photos each that differ by a shade."""
    shades = {"Fiat/127": (200, 0, 0), "Fiat/500": (120, 0, 0), "Audi/A4": (0, 0, 200)}
    for name, colour in shades.items():
        for number in range(4):
            shade = tuple(one + 5 * number * (one > 0) for one in colour)
            write_photo(tmp_path / "cars" / name / f"{number}.png", shade)
    return tmp_path / "cars"


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """Drawn cars of 4 makes: 16 models to learn from, 8 unseen ones, about 12 photos each; not to be changed by a test."""
    from kcars.drawn.synthetic import DrawnCars, draw

    cars = DrawnCars(makes=4, models_per_make=6, photos_per_model=12)
    return made_once(tmp_path_factory, "drawn", lambda folder: draw(folder, cars, progress=False, workers=1))


@pytest.fixture(scope="session")
def runs_made_once(drawn, tmp_path_factory) -> dict[str, Path]:
    """What `small_runs` gives; of shallow networks, so loaded within `support.runs.shallow_networks` alone."""
    from support.commands import kcars, small
    from support.runs import shallow_networks

    def make(folder):
        for task in ("classify", "verify"):
            more = small() if task == "classify" else ["--target", "model", *small()]
            with shallow_networks():
                told = kcars("train", "--task", task, "--data", drawn, "--out", folder / task, *more)
            (folder / f"{task}.txt").write_text(told)

    # A copy, as two workers must not work in one run at the same time.
    made = made_once(tmp_path_factory, "small-runs", make)
    own = shutil.copytree(made, tmp_path_factory.mktemp("own") / "runs")
    return {task: own / task for task in ("classify", "verify")}


@pytest.fixture(scope="module")
def small_runs(shallow, runs_made_once) -> dict[str, Path]:
    """A scored run of each task on the drawn cars, by task: not to be changed by a test. Next to it: what was printed."""
    return runs_made_once


@pytest.fixture(scope="session")
def run_of_folds(drawn, tmp_path_factory) -> Path:
    """A verifier chosen on two folds: not to be changed by a test. Next to it: what was printed.

    Its network is shallow, so it is loaded within `support.runs.shallow_networks` alone.
    """
    from support.commands import kcars, small
    from support.runs import shallow_networks

    def make(folder):
        folds = small("evaluate.folds=2", "train.keep=best")
        with shallow_networks():
            told = kcars("train", "--task", "verify", "--data", drawn, "--out", folder / "run", *folds)
        (folder / "run.txt").write_text(told)

    made = made_once(tmp_path_factory, "run-of-folds", make)
    return shutil.copytree(made, tmp_path_factory.mktemp("own") / "folds") / "run"


@pytest.fixture(scope="session")
def exports(runs_made_once, tmp_path_factory) -> dict[str, Path]:
    """Exports of the small runs in every format, by task: not to be changed by a test."""
    from support.commands import kcars
    from support.runs import shallow_networks

    def make(folder):
        for task, run in runs_made_once.items():
            with shallow_networks():
                kcars("export", run, "--out", folder / task, "--photos", 40)

    folder = made_once(tmp_path_factory, "exports", make)
    return {task: folder / task for task in runs_made_once}


@pytest.fixture(scope="module")
def cars_index(drawn, small_runs, tmp_path_factory) -> Path:
    """An index of all drawn cars by the small verifier: not to be changed by a test. Next to it: what was printed."""
    from support.commands import kcars
    from support.runs import shallow_networks

    def make(folder):
        folder.mkdir()
        with shallow_networks():
            told = kcars("index", "build", drawn, "--model", small_runs["verify"], "--out", folder / "cars.index")
        (folder / "told.txt").write_text(told)

    return made_once(tmp_path_factory, "cars-index", make) / "cars.index"


@pytest.fixture(scope="module")
def shallow():
    """The module's networks, all within this process, are shallow, as those of the runs that tests share."""
    from support.runs import shallow_networks

    with shallow_networks():
        yield


@pytest.fixture(scope="module")
def undrawn():
    """The module's trainings and scorings draw nothing and make no heat maps."""
    from support.runs import without_pictures

    with without_pictures():
        yield


@pytest.fixture(scope="module")
def lean(shallow, undrawn):
    """Trainings of which only the numbers count: shallow and undrawn."""


@pytest.fixture
def at_step(monkeypatch):
    """at_step(n, action): action(SaveState) once n steps are done."""

    def arrange(step, action):
        def on_train_batch_begin(self, batch, logs=None):
            if self.step == step:
                monkeypatch.undo()
                action(self)

        monkeypatch.setattr(SaveState, "on_train_batch_begin", on_train_batch_begin)

    from kcars.training.callbacks.save_state import SaveState

    return arrange


@pytest.fixture(scope="session")
def real_cars() -> Path:
    """The real photos named by KCARS_REAL_CARS; tests that need them are skipped without."""
    folder = os.environ.get("KCARS_REAL_CARS")
    if not folder:
        pytest.skip("KCARS_REAL_CARS names no folder of real photos")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard():
    """Shells let jobs in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_update_check():
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


@pytest.fixture
def hangs_never():
    """A test that waits, as for the writer of a pipe, or computes without an end, fails after a minute."""

    def ring(*_):
        raise AssertionError("it does not end")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
