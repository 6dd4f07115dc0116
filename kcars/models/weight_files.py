"""Files of weights that somebody else may have made: looked at before Keras or safetensors reads them."""

import io
import json
import zipfile
from pathlib import Path
from typing import BinaryIO

from kcars.errors import KcarsError
from kcars.limits import limits
from kcars.untrusted import MIB, opened

KERAS_ENTRIES = {"metadata.json", "config.json", "model.weights.h5"}
# Layers that hold code, which Keras' own safe mode refuses too.
CODE = {"Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "__lambda__"}
MODULES = ("keras", "builtins", "kcars")
MOST_DATASETS = 100_000


class Refused(ValueError):
    """What a file of weights may not hold."""


def check(path: Path) -> None:
    """KcarsError for what is no regular file, is too large, unpacks to too much, points into other files, or holds code."""
    with opened(path, limits().model_mib * MIB) as file:
        try:
            if path.suffix == ".keras":
                _keras(file)
            elif path.suffix == ".h5":
                array_bytes(file)
        except Refused as error:
            raise KcarsError(f"{path}: {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  HDF5, ZIP and its many ways of packing have errors of their own.
            told = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise KcarsError(f"{path}: cannot be read as {path.suffix} ({told})") from None


def _keras(file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
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
        _refuse_code(json.loads(archive.read("config.json")))
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
    """Size of what an HDF5 file holds, a path or an open file; Refused for links, parts in other files, what is no array, and too much."""
    import h5py

    numbers, most, coming = 0, limits().model_mib * MIB, []
    with h5py.File(file, "r") as content:
        coming.append(content)
        seen, places = 0, {_place(content)}
        while coming:
            group = coming.pop()
            for name in group:
                if (seen := seen + 1) > MOST_DATASETS:
                    raise Refused(f"holds more than {MOST_DATASETS:,} groups and arrays, which are not read")
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise Refused(f"its {name[:80]!r} is a link, which is not followed")
                found = group[name]
                if isinstance(found, h5py.Group):
                    if _place(found) in places:  # One may hold itself, or others many times over.
                        raise Refused(f"its group {name[:80]!r} lies in two places")
                    places.add(_place(found))
                    coming.append(found)
                    continue
                if not isinstance(found, h5py.Dataset):
                    raise Refused(f"its {name[:80]!r} is no array")
                if found.external or found.is_virtual:
                    raise Refused(f"its {name[:80]!r} lies in another file, which is not read")
                numbers += (found.size or 0) * found.dtype.itemsize  # An array without a shape has no size.
                if numbers > most:
                    raise Refused(f"unpacks to more than {most:,} bytes, which are not read (model_mib)")
    return numbers


def _place(group) -> int:
    """Where in its file a group lies."""
    import h5py

    return h5py.h5o.get_info(group.id).addr
