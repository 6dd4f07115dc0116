"""Files of weights that a stranger made: nothing in them is run, nothing else is read, and what they unpack to is bounded."""

import json
import os
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kcars.backbones.build import build_backbone
from kcars.backbones.catalogue import Scale
from kcars.core.errors import KcarsError
from kcars.models.weights import load


@pytest.fixture(scope="module")
def backbone():
    return build_backbone("resnet18", 32, scale=Scale(0.0625))


@pytest.fixture(scope="module")
def whole(backbone, tmp_path_factory):
    """Its weights in each format, which load."""
    folder = tmp_path_factory.mktemp("weights")
    save_file({"/".join(w.path.split("/")[-2:]): np.asarray(w) for w in backbone.weights}, folder / "a.safetensors")
    backbone.save_weights(folder / "a.weights.h5")
    backbone.save(folder / "a.keras")
    for file in folder.iterdir():
        load(backbone, str(file))
    return folder


@pytest.fixture(autouse=True)
def _unchanged(backbone):
    before = backbone.get_weights()
    yield
    assert all((one == two).all() for one, two in zip(before, backbone.get_weights(), strict=True))


def refused(backbone, file, told: str) -> None:
    with pytest.raises(KcarsError, match=told) as error:
        load(backbone, str(file))
    assert "\n" not in str(error.value)


