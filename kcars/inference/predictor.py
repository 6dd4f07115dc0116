"""The one way from photos to answers, by a run or an export: read, network, answers; in batches, memory flat."""

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
REMEDY = "export anew"
NAMES_NOTHING = "names nothing: it was trained to compare (kcars compare)"
COMPARES_NOTHING = "compares nothing: it was trained to name (kcars predict)"


class Predictor:
    """Answers questions about photos by a trained model.

    card: what the model tells of itself (`kcars.runs.model_card`); network: pixels (n, s, s, 3) uint8 to logits (n, classes) or
    embeddings (n, d).
    """

    def __init__(self, card: dict, network: Callable[[np.ndarray], np.ndarray]):
        self.card, self._network = card, network

    @property
    def task(self) -> str:
        return self.card["task"]

    def predict(self, photos: Sequence, top: int = 5, risk: float | None = None) -> list[Prediction]:
        """Names of what each photo shows; a photo is what `kcars.inference.photo_input.TAKEN` lists (a path, bytes, an open file, a Pillow
        image, pixels), or a `Photo` of that with a box. A single one counts as a list of one.

        risk: say "unknown" where answers as sure as this one erred more often than that on validation. Raises KcarsError for a bad photo, and where
        the model was trained to compare.
        """
        return [_or_raise(answer) for answer in self.predict_each(photos, top, risk)]

    def predict_each(
        self, photos: Iterable, top: int = 5, risk: float | None = None
    ) -> Iterator[Prediction | tuple[Photo, KcarsError]]:
        """As `predict`, one answer after the other, in order: photos may be endless. A bad one gives itself and its error."""
        self.refuse_other_task("classify", NAMES_NOTHING)
        if top < 1:
            raise KcarsError(f"top: {top} is no number of names; 1 is the least")
        answers = Answers(self.card, risk)
        for photo, output in self.outputs_each(photos):
            if isinstance(output, KcarsError):
                yield photo, output
            else:
                yield answers.names(photo.name, output, top, photo.box)

    def compare(self, left, right, risk: float | None = None) -> Comparison:
        """Whether two photos show the same; photos and risk as in `predict`."""
        self.refuse_other_task("verify", COMPARES_NOTHING)
        photos = [as_photo(left), as_photo(right)]  # An open file can be read once.
        vectors = self.embed(photos)
        return Answers(self.card, risk).comparison(photos[0].name, photos[1].name, *vectors)

    def embed(self, photos: Sequence) -> np.ndarray:
        """Vectors (n, d) float32 whose Euclidean distances tell how alike photos are."""
        vectors = [_or_raise(output) for _, output in self.embed_each(photos)]
        return np.stack(vectors) if vectors else np.zeros((0, self.card["embedding"]), np.float32)

    def embed_each(self, photos: Iterable) -> Iterator[tuple[Photo, np.ndarray | KcarsError]]:
        """As `embed`, one vector (d,) after the other, in order: photos may be endless. A bad one gives its error."""
        self.refuse_other_task("verify", "has no embedding whose distances were trained: it names (kcars predict)")
        yield from self.outputs_each(photos)

    def outputs_each(self, photos: Iterable) -> Iterator[tuple[Photo, np.ndarray | KcarsError]]:
        """Each photo and what the network gives of it, in order, or why it cannot be read. The cores read ahead."""
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
        """What the network gives of photos as `read` has them, (n, s, s, 3) uint8: logits or embeddings (n, d)."""
        parts = [self._finite(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, _width(self.card)), np.float32)

    def _finite(self, pixels: np.ndarray) -> np.ndarray:
        outputs = self._network(pixels)
        if len(outputs) != len(pixels):
            raise KcarsError(f"model {self.card['place']}: gives {len(outputs)} answers to {len(pixels)} photos")
        if not np.isfinite(outputs).all():
            raise KcarsError(f"model {self.card['place']}: gives numbers that are not finite; its weights are damaged")
        return outputs

    def read(self, photo: Photo) -> np.ndarray | KcarsError:
        """What the network is given of a photo, (s, s, 3) uint8, or why it cannot be read."""
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
        """KcarsError that says `what` of a model that was not trained for the task."""
        if self.task != task:
            raise KcarsError(f"{self.card['place']}: {what}")


