"""Parts of run folders and strategies that lie about themselves: one line each, no hang, no memory beyond the file's size."""

import contextlib
import io
import json
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from kcars.cli import main
from kcars.core.errors import KcarsError
from kcars.evaluation import evaluate
from kcars.input.augment.chain import Augment
from kcars.posthoc.distance_transform import DistanceTransform
from kcars.runs.run import Run
from kcars.runs.score_files import file_of
from kcars.schemas import checked
from kcars.schemas.facts import Place, Planned
from kcars.schemas.scores import Cost, Files
from kcars.schemas.tables import columns_in
from kcars.settings.strategy import load_strategy
from kcars.untrusted.reading import array_in, arrays_in, read_bytes, read_json
from kcars.untrusted.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("hangs_never")


# ---- arrays ----

HEADERS = {
    "an expression that does not end": "{'a': (((((",
    "thousands of signs": "-" * 9000 + "1",
    "a type that is an empty tuple": "{'descr': (), 'fortran_order': False, 'shape': (0,), }",
    "no bytes a number": "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,), }",
    "a side beyond all numbers": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 40 + ", 0), }",
    "a side that is a truth value": "{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }",
    "a key that is a list": "{[]: 1}",
    "a type that there is none of": "{'descr': '<f3', 'fortran_order': False, 'shape': (0,), }",
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (0,), }",
}


def npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n"


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_that_lies_is_one_line(header):
    with pytest.raises(KcarsError, match="head.npy: cannot be read"):
        array_in(npy(header), Path("head.npy"))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packed_arrays_are_refused_before_they_are_unpacked(method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("mean.npy", npy("{}") + bytes(500))
    content = bytearray(bytes(4000) + file.getvalue())
    content[4043] ^= 0x5A  # Its unpacking fails.
    with pytest.raises(KcarsError, match=r"metric.npz: 'mean' is compressed"):
        arrays_in(io.BytesIO(content), Path("metric.npz"))


@pytest.mark.parametrize("array", [
    np.array([True, False]), np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)), np.array(3.0), np.zeros((0, 5)),
    np.arange(4, dtype=">i4"), np.arange(60, dtype="u1").reshape(3, 4, 5), np.zeros(4, "V2"),
])  # fmt: skip
def test_what_numpy_writes_is_read(array):
    alone, together = io.BytesIO(), io.BytesIO()
    np.save(alone, array)
    np.savez(together, x=array)
    for found in (array_in(alone.getvalue(), Path("x")), arrays_in(together, Path("x"))["x"]):
        assert found.dtype == array.dtype and found.shape == array.shape and found.tobytes() == array.tobytes()
        assert found.flags.writeable


def test_a_small_file_takes_no_more_memory_than_it_has_bytes(tmp_path):
    """A state may have 8 GiB: with `ulimit -v`, or on a machine of less memory, no run could be resumed."""
    (tmp_path / "state.npz").write_bytes(b"small")
    tracemalloc.start()
    try:
        assert read_bytes(tmp_path / "state.npz", 2**33) == b"small"
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


# ---- weights ----


def weights(folder: Path, edit) -> Path:
    import h5py

    path = folder / "best.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.ones(3, np.float32)
        edit(h5py, file)
    return path


def _a_pipe(h5py, file) -> None:
    os.mkfifo(pipe := Path(file.filename).parent / "pipe")
    file["more"] = h5py.ExternalLink(str(pipe), "/")


def _in_itself(h5py, file) -> None:
    file["layers/again"] = file["layers"]


def _complex(h5py, file) -> None:
    file["layers/dense/vars/1"] = np.ones(3, np.complex64)


def _nothing(h5py, file) -> None:
    file["layers/dense/vars/1"] = h5py.Empty("f4")


def _a_type(h5py, file) -> None:
    file["layers/dense/vars/1"] = np.dtype("f4")


@pytest.mark.parametrize("edit", [_a_pipe, _in_itself, _complex, _nothing, _a_type])
def test_weights_are_looked_through_before_keras_reads_them(tmp_path, edit):
    import keras

    from kcars.runs.checkpoint import load_best
    from kcars.untrusted.weight_files import check

    path = weights(tmp_path, edit)
    with pytest.raises(KcarsError, match=r"best.weights.h5: (its|unpacks)"):
        check(path)
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(KcarsError, match=r"best.weights.h5: damaged \((its|unpacks).*kcars train --resume"):
        load_best(network, path)


# ---- TensorBoard's file ----


