"""Adds photos to a gallery: reads and embeds each once, and reports bad and known ones."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from os.path import abspath
from pathlib import Path
from unicodedata import normalize

import numpy as np
from tqdm import tqdm

from kcars.core.errors import KcarsError
from kcars.data.photo_table import with_make
from kcars.data.spelling import plain
from kcars.gallery.described import Named
from kcars.gallery.photos import MOST_NAME, Kept, content_of, digest
from kcars.gallery.store import Gallery, check_place, fingerprint_of, locked, read_facts, refuse_other_model, write
from kcars.gallery.vector_index import VectorIndex, faiss_module
from kcars.images.decode import photo_bytes
from kcars.inference.photo_source import Photo
from kcars.inference.predictions import UNKNOWN
from kcars.inference.predictor import Predictor

Report = Callable[[str], None]
MOST_NAMED = 20  # Copies of photos that are reported one by one.


class Intake:
    """Photos to add to a gallery that has `photos`.

    kept: those, followed by the new embedded ones; again: gallery rows of photos that were given again; moved: number of
    these with another place; passed_over: number of unreadable photos.
    """

    def __init__(self, photos: Sequence[Kept], report: Report):
        self.kept, self.again, self.moved, self.passed_over, self._report = list(photos), [], 0, 0, report
        self._digests: dict[str, str] = {}  # Of the given files, by path.
        self._held, self._copies = len(photos), 0
        self._rows = {photo.key: row for row, photo in enumerate(photos)}

    def embed(self, model: Predictor, given: Sequence[Named], progress: bool = True) -> np.ndarray:
        """Return the vectors (m, d) float32 of the new photos; KcarsError if no photo can be read."""
        coming: deque[Kept] = deque()
        vectors = [np.zeros((0, model.card["embedding"]), np.float32)]
        with tqdm(total=len(given), desc="embedding", unit="photo", disable=None if progress else True) as bar:
            for _, vector in model.embed_each(self._new(given, coming, bar.update)):
                kept = coming.popleft()
                if isinstance(vector, KcarsError):
                    self._pass_over(vector, len(given))
                    continue
                self._digests[kept.path] = kept.digest
                row = self._rows.setdefault(kept.key, len(self.kept))
                if row < len(self.kept):  # A file that was given twice.
                    self._note_again(kept.path, row)
                    continue
                self.kept.append(kept)
                vectors.append(vector[None])
        if self.passed_over == len(given):
            raise KcarsError(f"none of the {len(given)} photos could be read; nothing was written")
        return np.concatenate(vectors)

    def summary(self, model: Predictor) -> Iterator[str]:
        """Yield the report lines after embedding."""
        new = self.kept[self._held :]
        if self._copies > MOST_NAMED:
            yield f"skipped: {self._copies - MOST_NAMED} more copies of photos in the index"
        if self.again or self.passed_over:
            known = (len(self.again) - self.moved, "known")
            rest = (known, (self.moved, "moved"), (self.passed_over, "skipped"))
            yield ", ".join([f"photos: {len(new)} new", *(f"{count} {what}" for count, what in rest if count)])
        whole = sum(photo.box is None for photo in new)
        if whole and model.card["input"]["learned_in_boxes"]:
            yield (
                f"used whole, without a box: {whole} of the new photos; this model was trained on cars cropped to their boxes: if a car does "
                "not fill the photo, give its box (--boxes)"
            )

    def _new(self, given: Sequence[Named], coming: deque, done: Callable[[], object]) -> Iterator[Photo]:
        """Yield the new photos with their bytes; append their gallery entries to `coming` in the same order."""
        for photo, make, model in given:
            done()
            try:
                content = _content(photo)
            except KcarsError as error:
                self._pass_over(error, len(given))
                continue
            kept = Kept(abspath(_path(photo)), digest(content), make, model, photo.box)
            if kept.key in self._rows:
                self._digests[kept.path] = kept.digest
                self._note_known(kept, self._rows[kept.key])
                continue
            coming.append(kept)
            yield replace(photo, source=content)

    def replaced(self) -> set[int]:
        """Return the gallery rows of files that now contain another photo; report them."""
        rows = {
            row
            for row, photo in enumerate(self.kept[: self._held])
            if self._digests.get(photo.path, photo.digest) != photo.digest
        }
        for row in sorted(rows):
            photo = self.kept[row]
            called = f" (called {name})" if (name := with_make(photo.make, photo.model)) else ""
            self._report(f"overwritten: {photo.path} is not the earlier photo{called}")
        return rows

    def _note_known(self, new: Kept, row: int) -> None:
        """Note a known photo: moved if it is no longer at its old place, otherwise a copy.

        A moved photo has the name of its new place, or keeps its own if that gives none.
        """
        old = self.kept[row]
        if row >= self._held or old.path == new.path or _holds(old):
            self._note_again(new.path, row)
            return
        name = (new.make, new.model) if new.make or new.model else (old.make, old.model)
        self.kept[row] = replace(old, path=new.path, make=name[0], model=name[1])
        self.again.append(row)
        self.moved += 1
        before, now = with_make(old.make, old.model), with_make(*name)
        called = (
            "" if before == now else f", {f'was called {before}' if before else 'had no name'} and is called {now} now"
        )
        self._report(f"moved: {old.path} is now {new.path}{called}")

    def _note_again(self, path: str, row: int) -> None:
        self.again.append(row)
        if path == (first := self.kept[row].path):
            return
        self._copies += 1
        if self._copies <= MOST_NAMED:
            self._report(f"skipped: {path} is the same file as {first}")

    def _pass_over(self, error: KcarsError, given: int) -> None:
        if given == 1:  # The caller reports the only photo.
            raise error
        self.passed_over += 1
        self._report(f"skipped: {error}")


def build(model: Predictor, given: Sequence[Named], out: Path, exact: bool, force: bool, report: Report) -> Gallery:
    """Build an index of the photos in the folder `out`; an existing one is replaced once the new one is complete.

    Raises KcarsError if the model is a classifier, `out` has other files, or no photo can be read.
    """
    check_place(out, force)
    fingerprint_of(model.card)
    faiss_module()  # Fails before an hour of embedding if FAISS is missing.
    intake = Intake((), report)
    vectors = intake.embed(model, given)
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
    for line in intake.summary(model):
        report(line)
    return Gallery(out, facts, intake.kept, vector_index)


def add(model: Predictor, given: Sequence[Named], folder: Path, report: Report) -> Gallery:
    """Add photos to an index; without new photos it is unchanged."""
    return _extended(model, given, folder, report, None)


def enroll(model: Predictor, name: str, given: Sequence[Named], folder: Path, report: Report) -> Gallery:
    """Add photos under a name; photos that the index already has are renamed.

    Raises KcarsError if the name is invalid, or no photo can be read.
    """
    name = as_name(name)
    return _extended(model, [Named(one.photo, "", name) for one in given], folder, report, name)


def as_name(text: str) -> str:
    """Return the text with single spaces as a name; KcarsError if it is invalid."""
    name = normalize("NFC", " ".join(text.split()))
    if not name or name == UNKNOWN:
        raise KcarsError(f"NAME: {text!r} is not allowed; give a text other than blanks and {UNKNOWN!r}")
    if len(name) > MOST_NAME:
        raise KcarsError(f"NAME: has {len(name)} characters; the limit is {MOST_NAME}")
    return name


def _extended(model: Predictor, given: Sequence[Named], folder: Path, report: Report, name: str | None) -> Gallery:
    refuse_other_model(folder, read_facts(folder), model.card)  # Before locking, which needs the folder.
    with locked(folder):
        gallery = Gallery.open(folder)
        gallery.refuse_other_model(model.card)  # The index may have been replaced meanwhile.
        intake = Intake(gallery.photos, report)
        given = _as_known(given, gallery, report)
        name = Kept("", "", given[0].make, given[0].model).name(gallery.target) if name and given else name
        vectors = intake.embed(model, given)
        renamed = _rename(intake, name, gallery.target, report) if name else 0
        for line in intake.summary(model):
            report(line)
        replaced = intake.replaced()
        if not len(vectors) and not renamed and not intake.moved and not replaced:
            return gallery
        photos, vector_index = intake.kept, gallery.vector_index
        if replaced:
            photos = [photo for row, photo in enumerate(photos) if row not in replaced]
            vector_index = vector_index.only(np.setdiff1d(np.arange(len(vector_index)), [*replaced]))
        vector_index = vector_index.with_more(vectors)
        facts = write(folder, model.card, photos, vector_index)
    return Gallery(folder, facts, photos, vector_index)


def _as_known(given: Sequence[Named], gallery: Gallery, report: Report) -> list[Named]:
    """Return photos with the gallery's spelling of names that differ only in case, blanks or Unicode form."""
    target, known, respelled = gallery.target, {}, {}
    for photo in gallery.photos:
        known.setdefault(plain(photo.name(target)), photo)
    found = []
    for one in given:
        name = Kept("", "", one.make, one.model).name(target)
        same = known.get(plain(name))
        if same and name and (spelled := same.name(target)) != name:
            respelled[name] = spelled
            if target == "make":
                one = one._replace(make=spelled) if one.make else one._replace(model=spelled)
            else:
                one = one._replace(make=same.make, model=same.model)
        found.append(one)
    for name, spelled in respelled.items():
        report(f"called {spelled}, as in the index: {name}")
    return found


def _rename(intake: Intake, name: str, target: str, report: Report) -> int:
    """Rename the photos that were given again; return the number of changed names."""
    renamed = 0
    for row in dict.fromkeys(intake.again):
        photo = intake.kept[row]
        if (before := photo.name(target)) != name:
            intake.kept[row] = replace(photo, make="", model=name)
            report(f"{photo.path}: {f'was called {before}' if before else 'had no name'} and is called {name} now")
            renamed += 1
    return renamed


def _holds(photo: Kept) -> bool:
    """Return whether a photo is still at its place."""
    try:
        content_of(photo)
    except KcarsError:
        return False
    return True


def _content(photo: Photo) -> bytes | np.ndarray:
    if photo.fault:
        raise photo.fault
    return photo_bytes(photo.source) if isinstance(photo.source, Path) else photo.source


def _path(photo: Photo) -> str:
    return str(photo.source) if isinstance(photo.source, Path) else photo.name


def _remove_empty(folder: Path) -> None:
    """Remove a new folder if it is empty."""
    with contextlib.suppress(OSError):  # The folder is not empty.
        (folder / ".lock").unlink(missing_ok=True)
        folder.rmdir()
