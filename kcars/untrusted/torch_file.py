"""Tensors in a file that `torch.save` wrote before PyTorch 1.6, read without PyTorch and without running anything in it.

Such a file is three pickled headers, a pickled dictionary of tensors, the pickled list of the storages' keys, and the
storages: the number of elements (8 bytes) and the elements, little-endian. A tensor is a view of a storage with an offset and
strides. The unpickler knows three names and refuses all others.
"""

import io
import pickle  # noqa: S403  The unpickler below resolves three names only.
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ByteStorage": np.dtype("<u1"),
}
MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    size: int


@dataclass(frozen=True)
class _View:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Resolves ordered dictionaries, tensors and the kinds of storages; everything else is a ValueError."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise ValueError(f"names {module}.{name}, which no file of weights needs")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise ValueError("holds a reference that is not a storage")
        return _Storage(str(key), dtype, int(size))


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _View:
    if not isinstance(storage, _Storage) or len(shape) != len(strides) or len(shape) > MOST_DIMENSIONS:
        raise ValueError("holds a tensor that is not a view of a storage")
    return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def tensors(content: bytes) -> dict[str, np.ndarray]:
    """Arrays by name, contiguous; ValueError with what is wrong with the file."""
    stream = io.BytesIO(content)
    try:
        magic, protocol, system, views, keys = (_Unpickler(stream).load() for _ in range(5))
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"is no file of torch.save of the former kind ({error})") from None
    if (magic, protocol) != (MAGIC, PROTOCOL) or not system.get("little_endian"):
        raise ValueError("is no little-endian file of torch.save of the former kind")
    if not isinstance(views, dict) or not all(isinstance(view, _View) for view in views.values()):
        raise ValueError("holds more than a dictionary of tensors")
    storages = {view.storage.key: view.storage for view in views.values()}
    if sorted(keys) != sorted(storages):
        raise ValueError("holds other storages than its tensors name")
    elements = {key: _elements(stream, storages[key]) for key in keys}
    return {str(name): _array(view, elements[view.storage.key]) for name, view in views.items()}


def _elements(stream: io.BytesIO, storage: _Storage) -> np.ndarray:
    head = stream.read(8)
    if len(head) != 8 or struct.unpack("<q", head)[0] != storage.size or storage.size < 0:
        raise ValueError(f"storage {storage.key} has another size than its tensors say")
    data = stream.read(storage.size * storage.dtype.itemsize)
    if len(data) != storage.size * storage.dtype.itemsize:
        raise ValueError("ends within a storage")
    return np.frombuffer(data, storage.dtype)


def _array(view: _View, elements: np.ndarray) -> np.ndarray:
    """A copy of the view; ValueError where it reaches out of its storage, or shows an element more than once."""
    if min((view.offset, *view.shape, *view.strides), default=0) < 0:
        raise ValueError("holds a tensor with a negative size, stride or offset")
    last = view.offset + sum((side - 1) * stride for side, stride in zip(view.shape, view.strides, strict=True))
    count = int(np.prod(view.shape, dtype=object))
    if count and last >= len(elements) or count > len(elements):
        raise ValueError("holds a tensor that reaches out of its storage")
    size = elements.dtype.itemsize
    strides = tuple(stride * size for stride in view.strides)
    found = np.lib.stride_tricks.as_strided(elements[view.offset :], view.shape, strides, writeable=False)
    return np.ascontiguousarray(found)