def _record(content: bytes, length: int | None = None) -> bytes:
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    size = struct.pack("<Q", len(content) if length is None else length)
    return size + struct.pack("<I", masked_crc32c(size)) + content + struct.pack("<I", masked_crc32c(content))


@pytest.mark.parametrize("kind", ["longer than memory", "no event"])
def test_a_record_that_lies_ends_the_pictures(tmp_path, kind):
    import tensorflow as tf

    from kcars.training.tensorboard.board import _pictures

    event = tf.compat.v1.Event(step=1)
    picture = event.summary.value.add()
    picture.tag, picture.metadata.plugin_data.plugin_name = "photos", "images"
    odd = {"longer than memory": _record(b"x", 2**40), "no event": _record(b"\xff\xff\xff\xff")}[kind]
    (tmp_path / "events").write_bytes(_record(event.SerializeToString()) + odd)
    assert [(step, value.tag) for step, value in _pictures([tmp_path / "events"])] == [(1, "photos")]


# ---- strategies ----

STRATEGY = """
task: classify
target: model
data: {size_px: 32}
model: {backbone: simple_resnet}
loss: {name: cross_entropy}
train: {epochs: 1, batch: 16, learning_rate: 0.001}
"""


@pytest.mark.parametrize("line", [
    "about: !!bool x", "about: !!timestamp x", "about: !!int ''", 'about: "\\UFFFFFFFF"', f"evaluate: {{batch: 0x{'f' * 20000}}}",
    f"evaluate: {{resamples: {10**30}}}", "evaluate: {batch: 100001}", f"balance: {{begin: {10**30}}}",
])  # fmt: skip
def test_a_value_that_is_none_is_one_short_line(tmp_path, line):
    (tmp_path / "odd.yaml").write_text(STRATEGY + line)
    with pytest.raises(KcarsError) as told:
        load_strategy(str(tmp_path / "odd.yaml"))
    assert "odd.yaml" in str(told.value) and len(str(told.value)) < 600


@pytest.mark.parametrize("key", ["train.epochs", "train.batch", "data.workers", "data.prefetch", "evaluate.batch",
                                 "evaluate.validation_pairs", "model.embedding", "train.early_stopping", "train.max_minutes",
                                 "train.save_minutes", "data.photos_per_class", "evaluate.validation_models"])  # fmt: skip
def test_numbers_that_take_memory_threads_or_time_are_bounded(tmp_path, key):
    (tmp_path / "plain.yaml").write_text(STRATEGY)
    with pytest.raises(KcarsError, match=key):
        load_strategy(str(tmp_path / "plain.yaml"), [f"{key}={10**12}"])


@pytest.mark.parametrize("chain", [
    "stretch(1, aspect=0)", "affine(1, translate=1e308)", "affine(1, shear_x=1e308)", "colour(1, hue=1e308)",
    "erase(1, scale=(0,0))", "erase(1, ratio=(0,0))", " | ".join(["flip(0.5)"] * 101),
])  # fmt: skip
def test_options_that_no_photo_can_be_changed_by_are_one_line(chain):
    with pytest.raises(KcarsError, match=r"data\.augment: "):
        Augment(chain, 0)(np.zeros((4, 32, 32, 3), np.uint8), np.arange(4))


# ---- tables, facts, names ----


@pytest.mark.parametrize("row", ["1,7,112,,1.5", "1,7,inf,1,1.5", "1,7,-5,1,1.5", "1,7,112,1e400,1.5"])
def test_a_history_without_its_costs_is_refused_before_scores_are_replaced(tmp_path, row):
    (tmp_path / "history.csv").write_text(f"epoch,step,photos,train_seconds,seconds\n{row}\n")
    with pytest.raises(KcarsError, match=r"history.csv: is damaged \((photos|train_seconds) .*kcars train --resume"):
        Run(tmp_path).costs()


