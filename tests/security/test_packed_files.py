"""HDF5, ZIP and safetensors files that a stranger made to hang, to end in a traceback, or to bring numbers that float32 does not hold."""

import io
import json
import os
import resource
import shutil
import struct
import tracemalloc
import zipfile
import zlib

import h5py
import keras
import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.models.weights import load
from kcars.runs.checkpoint import load_best
from kcars.untrusted import weight_files
from kcars.untrusted.reading import read_arrays

pytestmark = pytest.mark.usefixtures("hangs_never")


def itself(file):
    file["again"] = file["/"]


def one_in_itself(file):
    group = file.create_group("a")
    group["b"] = group


def doubled(file):
    """Of 40 groups, 2^40 paths."""
    group = file.create_group("0")
    for number in range(1, 40):
        outer = file.create_group(str(number))
        outer["left"] = outer["right"] = group
        group = outer


def kind_of_numbers(file):
    file["kind"] = np.dtype("f4")


HDF5 = {
    itself: "occurs twice",
    one_in_itself: "occurs twice",
    doubled: "occurs twice",
    kind_of_numbers: "is not an array",
}


@pytest.mark.parametrize("attack", HDF5)
def test_what_an_hdf5_file_holds_is_looked_at_once(tmp_path, attack):
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        attack(file)
    with pytest.raises(KcarsError, match=HDF5[attack]):
        weight_files.check(tmp_path / "a.weights.h5")
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(tmp_path / "a.weights.h5", "model.weights.h5")
    with pytest.raises(KcarsError, match=HDF5[attack]):
        weight_files.check(tmp_path / "a.keras")


PACKED = 256 * 2**20  # Bytes, which take a quarter of a megabyte of file.


def behind_a_filter(file):
    """An array of 8 bytes, whose one piece unpacks to PACKED bytes."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(PACKED // 2**20)) + packer.flush()
    group = file.require_group("layers/dense/vars")
    group.pop("1", None)
    numbers = group.create_dataset("1", (2,), np.float32, maxshape=(None,), chunks=(2**22,), compression="gzip")
    numbers.id.write_direct_chunk((0,), packed)


def test_what_hdf5_would_unpack_is_not_read(tmp_path):
    """HDF5 unpacks a piece whole before it looks at how much of it the array has."""
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="head")])
    file = tmp_path / "best.weights.h5"
    network.save_weights(file)
    with h5py.File(file, "r+") as content:
        behind_a_filter(content)
    assert file.stat().st_size < 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(KcarsError, match="best.weights.h5: its '1' is compressed"):
        weight_files.check(file)
    with pytest.raises(KcarsError, match="best.weights.h5: damaged .its '1' is compressed"):
        load_best(network, file)
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(file, "model.weights.h5")
    with pytest.raises(KcarsError, match="a.keras: its '1' is compressed"):
        weight_files.check(tmp_path / "a.keras")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < PACKED // 2


def many_entries(count: int) -> bytes:
    """An archive that lists so many entries, all of them one."""
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    listed, begin = entry * count, len(local)
    end = begin + len(listed)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(listed), begin)
    place = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0)
    return local + listed + wide + place + last


def lists(file):
    file.create_dataset("0", (1000,), h5py.vlen_dtype(np.float32))[0] = np.ones(2**20, np.float32)


def texts(file):
    file.create_dataset("0", (1000,), h5py.string_dtype())[0] = "x" * 2**22


def records_of_lists(file):
    one = np.zeros(1000, np.dtype([("a", h5py.vlen_dtype(np.float32))]))
    one["a"] = [np.ones(2**20, np.float32), *[np.zeros(0, np.float32)] * 999]
    file["0"] = one


def attribute(file):
    file["0"] = np.ones(8, np.float32)
    file["0"].attrs.create("dtype", ["x" * 2**22, *[""] * 999], dtype=h5py.string_dtype())


def attribute_of_one_array(file):
    file["0"] = np.ones(8, np.float32)
    kind = h5py.h5t.array_create(h5py.h5t.py_create(h5py.string_dtype(), logical=True), (1000,))
    h5py.h5a.create(file["0"].id, b"dtype", kind, h5py.h5s.create(h5py.h5s.SCALAR))


@pytest.mark.parametrize("attack", [lists, texts, records_of_lists, attribute, attribute_of_one_array])
def test_what_many_values_of_hdf5_name_is_not_read_for_each(tmp_path, attack):
    """A thousand references of 16 bytes can point to the same 4 MiB of the file; no size in the file gives the size in memory."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        attack(file)
    with pytest.raises(weight_files.Refused, match="is not an array of weights|is not one text"):
        weight_files.array_bytes(tmp_path / "a.h5")


def test_pieces_and_arrays_without_bytes_are_not_read(tmp_path):
    """Of 400 million pieces of nothing HDF5 makes a list of 14 GiB."""
    for options, told in (
        ({"chunks": (1,)}, "is compressed"),
        ({}, "claims 1,600,000,000 bytes, of which the file has 0"),
    ):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("0", (400_000_000,), np.float32, **options)
        with pytest.raises(weight_files.Refused, match=told):
            weight_files.array_bytes(tmp_path / "a.h5")


