"""A gallery's folder: index.json lists the files of its generation, so that it can be replaced atomically."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from kcars.core.errors import KcarsError
from kcars.core.files import real_path, sha256, writable_folder, write_json
from kcars.gallery import open_set
from kcars.gallery.names import Names
from kcars.gallery.photos import Kept, read_photos, write_photos
from kcars.gallery.vector_index import LISTS, VectorIndex
from kcars.schemas import parsed
from kcars.schemas.gallery import PHOTOS, VECTORS, Index, Lists
from kcars.untrusted.reading import read_json
from kcars.untrusted.sealed import refuse_changed, sealed

FORMAT, FACTS, LOCK = 1, "index.json", ".lock"
OWN = rf"{VECTORS}|{PHOTOS}"
REMEDY = "build the index again"


@dataclass
class Gallery:
    """The content of a gallery's folder.

    facts: the content of index.json; photos and vector_index: with equal rows.
    """

    folder: Path
    facts: dict
    photos: list[Kept]
    vector_index: VectorIndex

    @classmethod
    def open(cls, folder: Path) -> "Gallery":
        """Open a gallery; KcarsError if the folder is not an index, or a file is missing or damaged."""
        while True:
            facts = read_facts(folder)
            try:
                return cls._of(folder, facts)
            except KcarsError:
                # The generation was replaced between the two reads; read the next one.
                if read_facts(folder)["generation"] == facts["generation"]:
                    raise

    @classmethod
    def _of(cls, folder: Path, facts: dict) -> "Gallery":
        vectors, listed = (folder / facts["files"][name] for name in ("vectors", "photos"))
        digests, count = facts.get("sha256") or {}, facts["count"]
        vector_index = VectorIndex.read(
            vectors, facts["vector_index"], count, facts["dimensions"], digests.get("vectors")
        )
        photos = read_photos(listed, count, digests.get("photos"))
        if len(photos) != count:
            found = f"{len(photos)} photos" if len(photos) < count else "more photos"
            raise KcarsError(f"{folder}: its files are inconsistent ({found}, {count} in {FACTS}); {REMEDY}")
        return cls(folder, facts, photos, vector_index)

    def refuse_other_model(self, card: dict) -> None:
        """Raise KcarsError if the card is not that of the model that embedded the photos."""
        refuse_other_model(self.folder, self.facts, card)

    @property
    def target(self) -> str:
        """The model's target: make or model."""
        return self.facts["model"]["target"]

    def names(self) -> list[str]:
        """Return the name of each photo, "" if it has none."""
        return [photo.name(self.target) for photo in self.photos]


def model_place(folder: Path, facts: dict) -> Path:
    """Return the location of the model that built an index; KcarsError if it is missing."""
    place = Path(facts["model"]["place"])
    try:
        there = place.exists()
    except (OSError, ValueError):  # Not a valid file name.
        there = False
    if not there:
        raise KcarsError(
            f"index {folder}: the model that built it, {place}, is missing; give --model with its new location, or an export of it"
        )
    return place


def refuse_other_model(folder: Path, facts: dict, card: dict) -> None:
    """Raise KcarsError if the card is not that of the model that embedded the photos of an index, from its facts."""
    own, found = facts["model"]["fingerprint"], fingerprint_of(card)
    if found != own:
        raise KcarsError(
            f"{card['place']}: is not the model that built {folder} (fingerprint {found}, not {own}), so their distances "
            f"are not comparable; use that model ({facts['model']['place']}), or build the index again"
        )
    if facts["dimensions"] != card["embedding"]:
        raise KcarsError(
            f"index {folder}: has vectors of {facts['dimensions']} dimensions, but its model {card['place']} has {card['embedding']}; {REMEDY}"
        )


def fingerprint_of(card: dict) -> str:
    """Return a verifier's fingerprint from its card; KcarsError if it is a classifier, or the card has no fingerprint."""
    if card["task"] != "verify":
        raise KcarsError(f"{card['place']}: is a classifier and has no embedding for search; name a verifier")
    if not card.get("model_fingerprint"):
        raise KcarsError(f"{card['place']}: was written by an earlier kcars without a fingerprint; export again")
    return card["model_fingerprint"]


def read_facts(folder: Path) -> dict:
    """Read index.json; KcarsError if it is missing, damaged or of another format."""
    file = folder / FACTS
    if not file.is_file():
        found = f"is not an index ({FACTS} is missing)" if folder.exists() else "does not exist"
        raise KcarsError(f"index {folder}: {found}; name a folder that kcars index build wrote")
    facts = read_json(file, folder)
    if not isinstance(facts, dict):
        raise KcarsError(f"{file}: is not a JSON object; {REMEDY}")
    if facts.get("format") != FORMAT:
        raise KcarsError(f"{file}: written in format {facts.get('format')!r}; this kcars reads {FORMAT}")
    refuse_changed(facts, file, REMEDY)
    index = parsed(Index, facts, file, REMEDY)
    if index.vector_index.kind == LISTS:
        parsed(Lists, facts["vector_index"], f"{file}: vector_index", REMEDY)
    return facts


