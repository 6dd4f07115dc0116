"""Predictor: from photos to predictions with a run or an export, in batches, with constant memory."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from kcars.core.errors import KcarsError, one_of
from kcars.core.files import folder_sha256
from kcars.core.limits import limits
from kcars.images.decode import cut, decode, photo_bytes, resized
from kcars.images.pixels import empty_photos
from kcars.inference.photo_input import as_photo, photo_or_fault, photos_from
from kcars.inference.photo_source import Photo
from kcars.inference.predictions import Answers, Comparison, Prediction
from kcars.posthoc.pipeline import Pipeline
from kcars.runs import model_card as cards
from kcars.runs.fitted import pipeline_of
from kcars.schemas import card_schema
from kcars.tasks.texts import task_texts
from kcars.untrusted import onnx_file
from kcars.untrusted.reading import MIB, read_bytes, read_json, refuse_links
from kcars.untrusted.sealed import refuse_changed

BATCH = 32
CARD, ONNX, SAVED_MODEL = "card.json", "model.onnx", "saved_model/1"
REMEDY = "export again"
NAMES_NOTHING = "is a verifier and predicts no names (use kcars compare)"
COMPARES_NOTHING = "is a classifier and does not compare photos (use kcars predict)"


class Predictor:
    """Predicts photos with a trained model.

    card: the model card (`kcars.runs.model_card`); network: pixels (n, s, s, 3) uint8 to logits (n, classes) or
    embeddings (n, d).
    """

    def __init__(self, card: dict, network: Callable[[np.ndarray], np.ndarray]):
        self.card, self._network = card, network

    @property
    def task(self) -> str:
        return self.card["task"]

    def predict(self, photos: Sequence, top: int = 5, risk: float | None = None) -> list[Prediction]:
        """Predict the classes of photos, each a path, bytes, an open file, a Pillow image or pixels (see
        `kcars.inference.photo_input.TAKEN`), or a `Photo` of these with a box. A single photo counts as a list of one.

        risk: highest accepted error rate on validation; predictions with a lower confidence are "unknown". Raises KcarsError
        for a bad photo, and if the model is a verifier.
        """
        return [_or_raise(answer) for answer in self.predict_each(photos, top, risk)]

    def predict_each(
        self, photos: Iterable, top: int = 5, risk: float | None = None
    ) -> Iterator[Prediction | tuple[Photo, KcarsError]]:
        """Yield the predictions of `predict` in order, also of infinite sequences; for a bad photo, yield it with its error."""
        self.refuse_other_task("classify", NAMES_NOTHING)
        if top < 1:
            raise KcarsError(f"top: {top} is too few; give 1 or more")
        answers = Answers(self.card, risk)
        for photo, output in self.outputs_each(photos):
            if isinstance(output, KcarsError):
                yield photo, output
            else:
                yield answers.names(photo.name, output, top, photo.box)

    def compare(self, left, right, risk: float | None = None) -> Comparison:
        """Compare two photos; photos and risk as in `predict`."""
        self.refuse_other_task("verify", COMPARES_NOTHING)
        photos = [as_photo(left), as_photo(right)]  # An open file can be read only once.
        vectors = self.embed(photos)
        return Answers(self.card, risk).comparison(photos[0].name, photos[1].name, *vectors)

    def embed(self, photos: Sequence) -> np.ndarray:
        """Return the embeddings (n, d) float32, whose Euclidean distances are small for similar photos."""
        vectors = [_or_raise(output) for _, output in self.embed_each(photos)]
        return np.stack(vectors) if vectors else np.zeros((0, self.card["embedding"]), np.float32)

    def embed_each(self, photos: Iterable) -> Iterator[tuple[Photo, np.ndarray | KcarsError]]:
        """Yield the vectors (d,) of `embed` in order, also of infinite sequences; for a bad photo, yield its error."""
        self.refuse_other_task("verify", "is a classifier and has no trained embedding (use kcars predict)")
        yield from self.outputs_each(photos)

    def outputs_each(self, photos: Iterable) -> Iterator[tuple[Photo, np.ndarray | KcarsError]]:
        """Yield each photo with its output, or its error, in order. All cores read ahead."""
        readings = _read_ahead(map(photo_or_fault, photos_from(photos)), self.read)
        while part := list(islice(readings, BATCH)):
            good = [pixels for _, pixels in part if not isinstance(pixels, KcarsError)]
            batch = empty_photos(len(good), self.card["input"]["size_px"])
            for place, pixels in enumerate(good):
                batch[place] = pixels
            outputs = iter(self._finite(batch) if good else ())
            for photo, pixels in part:
                yield photo, pixels if isinstance(pixels, KcarsError) else next(outputs)

    def outputs(self, pixels: np.ndarray) -> np.ndarray:
        """Return the logits or embeddings (n, d) of photos from `read`, (n, s, s, 3) uint8."""
        parts = [self._finite(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, _width(self.card)), np.float32)

    def _finite(self, pixels: np.ndarray) -> np.ndarray:
        outputs = self._network(pixels)
        if len(outputs) != len(pixels):
            raise KcarsError(f"model {self.card['place']}: returns {len(outputs)} outputs for {len(pixels)} photos")
        if not np.isfinite(outputs).all():
            raise KcarsError(
                f"model {self.card['place']}: returns numbers that are not finite; its weights are damaged"
            )
        return outputs

    def read(self, photo: Photo) -> np.ndarray | KcarsError:
        """Return the network's input for a photo, (s, s, 3) uint8, or the error."""
        given = self.card["input"]
        size_px, padding = given["size_px"], given["padding"]
        if photo.fault:
            return photo.fault
        try:
            if isinstance(photo.source, np.ndarray):
                return resized(cut(photo.source, photo.box, padding), size_px)
            data = photo.source if isinstance(photo.source, bytes) else photo_bytes(photo.source)
            return decode(data, photo.box, size_px, padding)
        except KcarsError as error:
            return error
        except ValueError as error:
            return KcarsError(f"{photo.name}: {error}")
        except MemoryError as error:
            raise MemoryError(f"{photo.name}: {error}") from None

    def refuse_other_task(self, task: str, what: str) -> None:
        """Raise KcarsError with the message `what` if the model was trained for another task."""
        if self.task != task:
            raise KcarsError(f"{self.card['place']}: {what}")