def test_a_history_without_a_column_is_refused(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,val_balanced_accuracy\n1,0.5\n")
    with pytest.raises(KcarsError, match=r"history.csv: is damaged \(photos is missing"):
        Run(tmp_path).costs()


@pytest.mark.parametrize(("schema", "content"), [
    (Cost, {"size_px": 32, "parameters": 10**400, "multiply_adds": 1.0, "photos_per_epoch": 1, "seconds_per_epoch": 1.0, "epochs": 1}),
    (Planned, {"epochs": 10**12, "steps_per_epoch": 7}),
    (Planned, {"epochs": 2, "steps_per_epoch": 10**30}),
    (Place, "\0"),
    (Place, "/cars/\ud800"),
    (Place, "a/" * 1_000_000),
    (Files, {"metric": "../metric.npz"}),
])  # fmt: skip
def test_impossible_facts_are_refused(schema, content):
    with pytest.raises(KcarsError, match="missing or damaged"):
        checked(schema, content, Path("run.json"), "put it back")


def test_a_place_may_have_a_name_that_is_no_utf_8():
    assert checked(Place, "/cars/\udcff", Path("run.json"), "put it back") == "/cars/\udcff"


@pytest.mark.parametrize("words", [
    ["table", "{}"], ["report", "{}"], ["evaluate", "{}"], ["export", "{}"], ["train", "--resume", "{}"], ["train", "--strategy", "{}.yaml"],
    ["strategies", "show", "{}.yaml"],
])  # fmt: skip
def test_a_name_that_is_too_long_is_one_line(words):
    result = CliRunner().invoke(main, [word.format("x" * 300) for word in words], prog_name="kcars")
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit)
    assert result.output.strip().count("\n") == 0 and "File name too long" in result.output


# ---- scoring anew ----


class Killed(BaseException):
    pass


@pytest.mark.parametrize("earlier", ["an earlier version's", "killed within another"])
@pytest.mark.parametrize("last", range(8))
def test_a_new_scoring_that_is_killed_answers_by_one_scoring(tmp_path, monkeypatch, earlier, last):
    """The file system stops after so many calls: numbers of two scorings never come together."""

    def metric(number: float) -> DistanceTransform:
        return DistanceTransform(*(np.full(shape, number, np.float32) for shape in ((4,), (4, 2), (2,))))

    def answers() -> tuple[float, float]:
        found = scored()
        kept = DistanceTransform.chosen(found["metric"], tmp_path, file_of("metric", found))
        return found["number"], float(kept.mean[0])

    def scored() -> dict:
        return json.loads((tmp_path / "scores.json").read_text())

    def dies_after(count: int) -> None:
        left = iter(range(count))

        def call(name: str):
            before = getattr(files, name)

            def limited(*arguments):
                if next(left, None) is None:
                    raise Killed
                return before(*arguments)

            return limited

        for name in ("write_bytes", "remove"):
            patch.setattr(files, name, call(name))

    def score(number: float) -> None:
        evaluate._replace_scores(run, {"metric": "lda", "number": number}, {"metric": metric(number).content()})

    files = RunFolder(tmp_path)
    run = SimpleNamespace(files=files, scores=scored, folder=tmp_path)
    metric(1).save(tmp_path)
    files.write_json("scores.json", {"metric": "lda", "number": 1})
    if earlier == "killed within another":
        with monkeypatch.context() as patch, pytest.raises(Killed):
            dies_after(2)
            score(2)
    number = answers()[0]
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        dies_after(last)
        score(3)
    assert answers() in [(number, number), (3, 3)]
    for number in (3, 4):
        score(number)
        assert answers() == (number, number) and [path.name for path in tmp_path.glob("metric*")] == ["metric.npz"]


# ---- more values than memory ----


def test_a_json_file_of_too_many_values_is_refused_before_it_is_read(tmp_path):
    """Each empty list of three bytes took more than 60 bytes of memory."""
    (tmp_path / "scores.json").write_text('{"a":[' + "[]," * 2_000_000 + "[]]}")
    tracemalloc.start()
    with pytest.raises(KcarsError, match="scores.json: contains too much; at most 1,000,000 values.*json_values"):
        read_json(tmp_path / "scores.json")
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()
    (tmp_path / "scores.json").write_text('{"a":[' + "0," * 900_000 + "0]}")
    assert len(read_json(tmp_path / "scores.json")["a"]) == 900_001


@pytest.mark.parametrize("text", ["words", "[1, 2]", "5", "", "null"])
def test_settings_that_are_no_mapping_are_one_line(tmp_path, text):
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(KcarsError, match=r"settings.yaml: contains .*; a strategy is a mapping of about, task"):
        Run(tmp_path).settings_file()


def test_a_table_of_too_many_cells_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setenv("KCARS_LIMITS", "table_cells=1000000")
    text = "path,make,model\n" + "a,b,c\n" * 333_332
    assert len(columns_in(text, Path("tested_photos.csv"), "mend it")["path"]) == 333_332
    text += "a,b,c\n"
    tracemalloc.start()
    with pytest.raises(KcarsError, match="tested_photos.csv: has more than 1,000,000 cells.*table_cells"):
        columns_in(text, Path("tested_photos.csv"), "mend it")
    assert tracemalloc.get_traced_memory()[1] < 2**16
    tracemalloc.stop()
