"""Checks untrusted weight files before Keras or safetensors reads them."""

import io
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.untrusted.reading import MIB, json_in, opened, opened_zip

KERAS_ENTRIES = {"metadata.json", "config.json", "model.weights.h5"}
# Layers that contain code, which Keras' safe mode refuses too.
CODE = {"Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "__lambda__"}
PARTS = (
    "activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics", "models", "optimizers",
    "optimizers.schedules", "regularizers",
)  # fmt: skip
MODULES = {"keras", "builtins", *(f"keras.{part}" for part in PARTS)}
INNER = ("keras.src.", "kcars.")  # Keras creates only layers and operations from these.
MOST_DATASETS, DEEPEST = 100_000, 64  # Datasets and groups; nested groups.


class Refused(ValueError):
    """Raised for forbidden content of a weight file."""


def check(path: Path) -> None:
    """Raises KcarsError for a file that is not regular, is too large, unpacks to too much, refers to other files, or contains code."""
    with opened(path, limits().model_mib * MIB) as file:
        try:
            if path.suffix == ".keras":
                _keras(file, path)
            elif path.suffix == ".h5":
                array_bytes(file)
        except Refused as error:
            raise KcarsError(f"{path}: {error}") from None
        except (KcarsError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  HDF5, ZIP and its compression methods have their own errors.
            message = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise KcarsError(f"{path}: cannot be read as {path.suffix} ({message})") from None


def _keras(file: BinaryIO, path: Path) -> None:
    with opened_zip(file) as archive:
        entries = archive.infolist()
        if strange := [entry.filename for entry in entries if entry.filename not in KERAS_ENTRIES]:
            raise Refused(
                f"contains {strange[0][:80]!r}, which is not read; a .keras file contains {', '.join(sorted(KERAS_ENTRIES))}"
            )
        if len({entry.filename for entry in entries}) != len(entries):
            raise Refused("contains an entry twice")
        if packed := [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]:
            raise Refused(f"its {packed[0]} is compressed; only uncompressed entries, as Keras writes them, are read")
        if (total := sum(entry.file_size for entry in entries)) > (most := limits().model_mib * MIB):
            raise Refused(f"unpacks to {total:,} bytes; at most {most:,} are read (model_mib)")
        if archive.getinfo("config.json").file_size > limits().json_mib * MIB:
            raise Refused(f"its config.json is larger than {limits().json_mib} MiB (json_mib)")
        _refuse_code(json_in(archive.read("config.json").decode(), path))
        array_bytes(io.BytesIO(archive.read("model.weights.h5")))


def _refuse_code(config) -> None:
    """Raises Refused if a model's configuration has a layer with code or of another library, or a function of Keras' tools.

    Keras calls functions while it rebuilds a model, also those that download or write files. From "builtins" it resolves only
    activations, losses and the like.
    """
    coming = [config]
    while coming:
        part = coming.pop()
        if isinstance(part, dict):
            name, module = part.get("class_name"), part.get("module")
            if name in CODE:
                raise Refused(f"cannot be loaded as .keras: it contains code ({name}), which is not run")
            if isinstance(module, str) and module and module not in MODULES and not module.startswith(INNER):
                raise Refused(f"cannot be loaded as .keras: it needs the module {module[:80]!r}, which is not imported")
            if name == "function" and module != "builtins":
                raise Refused("cannot be loaded as .keras: it calls a function that is not part of a network")
            coming += part.values()
        elif isinstance(part, list):
            coming += part


def array_bytes(file) -> int:
    """Bytes of all arrays of an HDF5 file, a path or an open file; raises Refused if it has links or exceeds the limits."""
    import h5py

    numbers, seen, most, groups = 0, 0, limits().model_mib * MIB, set()
    with h5py.File(file, "r") as content:
        coming: list[tuple[Any, int]] = [(content, 0)]  # Groups; h5py's stubs lack names and numbers.
        while coming:
            group, depth = coming.pop()
            if (place := h5py.h5o.get_info(group.id).addr) in groups or depth > DEEPEST:  # pyright: ignore[reportAttributeAccessIssue]  Its stubs lack it.
                raise Refused(f"its {group.name[:80]!r} occurs twice, or deeper than {DEEPEST} groups")
            groups.add(place)
            for name in group:
                seen += 1
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise Refused(f"its {name[:80]!r} is a link, which is not followed")
                found = group[name]
                if isinstance(found, h5py.Group):
                    coming.append((found, depth + 1))
                else:
                    numbers += _size(name, found)
                if numbers > most or seen > MOST_DATASETS:
                    raise Refused(
                        f"unpacks to more than {most:,} bytes or {MOST_DATASETS:,} arrays, the limit (model_mib)"
                    )
                _refuse_packed(name, found)
                _refuse_texts(name, found)
    return numbers


def _size(name: str, found) -> int:
    """Bytes of an array; raises Refused if it is not an array of real numbers in this file."""
    import h5py

    if not isinstance(found, h5py.Dataset) or found.shape is None or not _is_number(found.dtype):
        raise Refused(f"its {name[:80]!r} is not an array of weights")
    if found.external or found.is_virtual:
        raise Refused(f"its {name[:80]!r} is in another file, which is not read")
    return found.size * found.dtype.itemsize


def _is_number(dtype) -> bool:
    """Whether values of a type are numbers or truth values of one size; bfloat16 lies in HDF5 as two plain bytes.

    Texts and lists lie elsewhere in the file, where many values may name one of any length.
    """
    return dtype.kind in "fiub" or dtype == "V2"


def _refuse_texts(name: str, found) -> None:
    """Refused for an array whose attribute `dtype`, the only one that Keras reads, is not one text: of many, each may be the same."""
    import h5py

    if isinstance(found, h5py.Dataset) and h5py.h5a.exists(found.id, b"dtype"):
        told = h5py.h5a.open(found.id, b"dtype")
        if told.shape != () or told.get_type().get_class() != h5py.h5t.STRING:
            raise Refused(f"its {name[:80]!r} has a dtype that is not one text")


def _refuse_packed(name: str, found) -> None:
    """Refused for an array behind a filter, or in pieces: HDF5 takes as much as the packed bytes or the pieces ask for.

    And for one that the file has no bytes for, whatever size it claims.
    """
    import h5py

    if not isinstance(found, h5py.Dataset):
        return
    if found.chunks or found.id.get_create_plist().get_nfilters():
        raise Refused(f"its {name[:80]!r} is compressed; only uncompressed arrays, as Keras writes them, are read")
    if (size := found.size * found.dtype.itemsize) != (there := found.id.get_storage_size()):
        raise Refused(f"its {name[:80]!r} claims {size:,} bytes, of which the file has {there:,}")