def check_place(folder: Path, force: bool) -> None:
    """Raise KcarsError if the folder has other files, or has an index and `force` is not given."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise KcarsError(f"--out {folder}: is a file; name a folder")
    others = sorted(entry.name for entry in folder.iterdir() if not _own(entry))
    if (folder / FACTS).exists() and not _generations(folder):
        others.append(FACTS)  # Other programs write files of this name as well.
    if others:
        raise KcarsError(f"--out {folder}: has {others[0]}, which is not part of an index; choose another folder")
    if (folder / FACTS).exists() and not force:
        raise KcarsError(f"--out {folder}: is an existing index; kcars index add adds to it, --force replaces it")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the index against writing by other processes; KcarsError if it is locked. The lock of a killed process is released."""
    _refuse_other_kind(folder / LOCK)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise KcarsError(f"index {folder}: another process is writing it; wait until it ends") from None
    except OSError as error:
        raise KcarsError(f"index {folder}: cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        lock.release()


def write(folder: Path, card: dict, photos: Sequence[Kept], vector_index: VectorIndex) -> dict:
    """Write a new generation for a model's card, see `_written`."""
    return _written(folder, _model(card), card["decision"], photos, vector_index)


def rewrite(gallery: Gallery, photos: Sequence[Kept], vector_index: VectorIndex) -> Gallery:
    """Write a new generation of an index with its own model, see `_written`."""
    facts = _written(gallery.folder, gallery.facts["model"], gallery.facts["decision"], photos, vector_index)
    return Gallery(gallery.folder, facts, list(photos), vector_index)


def _written(folder: Path, model: dict, decision: dict, photos: Sequence[Kept], vector_index: VectorIndex) -> dict:
    """Write a new generation, switch to it, and delete the old one, with the lock held; return the facts.

    If killed at any point, index.json lists either the old or the new files, which are complete.
    """
    writable_folder(folder, "index")
    number = max(_generations(folder), default=0) + 1
    files = {"vectors": f"vectors-{number}.faiss", "photos": f"photos-{number}.csv"}
    facts = _facts(model, decision, photos, vector_index) | {"generation": number, "files": files}
    parsed(Index, sealed(facts), f"index {folder}: nothing was written, because it could not be read", REMEDY)
    try:
        vector_index.write(folder / files["vectors"])
        write_photos(folder / files["photos"], photos)
        facts = sealed(facts | {"sha256": {name: sha256(folder / file) for name, file in files.items()}})
        write_json(folder / FACTS, facts)
    except BaseException:
        for name in files.values():
            (folder / name).unlink(missing_ok=True)
        raise
    for entry in folder.iterdir():  # The old generation, and incomplete files.
        generation = re.fullmatch(OWN, entry.name) or _half(entry.name)
        if entry.name not in files.values() and generation and _is_file(entry):
            entry.unlink(missing_ok=True)
    return facts


def _model(card: dict) -> dict:
    return {
        "place": str(real_path(card["place"])),
        "fingerprint": fingerprint_of(card),
        "strategy": card.get("strategy", ""),
        "target": card["target"],
        "crop": card["input"]["crop"],
        "padding": card["input"]["padding"],
    }


def _facts(model: dict, decision: dict, photos: Sequence[Kept], vector_index: VectorIndex) -> dict:
    from kcars.core.environment import versions

    named = [photo.name(model["target"]) for photo in photos]
    names = Names.of(named, vector_index, decision["scale"])
    return {
        "format": FORMAT,
        "model": model,
        "dimensions": vector_index.width,
        "count": len(photos),
        "names": len(set(filter(None, named))),
        "decision": {name: decision[name] for name in ("threshold", "scale", "offset")},
        "vector_index": vector_index.facts,
        "open_set": names and open_set.chosen(names),
        "versions": versions(),
    }


def _generations(folder: Path) -> list[int]:
    """Return the numbers of the generations with files in a folder."""
    own = [entry.name for entry in folder.iterdir() if re.fullmatch(OWN, entry.name)]
    return [int(found[0]) for name in own if (found := re.search(r"\d+", name))]


def _own(entry: Path) -> bool:
    """Return whether an entry is a file, not a link, with a name that kcars uses."""
    name = entry.name
    return (name in (FACTS, LOCK) or _half(name) or re.fullmatch(OWN, name) is not None) and _is_file(entry)


def _half(name: str) -> bool:
    """Return whether `written_whole` uses this name for an incomplete file."""
    return re.fullmatch(rf"\.({OWN}|{re.escape(FACTS)})\.\w{{8}}", name) is not None


def _is_file(entry: Path) -> bool:
    try:
        return stat.S_ISREG(entry.lstat().st_mode)
    except OSError:
        return False


def _refuse_other_kind(file: Path) -> None:
    """Raise KcarsError if a file is a link or not regular: opening it would change another file, or block."""
    if not _is_file(file) and os.path.lexists(file):
        raise KcarsError(f"{file}: is a link, or not a regular file; remove it")
