"""Photos into a gallery: each is read once, embedded, and told of where it is bad or there already."""

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

Tell = Callable[[str], None]
MOST_TOLD = 20  # Copies of photos that are named one by one.


class Intake:
    """Photos on their way into a gallery that has `photos` already.

    kept: those, and behind them the new ones that could be embedded; again: rows in it of photos that came once more;
    moved: how many of those are followed to another place; passed_over: how many could not be read.
    """

    def __init__(self, photos: Sequence[Kept], tell: Tell):
        self.kept, self.again, self.moved, self.passed_over, self._tell = list(photos), [], 0, 0, tell
        self._digests: dict[str, str] = {}  # Of the files given, by path.
        self._held, self._copies = len(photos), 0
        self._rows = {photo.key: row for row, photo in enumerate(photos)}

    def embed(self, model: Predictor, given: Sequence[Named], progress: bool = True) -> np.ndarray:
        """Vectors (m, d) float32 of the new ones among the photos given; KcarsError where none of them can be read."""
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
                if row < len(self.kept):  # The same file twice among those given.
                    self._note_again(kept.path, row)
                    continue
                self.kept.append(kept)
                vectors.append(vector[None])
        if self.passed_over == len(given):
            raise KcarsError(f"none of the {len(given)} photos could be read; nothing was written")
        return np.concatenate(vectors)

    def told(self, model: Predictor) -> Iterator[str]:
        """What there is to tell once all are embedded."""
        new = self.kept[self._held :]
        if self._copies > MOST_TOLD:
            yield f"not stored twice: {self._copies - MOST_TOLD} more copies of photos in the index"
        if self.again or self.passed_over:
            known = (len(self.again) - self.moved, "there already")
            rest = (known, (self.moved, "moved"), (self.passed_over, "passed over"))
            yield ", ".join([f"photos: {len(new)} new", *(f"{count} {what}" for count, what in rest if count)])
        whole = sum(photo.box is None for photo in new)
        if whole and model.card["input"]["learned_in_boxes"]:
            yield (
                f"read whole, for want of a box: {whole} of the new photos; this model learned from cars cut out by theirs: where a car does "
                "not fill its photo, give its box (--boxes)"
            )

    def _new(self, given: Sequence[Named], coming: deque, done: Callable[[], object]) -> Iterator[Photo]:
        """Photos with their bytes that the gallery lacks; what is kept of each goes into `coming`, in the same order."""
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
        """Rows that the gallery had of files which hold another photo now, to be reported and left out."""
        rows = {
            row
            for row, photo in enumerate(self.kept[: self._held])
            if self._digests.get(photo.path, photo.digest) != photo.digest
        }
        for row in sorted(rows):
            photo = self.kept[row]
            called = f", and what was there was called {name}" if (name := with_make(photo.make, photo.model)) else ""
            self._tell(f"overwritten: {photo.path} holds another photo than before{called}")
        return rows

    def _note_known(self, new: Kept, row: int) -> None:
        """A photo that the gallery has: it moved where its old place does not hold it any more, and is a copy otherwise.

        One that moved has the name that its new place gives, or keeps its own where that gives none.
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
        self._tell(f"moved: {old.path} lies at {new.path} now{called}")

    def _note_again(self, path: str, row: int) -> None:
        self.again.append(row)
        if path == (first := self.kept[row].path):
            return
        self._copies += 1
        if self._copies <= MOST_TOLD:
            self._tell(f"not stored twice: {path} is the same file as {first}")

    def _pass_over(self, error: KcarsError, given: int) -> None:
        if given == 1:  # It alone is what there is to tell.
            raise error
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
    for line in intake.told(model):
        tell(line)
    return Gallery(out, facts, intake.kept, vector_index)


def add(model: Predictor, given: Sequence[Named], folder: Path, tell: Tell) -> Gallery:
    """The photos beside those that an index holds; with nothing new it stays as it is."""
    return _extended(model, given, folder, tell, None)


def enroll(model: Predictor, name: str, given: Sequence[Named], folder: Path, tell: Tell) -> Gallery:
    """The photos under a name; those that the index holds already, under whatever name, are called so from now on.

    Raises KcarsError where the name is none, or no photo can be read.
    """
    name = as_name(name)
    return _extended(model, [Named(one.photo, "", name) for one in given], folder, tell, name)


def as_name(text: str) -> str:
    """The name that a text gives, with single spaces; KcarsError where it gives none."""
    name = normalize("NFC", " ".join(text.split()))
    if not name or name == UNKNOWN:
        raise KcarsError(f"NAME: {text!r} cannot be one; give any other text than blanks and {UNKNOWN!r}")
    if len(name) > MOST_NAME:
        raise KcarsError(f"NAME: has {len(name)} characters; up to {MOST_NAME} are kept")
    return name


def _extended(model: Predictor, given: Sequence[Named], folder: Path, tell: Tell, name: str | None) -> Gallery:
    refuse_other_model(folder, read_facts(folder), model.card)  # Before it is locked, which needs the folder.
    with locked(folder):
        gallery = Gallery.open(folder)
        gallery.refuse_other_model(model.card)  # It may have been replaced in between.
        intake = Intake(gallery.photos, tell)
        given = _as_known(given, gallery, tell)
        name = Kept("", "", given[0].make, given[0].model).name(gallery.target) if name and given else name
        vectors = intake.embed(model, given)
        renamed = _rename(intake, name, gallery.target, tell) if name else 0
        for line in intake.told(model):
            tell(line)
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


def _as_known(given: Sequence[Named], gallery: Gallery, tell: Tell) -> list[Named]:
    """Photos with the spelling of names that the gallery has, where theirs differ in case, blanks or Unicode form alone."""
    target, known, told = gallery.target, {}, {}
    for photo in gallery.photos:
        known.setdefault(plain(photo.name(target)), photo)
    found = []
    for one in given:
        name = Kept("", "", one.make, one.model).name(target)
        same = known.get(plain(name))
        if same and name and (spelled := same.name(target)) != name:
            told[name] = spelled
            if target == "make":
                one = one._replace(make=spelled) if one.make else one._replace(model=spelled)
            else:
                one = one._replace(make=same.make, model=same.model)
        found.append(one)
    for name, spelled in told.items():
        tell(f"called {spelled}, as in the index: {name}")
    return found


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


def _holds(photo: Kept) -> bool:
    """Whether the place of a photo still holds it."""
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
    """Take away a folder that was made for what then could not be written."""
    with contextlib.suppress(OSError):  # Somebody has put something there meanwhile.
        (folder / ".lock").unlink(missing_ok=True)
        folder.rmdir()
