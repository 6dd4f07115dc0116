"""Photos into a gallery: each is read once, embedded, and told of where it is bad or there already."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from os.path import abspath
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kcars.answers import UNKNOWN
from kcars.errors import KcarsError
from kcars.gallery.described import Named
from kcars.gallery.photos import Kept, digest
from kcars.gallery.store import (
    Gallery,
    check_place,
    fingerprint_of,
    locked,
    read_facts,
    refuse_other_model,
    write,
)
from kcars.gallery.vector_index import VectorIndex, faiss_module
from kcars.images.decode import photo_bytes
from kcars.photos_in import Photo
from kcars.predict import Predictor

Tell = Callable[[str], None]


class Intake:
    """Photos on their way into a gallery that has `photos` already.

    kept: those, and behind them the new ones that could be embedded; again: rows in it of photos that came once more;
    passed_over: how many could not be read.
    """

    def __init__(self, photos: Sequence[Kept], tell: Tell):
        self.kept, self.again, self.passed_over, self._tell = list(photos), [], 0, tell
        self._rows = {photo.key: row for row, photo in enumerate(photos)}

    def embed(self, model: Predictor, given: Sequence[Named], progress: bool = True) -> np.ndarray:
        """Vectors (m, d) float32 of the new ones among the photos given."""
        coming: deque[Kept] = deque()
        vectors = [np.zeros((0, model.card["embedding"]), np.float32)]
        with tqdm(total=len(given), desc="embedding", unit="photo", disable=None if progress else True) as bar:
            for _, vector in model.embed_each(self._new(given, coming, bar.update)):
                kept = coming.popleft()
                if isinstance(vector, KcarsError):
                    self._pass_over(vector)
                    continue
                row = self._rows.setdefault(kept.key, len(self.kept))
                if row < len(self.kept):  # The same file twice among those given.
                    self._note_again(kept.path, row)
                    continue
                self.kept.append(kept)
                vectors.append(vector[None])
        return np.concatenate(vectors)

    def _new(self, given: Iterable[Named], coming: deque, done: Callable[[], None]) -> Iterator[Photo]:
        """Photos with their bytes that the gallery lacks; what is kept of each goes into `coming`, in the same order."""
        for photo, make, model in given:
            done()
            try:
                content = _content(photo)
            except KcarsError as error:
                self._pass_over(error)
                continue
            kept = Kept(abspath(_path(photo)), digest(content), make, model, photo.box)
            if kept.key in self._rows:
                self._note_again(kept.path, self._rows[kept.key])
                continue
            coming.append(kept)
            yield replace(photo, source=content)

    def _note_again(self, path: str, row: int) -> None:
        self.again.append(row)
        first = self.kept[row].path
        what = "is in the index already" if first == path else f"is the same file as {first}"
        self._tell(f"not stored twice: {path} {what}")

    def _pass_over(self, error: KcarsError) -> None:
        self.passed_over += 1
        self._tell(f"passed over: {error}")


def build(model: Predictor, given: Sequence[Named], out: Path, exact: bool, force: bool, tell: Tell) -> Gallery:
    """A new index of the photos in the folder `out`, which an earlier one keeps until the new one is whole.

    Raises KcarsError where the model names, `out` holds something else, or no photo can be read.
    """
    check_place(out, force)
    fingerprint_of(model.card)
    faiss_module()  # What is missing is told before an hour of embedding.
    intake = Intake((), tell)
    vectors = intake.embed(model, given)
    if not len(vectors):
        raise KcarsError(f"none of the {len(given)} photos could be read; nothing was written")
    vector_index = VectorIndex.build(vectors, exact)
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KcarsError(f"--out {out}: cannot be written ({error.strerror}); name another folder") from None
    try:
        with locked(out):
            check_place(out, force)
            facts = write(out, model.card, intake.kept, vector_index)
    except BaseException:
        if new:
            _remove_empty(out)
        raise
    _tell_counts(intake, len(vectors), tell)
    return Gallery(out, facts, intake.kept, vector_index)


def add(model: Predictor, given: Sequence[Named], folder: Path, tell: Tell) -> Gallery:
    """The photos beside those that an index holds; with nothing new it stays as it is."""
    return _extended(model, given, folder, tell, None)


def enroll(model: Predictor, name: str, given: Sequence[Named], folder: Path, tell: Tell) -> Gallery:
    """The photos under a name; those that the index holds already, under whatever name, are called so from now on.

    Raises KcarsError where the name is none, or no photo can be read.
    """
    name = " ".join(name.split())
    if not name or name == UNKNOWN:
        raise KcarsError(f"NAME: {name!r} is no name; any text is, but nothing and {UNKNOWN!r}")
    return _extended(model, [Named(one.photo, "", name) for one in given], folder, tell, name)


def _extended(model: Predictor, given: Sequence[Named], folder: Path, tell: Tell, name: str | None) -> Gallery:
    refuse_other_model(folder, read_facts(folder), model.card)  # Before it is locked, which needs the folder.
    with locked(folder):
        gallery = Gallery.open(folder)
        gallery.refuse_other_model(model.card)  # It may have been replaced in between.
        intake = Intake(gallery.photos, tell)
        vectors = intake.embed(model, given)
        if intake.passed_over == len(given):
            raise KcarsError(f"none of the {len(given)} photos could be read; the index stays as it is")
        renamed = _rename(intake, name, gallery.target, tell) if name else 0
        _tell_counts(intake, len(vectors), tell)
        if not len(vectors) and not renamed:
            return gallery
        vector_index = gallery.vector_index.with_more(vectors)
        facts = write(folder, model.card, intake.kept, vector_index)
    return Gallery(folder, facts, intake.kept, vector_index)


def _rename(intake: Intake, name: str, target: str, tell: Tell) -> int:
    """Call what came once more by the name; how many were not."""
    renamed = 0
    for row in dict.fromkeys(intake.again):
        photo = intake.kept[row]
        if (before := photo.name(target)) != name:
            intake.kept[row] = replace(photo, make="", model=name)
            tell(f"{photo.path}: {f'was called {before}' if before else 'had no name'} and is called {name} now")
            renamed += 1
    return renamed


def _tell_counts(intake: Intake, added: int, tell: Tell) -> None:
    parts = [f"{len(intake.again)} were there already"] if intake.again else []
    parts += [f"{intake.passed_over} were passed over"] if intake.passed_over else []
    if parts:
        tell(f"{added} photos are new, {', '.join(parts)}")


def _content(photo: Photo) -> bytes | np.ndarray:
    if photo.fault:
        raise photo.fault
    return photo_bytes(photo.source) if isinstance(photo.source, Path) else photo.source


def _path(photo: Photo) -> str:
    return str(photo.source) if isinstance(photo.source, Path) else photo.name


def _remove_empty(folder: Path) -> None:
    """Take away a folder that was made for what then could not be written."""
    (folder / ".lock").unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
