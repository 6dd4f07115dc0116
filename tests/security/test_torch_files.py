"""A file of `torch.save` is data: its pickles name nothing but tensors, and its tensors stay within the file."""

import io
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from kcars.untrusted.torch_file import MAGIC, PROTOCOL, tensors


class Named:
    """Pickled as a call of a function that is named, without being there."""

    def __init__(self, module: str, name: str, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Writer(pickle._Pickler):
    """Writes `Named` as the call, and a `Named` without arguments as the thing itself."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
            if obj.arguments:
                super().save(obj.arguments)
                self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj):
        return obj.reference if isinstance(obj, Reference) else None


class Reference:
    def __init__(self, *reference):
        self.reference = reference


def storage(key="0", size=6, kind="FloatStorage"):
    return Reference("storage", Named("torch", kind), key, "cpu", size, None)


def tensor(shape=(2, 3), strides=(3, 1), offset=0, held=None):
    return Named("torch._utils", "_rebuild_tensor_v2", held or storage(), offset, shape, strides, False, OrderedDict())


def file(named, keys=("0",), data=None, magic=MAGIC) -> bytes:
    stream = io.BytesIO()
    for part in (magic, PROTOCOL, {"little_endian": True}, OrderedDict(named), list(keys)):
        Writer(stream, 2).dump(part)
    return stream.getvalue() + (struct.pack("<q", 6) + np.arange(6, dtype="<f4").tobytes() if data is None else data)


def test_tensors_are_views_with_offset_and_strides():
    content = file({"whole": tensor(), "turned": tensor((3, 2), (1, 3)), "part": tensor((2,), (1,), 4)})
    found = tensors(content)
    assert found["whole"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["part"].tolist() == [4, 5]
    assert all(array.flags.c_contiguous for array in found.values())


@pytest.mark.parametrize("module, name", [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("numpy", "load")])
def test_whatever_else_it_names_is_not_called(module, name, tmp_path):
    victim = tmp_path / "victim"
    content = file({"a": Named(module, name, f"touch {victim}")})
    with pytest.raises(ValueError, match=f"names {module}.{name}"):
        tensors(content)
    assert not victim.exists()


@pytest.mark.parametrize(
    "held",
    [
        tensor((2, 4), (3, 1)),
        tensor((2, 3), (3, 1), 1),
        tensor((2, 3), (-3, 1)),
        tensor((2, 3), (3, 1), -1),
        tensor((10**12,), (0,)),
        tensor((2, 3), (3,)),
        tensor((1,) * 9, (1,) * 9),
        tensor(held=storage(size=10**12)),
        tensor(held=storage(kind="FloatStorage", size=-6)),
        tensor(held=Reference("module", Named("torch", "FloatStorage"), "0", "cpu", 6, None)),
        "text",
    ],
)
def test_a_tensor_stays_within_its_storage(held):
    with pytest.raises(ValueError):
        tensors(file({"a": held}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        np.random.default_rng(0).bytes(100),
        file({"a": tensor()}, magic=1),
        file({"a": tensor()}, keys=("0", "1")),
        file({"a": tensor()}, data=struct.pack("<q", 6) + bytes(20)),
        file({"a": tensor()}, data=struct.pack("<q", 7) + bytes(28)),
        file({"a": tensor()})[:-30],
    ],
    ids=("empty", "noise", "magic", "keys", "cut in a storage", "size of a storage", "cut"),
)
def test_another_or_a_damaged_file_is_one_error(content):
    with pytest.raises(ValueError):
        tensors(content)