def load(place: str | Path) -> Predictor:
    """A Predictor over a run folder, or over an export: its folder, its SavedModel or its ONNX file.

    Raises KcarsError where there is none, it is unscored, or what would run it is not installed.
    """
    place = Path(place)
    if place.name == CARD:
        place = place.parent
    if place.is_dir() and (place / "run.json").is_file():
        return _of_run(place)
    for folder in (place, *place.parents[:2]):  # The export's folder, or a model in it.
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
    """A Predictor over a run's Keras model and what follows it."""
    from kcars.models.outputs import batch_outputs

    mirror, shift = card["input"]["mirror"], card["input"]["shift"]
    return Predictor(card, lambda pixels: pipeline(batch_outputs(network, pixels, BATCH, mirror, shift)))


def _of_export(folder: Path, model: Path | None) -> Predictor:
    """model: the file or folder in the export that is to answer; without it ONNX Runtime does where it can, as the smaller."""
    card: dict[str, Any] = _read_card(folder) | {"place": str(folder)}
    runners = {ONNX: _onnx, SAVED_MODEL: _saved_model}
    if model is None:
        name = next((name for name in runners if (folder / name).exists()), None)
        if name is None:
            raise KcarsError(f"model {folder}: holds neither {' nor '.join(runners)}; kcars export writes them")
    else:
        name = model.relative_to(folder).as_posix()
        name = SAVED_MODEL if name == Path(SAVED_MODEL).parts[0] else name
        if name not in runners:
            raise one_of(f"model {folder}", name, runners)
    network = runners[name](card, folder / name, task_texts(card["task"]).output)
    size_px = card["input"]["size_px"]
    output = _fitting(card, network, folder / name, np.zeros((1, size_px, size_px, 3), np.uint8))
    if not np.isfinite(output).all():
        raise KcarsError(f"{folder / name}: is damaged: it gives numbers that are not finite; {REMEDY}")
    return Predictor(card, lambda pixels: _fitting(card, network, folder / name, pixels))


def _width(card: dict) -> int:
    """How many numbers the model gives of a photo."""
    return {"logits": len(card["classes"]["names"]), "embedding": card["embedding"]}[task_texts(card["task"]).output]


def _fitting(card: dict, network: Callable, file: Path, pixels: np.ndarray) -> np.ndarray:
    """What a model gives of photos (n, s, s, 3); KcarsError where it fails, or does not answer as its card says."""
    wanted = _width(card)
    photos = "a photo" if len(pixels) == 1 else f"{len(pixels)} photos"
    try:
        output = network(pixels)
        fits = output.shape == (len(pixels), wanted) and output.dtype == np.float32
        found = f"{output.dtype} of shape {output.shape} for {photos}"
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  Each runtime has errors of its own.
        fits, found = False, f"an error for {photos} ({(str(error).splitlines() or [type(error).__name__])[0][:120]})"
    if not fits:
        raise KcarsError(f"{file}: does not fit its {CARD}: gives {found}, not {wanted} numbers a photo; {REMEDY}")
    return output


def _read_card(folder: Path) -> dict:
    path = folder / CARD
    card = read_json(path, folder)
    if not isinstance(card, dict):
        raise KcarsError(f"{path}: holds no JSON object; {REMEDY}")
    if card.get("format") != cards.FORMAT:
        raise KcarsError(f"{path}: written in format {card.get('format')!r}; this kcars reads {cards.FORMAT}")
    refuse_changed(card, path, REMEDY)
    card_schema.check(card, path, REMEDY)
    return card


def _refuse_other_digest(card: dict, kind: str, file: Path, found: Callable[[], str]) -> None:
    """KcarsError where a model is not the one that its card was written with; cards of the first exports tell no digest."""
    if card.get("files") is None:
        return
    if kind not in card["files"]:
        raise KcarsError(f"{file}: is not named by its {CARD}; {REMEDY}")
    if found() != card["files"][kind]["sha256"]:
        raise KcarsError(f"{file}: is damaged, or another than its {CARD} was written with (SHA-256); {REMEDY}")


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
    """(photo, read(photo)) in order; all cores read up to two batches ahead, so that memory stays flat."""
    with ThreadPoolExecutor(joblib.cpu_count()) as pool:
        coming: deque = deque()
        for photo in photos:
            coming.append((replace(photo, source=b""), pool.submit(read, photo)))  # Frames and files wait small.
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
