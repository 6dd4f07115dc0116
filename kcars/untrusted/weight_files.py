"""Files of weights that somebody else may have made: looked at before Keras or safetensors reads them."""

import io
from pathlib import Path
from typing import Any, BinaryIO

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.untrusted.reading import MIB, json_in, opened, opened_zip

KERAS_ENTRIES = {"metadata.json", "config.json", "model.weights.h5"}
# Layers that hold code, which Keras' own safe mode refuses too.
CODE = {"Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "__lambda__"}
MODULES = ("keras", "builtins", "kcars")
MOST_DATASETS, DEEPEST = 100_000, 64  # With groups; of groups within groups.


class Refused(ValueError):
    """What a file of weights may not hold."""


def check(path: Path) -> None:
    """Raises KcarsError for what is no regular file, is too large, unpacks to too much, points into other files, or holds code."""
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
        except Exception as error:  # noqa: BLE001  HDF5, ZIP and its many ways of packing have errors of their own.
            told = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise KcarsError(f"{path}: cannot be read as {path.suffix} ({told})") from None


def _keras(file: BinaryIO, path: Path) -> None:
    with opened_zip(file) as archive:
        entries = archive.infolist()
        if strange := [entry.filename for entry in entries if entry.filename not in KERAS_ENTRIES]:
            raise Refused(
                f"holds {strange[0][:80]!r}, which is not read; a .keras file holds {', '.join(sorted(KERAS_ENTRIES))}"
            )
        if len({entry.filename for entry in entries}) != len(entries):
            raise Refused("holds an entry twice")
        if (total := sum(entry.file_size for entry in entries)) > (most := limits().model_mib * MIB):
            raise Refused(f"unpacks to {total:,} bytes; at most {most:,} are read (model_mib)")
        if archive.getinfo("config.json").file_size > limits().json_mib * MIB:
            raise Refused(f"its config.json is larger than {limits().json_mib} MiB (json_mib)")
        _refuse_code(json_in(archive.read("config.json").decode(), path))
        array_bytes(io.BytesIO(archive.read("model.weights.h5")))


def _refuse_code(config) -> None:
    """Refused where a part of a model's description is a layer of code, or of another library."""
    coming = [config]
    while coming:
        part = coming.pop()
        if isinstance(part, dict):
            name, module = part.get("class_name"), part.get("module")
            if name in CODE:
                raise Refused(f"cannot be loaded as .keras: it holds code ({name}), which is not run")
            if isinstance(module, str) and module and module.split(".")[0] not in MODULES:
                raise Refused(
                    f"cannot be loaded as .keras: it asks for the module {module[:80]!r}, which is not imported"
                )
            coming += part.values()
        elif isinstance(part, list):
            coming += part


def array_bytes(file) -> int:
    """Bytes of all arrays of an HDF5 file, a path or an open file; Refused where it has links, or more than the limits allow."""
    import h5py

    numbers, seen, most, groups = 0, 0, limits().model_mib * MIB, set()
    with h5py.File(file, "r") as content:
        coming: list[tuple[Any, int]] = [(content, 0)]  # Groups, whose stubs lack names and numbers.
        while coming:
            group, depth = coming.pop()
            if (place := h5py.h5o.get_info(group.id).addr) in groups or depth > DEEPEST:  # pyright: ignore[reportAttributeAccessIssue]  Its stubs lack it.
                raise Refused(f"its {group.name[:80]!r} stands twice, or deeper than {DEEPEST} groups")
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
                        f"unpacks to more than {most:,} bytes or {MOST_DATASETS:,} arrays, which are not read (model_mib)"
                    )
                _refuse_packed(name, found)
    return numbers


def _size(name: str, found) -> int:
    """Bytes of an array; Refused for what is none, or not of real numbers, or lies elsewhere."""
    import h5py

    if not isinstance(found, h5py.Dataset) or found.shape is None or found.dtype.kind == "c":
        raise Refused(f"its {name[:80]!r} is no array of weights")
    if found.external or found.is_virtual:
        raise Refused(f"its {name[:80]!r} lies in another file, which is not read")
    return found.size * found.dtype.itemsize


def _refuse_packed(name: str, found) -> None:
    """Refused for an array behind a filter: HDF5 unpacks as much as the packed bytes hold, whatever size the array has."""
    import h5py

    if isinstance(found, h5py.Dataset) and found.id.get_create_plist().get_nfilters():
        raise Refused(f"its {name[:80]!r} is packed; arrays that are not can be read, as Keras writes them")