def load(place: str | Path) -> Predictor:
    """Load a Predictor from a run folder, or from an export: its folder, its SavedModel or its ONNX file.

    Raises KcarsError if there is none, it is unscored, or its runtime is not installed.
    """
    place = Path(place)
    if place.name == CARD:
        place = place.parent
    if place.is_dir() and (place / "run.json").is_file():
        return _of_run(place)
    for folder in (place, *place.parents[:2]):  # The export's folder, or a model file in it.
        if (folder / CARD).is_file():
            return _of_export(folder, None if folder == place else place)
    found = "is neither a run folder nor an export" if place.exists() else "does not exist"
    raise KcarsError(f"model {place}: {found}; name a folder that kcars train or kcars export wrote")


def _of_run(folder: Path) -> Predictor:
    from kcars.runs.keras_setup import start
    from kcars.runs.run import Run

    run = Run.open(folder)
    card = cards.of_run(run) | {"place": str(folder)}
    start(run.strategy().train, "float32")
    from kcars.runs.checkpoint import answering_network

    return over_network(card, answering_network(run), pipeline_of(run))


def over_network(card: dict, network, pipeline: Pipeline) -> Predictor:
    """Return a Predictor of a run's Keras model and its post-hoc pipeline."""
    from kcars.models.outputs import batch_outputs

    mirror, shift = card["input"]["mirror"], card["input"]["shift"]
    return Predictor(card, lambda pixels: pipeline(batch_outputs(network, pixels, BATCH, mirror, shift)))


def _of_export(folder: Path, model: Path | None) -> Predictor:
    """Load a Predictor from an export. model: its file or folder; by default ONNX, if possible, as the smaller runtime."""
    card: dict[str, Any] = _read_card(folder) | {"place": str(folder)}
    runners = {ONNX: _onnx, SAVED_MODEL: _saved_model}
    if model is None:
        name = next((name for name in runners if (folder / name).exists()), None)
        if name is None:
            raise KcarsError(f"model {folder}: has neither {' nor '.join(runners)}; kcars export writes them")
    else:
        name = model.relative_to(folder).as_posix()
        name = SAVED_MODEL if name == Path(SAVED_MODEL).parts[0] else name
        if name not in runners:
            raise one_of(f"model {folder}", name, runners)
    network = runners[name](card, folder / name, task_texts(card["task"]).output)
    size_px = card["input"]["size_px"]
    output = _fitting(card, network, folder / name, np.zeros((1, size_px, size_px, 3), np.uint8))
    if not np.isfinite(output).all():
        raise KcarsError(f"{folder / name}: is damaged: it returns numbers that are not finite; {REMEDY}")
    return Predictor(card, lambda pixels: _fitting(card, network, folder / name, pixels))