class Owned:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5", ".keras"])
def test_a_pickle_by_any_name_is_not_run(backbone, tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(pickle.dumps(Owned(tmp_path / "owned")))
    refused(backbone, tmp_path / f"a{suffix}", "cannot be read")
    assert not (tmp_path / "owned").exists()


def repacked(whole, file, change, packing: int = zipfile.ZIP_STORED) -> None:
    """The .keras file with other entries: change(entries by name)."""
    with zipfile.ZipFile(whole / "a.keras") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def layer(entries, change) -> None:
    config = json.loads(entries["config.json"])
    change(config["config"]["layers"][1])
    entries["config.json"] = json.dumps(config)


def test_code_and_other_modules_in_a_keras_file_are_not_run(backbone, whole, tmp_path):
    def code(one):
        one |= {
            "class_name": "Lambda",
            "module": "keras.layers",
            "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}},
        }

    def module(one):
        one |= {"module": "os", "class_name": "system", "registered_name": "system"}

    for change, told in ((code, "contains code"), (module, "needs the module 'os'")):
        repacked(whole, tmp_path / "a.keras", lambda entries, change=change: layer(entries, change))
        refused(backbone, tmp_path / "a.keras", told)


@pytest.fixture
def _addresses(monkeypatch):
    """A look-up of a host is a failure of its own: Keras tells of it otherwise as of any layer that fails."""

    def asked(*_, **__):
        asked.times += 1
        raise OSError("no network in tests")

    asked.times = 0
    monkeypatch.setattr("socket.getaddrinfo", asked)
    yield
    assert asked.times == 0


@pytest.mark.parametrize("kind", ["function", "decode_predictions"])
@pytest.mark.parametrize("operation", ["map", "vectorized_map"])
def test_tools_of_keras_are_not_called(backbone, tmp_path, _addresses, monkeypatch, operation, kind):
    """An operation calls a function while Keras rebuilds the model; this one downloads a list of names into the user's folder."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("keras.src.applications.imagenet_utils.CLASS_INDEX", None)
    photo = keras.Input((5, 8))
    names = keras.layers.Dense(1000)(photo)
    keras.Model(photo, getattr(keras.ops, operation)(keras.activations.relu, names)).save(tmp_path / "plain.keras")
    told = {"module": "keras.applications.imagenet_utils", "class_name": kind, "registered_name": kind, "config": {}}
    tool = json.dumps(told | ({"config": "decode_predictions"} if kind == "function" else {}))
    with zipfile.ZipFile(tmp_path / "plain.keras") as archive:
        entries = {name: archive.read(name).decode("latin-1") for name in archive.namelist()}
    relu = json.dumps({"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"})
    assert relu in entries["config.json"]
    entries["config.json"] = entries["config.json"].replace(relu, tool)
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content.encode("latin-1"))
    refused(backbone, tmp_path / "a.keras", "needs the module 'keras.applications.imagenet_utils'")


def test_a_function_of_a_module_that_networks_have_is_not_called(backbone, whole, tmp_path):
    def function(one):
        one["config"]["name"] = {"module": "keras.layers", "class_name": "function", "config": "deserialize"}

    repacked(whole, tmp_path / "a.keras", lambda entries: layer(entries, function))
    refused(backbone, tmp_path / "a.keras", "calls a function that is not part of a network")


def test_a_keras_file_writes_nothing_beside_itself(backbone, whole, tmp_path):
    for name in ("../../owned", "/tmp/owned", "assets/owned.txt", "model.weights.npz"):
        repacked(whole, tmp_path / "a.keras", lambda entries, name=name: entries.update({name: b"x"}))
        refused(backbone, tmp_path / "a.keras", f"contains '{name}', which is not read")


def test_a_zip_bomb_is_not_unpacked(backbone, whole, tmp_path, monkeypatch):
    def change(entries):
        entries["model.weights.h5"] = b"\0" * (4 * 2**20)

    repacked(whole, tmp_path / "a.keras", change, zipfile.ZIP_DEFLATED)
    refused(backbone, tmp_path / "a.keras", "is compressed; only uncompressed entries")
    repacked(whole, tmp_path / "a.keras", change)
    monkeypatch.setenv("KCARS_LIMITS", "model_mib=3")
    refused(backbone, tmp_path / "a.keras", "at most 3,145,728 are read")


def some_group(file):
    """The first group that holds an array named 0."""
    found = []
    file.visititems(lambda name, one: found.append(one.parent) if isinstance(one, h5py.Dataset) else None)
    return found[0]


def h5_like(whole, file, change):
    file.write_bytes((whole / "a.weights.h5").read_bytes())
    with h5py.File(file, "r+") as content:
        change(some_group(content))


def test_links_and_outside_storage_of_hdf5_are_not_followed(backbone, whole, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"password" * 1000)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["0"] = np.ones(9, np.float32)

    def external_link(group):
        del group["0"]
        group["0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/0")

    def soft_link(group):
        group["9"] = h5py.SoftLink("/")

    def outside(group):
        shape = group["0"].shape
        del group["0"]
        group.create_dataset("0", shape, np.float32, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])

    def virtual(group):
        shape = group["0"].shape
        del group["0"]
        layout = h5py.VirtualLayout(shape, np.float32)
        group.create_virtual_dataset("0", layout)

    for change, told in (
        (external_link, "is a link"),
        (soft_link, "is a link"),
        (outside, "another file"),
        (virtual, "another file"),
    ):
        h5_like(whole, tmp_path / "a.weights.h5", change)
        refused(backbone, tmp_path / "a.weights.h5", told)


def test_an_array_of_hdf5_that_unpacks_to_terabytes_is_not_read(backbone, whole, tmp_path):
    def bomb(group):
        group.create_dataset("9", (2**40,), np.float32, chunks=(2**20,), compression="gzip")

    h5_like(whole, tmp_path / "a.weights.h5", bomb)
    refused(backbone, tmp_path / "a.weights.h5", "unpacks to more than")


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5"])
def test_weights_that_are_not_finite_are_refused(backbone, whole, tmp_path, suffix):
    file = tmp_path / f"a{suffix}"
    if suffix == ".safetensors":
        tensors = load_file(whole / "a.safetensors")
        name = next(iter(tensors))
        tensors[name] = np.full_like(tensors[name], np.nan)
        save_file(tensors, file)
    else:
        h5_like(whole, file, lambda group: group["0"].write_direct(np.full(group["0"].shape, np.inf, np.float32)))
    refused(backbone, file, "is damaged: .* is not finite")


def test_safetensors_that_lie_about_their_sizes_are_one_line(backbone, tmp_path):
    for header in (b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}', b'{"a":{}}', b"[" * 9999):
        (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
        refused(backbone, tmp_path / "a.safetensors", "cannot be read as safetensors")
    (tmp_path / "a.safetensors").write_bytes((2**62).to_bytes(8, "little"))
    refused(backbone, tmp_path / "a.safetensors", "cannot be read as safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5", ".keras"])
def test_pipes_folders_and_large_files_are_refused(backbone, whole, tmp_path, monkeypatch, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    refused(backbone, tmp_path / f"pipe{suffix}", "is a named pipe; expected a regular file")
    (tmp_path / f"folder{suffix}").mkdir()
    refused(backbone, tmp_path / f"folder{suffix}", "(?i)is a (folder|directory)")
    with (tmp_path / f"large{suffix}").open("wb") as file:
        file.truncate(2 * 2**20)
    monkeypatch.setenv("KCARS_LIMITS", "model_mib=1")
    refused(backbone, tmp_path / f"large{suffix}", "at most 1,048,576 are read")


def test_a_keras_lambda_is_refused_though_it_was_saved_by_keras(backbone, tmp_path):
    pixels = keras.Input((32, 32, 3))
    keras.Model(pixels, keras.layers.Lambda(lambda x: x)(pixels)).save(tmp_path / "code.keras")
    refused(backbone, tmp_path / "code.keras", "it contains code")