def test_bfloat16_as_keras_writes_it_is_read(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    finally:
        keras.config.set_dtype_policy("float32")
    model.save_weights(tmp_path / "a.weights.h5")
    assert weight_files.array_bytes(tmp_path / "a.weights.h5") == 2 * (3 * 2 + 2)


@pytest.mark.parametrize("name", ["metric.npz", "a.keras"])
def test_an_archive_that_lists_too_much_is_refused_before_the_list_is_read(tmp_path, name):
    (tmp_path / name).write_bytes(many_entries(400_000))
    read = weight_files.check if name == "a.keras" else read_arrays
    tracemalloc.start()
    with pytest.raises(KcarsError, match="its list of entries has .* at most"):
        read(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_the_weights_of_a_run_follow_no_link_and_end(tmp_path, capfd):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="head")])
    network.save_weights(tmp_path / "best.weights.h5")
    whole = tmp_path / "whole"
    shutil.copy(tmp_path / "best.weights.h5", whole)
    load_best(network, tmp_path / "best.weights.h5")

    def linked(file):
        del file["layers/dense/vars"]
        file["layers/dense/vars"] = h5py.ExternalLink(str(whole), "/layers/dense/vars")

    def without_size(file):
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", data=h5py.Empty("f4"))

    for attack in (*HDF5, linked, without_size):
        shutil.copy(whole, tmp_path / "best.weights.h5")
        with h5py.File(tmp_path / "best.weights.h5", "r+") as file:
            attack(file)
        with pytest.raises(KcarsError, match="best.weights.h5: damaged") as error:
            load_best(network, tmp_path / "best.weights.h5")
        assert "\n" not in str(error.value)
    assert "warn" not in capfd.readouterr().err.lower()


def damaged(packing: int, name: str, content: bytes) -> bytes:
    """An archive whose first entry does not unpack."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", packing) as file:
        file.writestr(name, content)
    whole = bytearray(archive.getvalue())
    start = 30 + len(name) + (4 if packing == zipfile.ZIP_LZMA else 0)
    whole[start : start + 40] = b"\xff" * 40
    return bytes(whole)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_archive_that_does_not_unpack_is_one_line(tmp_path, packing):
    (tmp_path / "a.keras").write_bytes(damaged(packing, "config.json", json.dumps(list(range(999))).encode()))
    with pytest.raises(KcarsError, match="a.keras: (cannot be read as|its config.json is compressed)"):
        weight_files.check(tmp_path / "a.keras")
    array = io.BytesIO()
    np.save(array, np.random.default_rng(0).normal(size=999))
    filled = b"\0" * 20_000 + damaged(packing, "a.npy", array.getvalue())  # A file that is not smaller than its arrays.
    (tmp_path / "a.npz").write_bytes(filled)
    with pytest.raises(KcarsError, match="a.npz: (cannot be read|.a. is compressed)"):
        read_arrays(tmp_path / "a.npz")


def tensors(file, kind: str, content: bytes, shape) -> None:
    head = json.dumps({"head/kernel": {"dtype": kind, "shape": shape, "data_offsets": [0, len(content)]}}).encode()
    file.write_bytes(struct.pack("<Q", len(head)) + head + content)


@pytest.mark.parametrize(
    ("kind", "number", "told"),
    [
        ("F64", struct.pack("<d", 1e300), "head/kernel is not finite"),
        ("BF16", b"\xc0\x7f", "head/kernel is not finite"),
        ("F8_E4M3", b"\x00", "cannot be read as safetensors"),
        ("F8_E5M2", b"\x00", "cannot be read as safetensors"),
        ("C64", b"\0" * 8, "which weights cannot have"),
        ("BOOL", b"\x01", "which weights cannot have"),
    ],
)
def test_numbers_that_float32_does_not_hold_are_refused(tmp_path, kind, number, told):
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(2, use_bias=False, name="head")(inputs)
    network = keras.Model(inputs, outputs, name="small")
    tensors(tmp_path / "a.safetensors", kind, number * 4, [2, 2])
    before = network.get_weights()[0]
    with pytest.raises(KcarsError, match=told):
        load(network, str(tmp_path / "a.safetensors"))
    assert (network.get_weights()[0] == before).all()


def test_numbers_of_other_sizes_that_float32_holds_are_weights(tmp_path):
    inputs = keras.Input((2,))
    network = keras.Model(inputs, keras.layers.Dense(2, use_bias=False, name="head")(inputs), name="small")
    for kind, number in {"F64": struct.pack("<d", 1.5), "BF16": b"\xc0\x3f", "F16": struct.pack("<e", 1.5)}.items():
        tensors(tmp_path / "a.safetensors", kind, number * 4, [2, 2])
        load(network, str(tmp_path / "a.safetensors"))
        assert (network.get_weights()[0] == 1.5).all()


@pytest.mark.parametrize("name", ["other/kernel", "head/kernel"])
def test_of_safetensors_only_what_the_network_needs_is_read(tmp_path, name):
    """A file of a gigabyte that takes a kilobyte of the disk."""
    inputs = keras.Input((2,))
    network = keras.Model(inputs, keras.layers.Dense(2, use_bias=False, name="head")(inputs), name="small")
    head = json.dumps({name: {"dtype": "F32", "shape": [2**28], "data_offsets": [0, 2**30]}}).encode()
    file = tmp_path / "a.safetensors"
    file.write_bytes(struct.pack("<Q", len(head)) + head)
    os.truncate(file, 8 + len(head) + 2**30)
    told = {"other/kernel": "head/kernel is missing", "head/kernel": "no weight of small has so many values"}[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(KcarsError, match=told):
        load(network, str(file))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < PACKED // 2


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_packed_entry_of_a_keras_file_is_not_unpacked(tmp_path, packing):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(PACKED // 8), packing)
    with pytest.raises(KcarsError, match=r"a.keras: its model.weights.h5 is compressed; only uncompressed entries"):
        weight_files.check(tmp_path / "a.keras")