def _width(card: dict) -> int:
    """Return the output dimension."""
    return {"logits": len(card["classes"]["names"]), "embedding": card["embedding"]}[task_texts(card["task"]).output]


def _fitting(card: dict, network: Callable, file: Path, pixels: np.ndarray) -> np.ndarray:
    """Return a model's output for photos (n, s, s, 3); KcarsError if it fails, or the shape differs from its card."""
    wanted = _width(card)
    photos = "a photo" if len(pixels) == 1 else f"{len(pixels)} photos"
    try:
        output = network(pixels)
        fits = output.shape == (len(pixels), wanted) and output.dtype == np.float32
        found = f"{output.dtype} of shape {output.shape} for {photos}"
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  Each runtime has its own errors.
        fits, found = False, f"an error for {photos} ({(str(error).splitlines() or [type(error).__name__])[0][:120]})"
    if not fits:
        raise KcarsError(f"{file}: does not fit its {CARD}: returns {found}, not {wanted} numbers per photo; {REMEDY}")
    return output


def _read_card(folder: Path) -> dict:
    path = folder / CARD
    card = read_json(path, folder)
    if not isinstance(card, dict):
        raise KcarsError(f"{path}: is not a JSON object; {REMEDY}")
    if card.get("format") != cards.FORMAT:
        raise KcarsError(f"{path}: written in format {card.get('format')!r}; this kcars reads {cards.FORMAT}")
    refuse_changed(card, path, REMEDY)
    card_schema.check(card, path, REMEDY)
    return card


def _refuse_other_digest(card: dict, kind: str, file: Path, found: Callable[[], str]) -> None:
    """Raise KcarsError if a model's digest differs from that in its card; cards of the first exports have no digest."""
    if card.get("files") is None:
        return
    if kind not in card["files"]:
        raise KcarsError(f"{file}: is not listed in its {CARD}; {REMEDY}")
    if found() != card["files"][kind]["sha256"]:
        raise KcarsError(f"{file}: is damaged, or not the file that its {CARD} describes (SHA-256); {REMEDY}")


def _onnx(card: dict, file: Path, output: str) -> Callable:
    content = read_bytes(file, limits().model_mib * MIB, file.parent)
    _refuse_other_digest(card, "onnx", file, lambda: hashlib.sha256(content).hexdigest())
    session = onnx_file.session(content, str(file), onnx_file.OPERATIONS, REMEDY)
    return lambda pixels: session.run([output], {"pixels": pixels})[0]


def _saved_model(card: dict, folder: Path, output: str) -> Callable:
    from kcars.runs.keras_setup import quiet_tensorflow
    from kcars.untrusted import saved_model

    refuse_links(folder.parents[1], folder)
    saved_model.refuse_other_files(folder)
    _refuse_other_digest(card, "saved_model", folder, lambda: folder_sha256(folder))
    tf = quiet_tensorflow()
    answer = saved_model.load(tf, folder, REMEDY)
    return lambda pixels: answer(pixels=tf.constant(pixels))[output].numpy()


def _read_ahead(photos: Iterator[Photo], read: Callable) -> Iterator[tuple]:
    """Yield (photo, read(photo)) in order; all cores read up to two batches ahead, so that memory stays constant."""
    with ThreadPoolExecutor(joblib.cpu_count()) as pool:
        coming: deque = deque()
        for photo in photos:
            coming.append(
                (replace(photo, source=b""), pool.submit(read, photo))
            )  # Frees the memory of frames and files.
            if len(coming) > 2 * BATCH:
                first, reading = coming.popleft()
                yield first, reading.result()
        for photo, reading in coming:
            yield photo, reading.result()


def _or_raise(answer):
    if isinstance(answer, tuple):
        answer = answer[1]
    if isinstance(answer, KcarsError):
        raise answer
    return answer
