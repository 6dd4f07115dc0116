"""A gallery's folder: index.json, which names the files of its generation, so that a new one takes its place at once."""

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
REMEDY = "build the index anew"


@dataclass
class Gallery:
    """What a folder holds.

    facts: the content of index.json; photos and vector_index: row by row the same.
    """

    folder: Path
    facts: dict
    photos: list[Kept]
    vector_index: VectorIndex

    @classmethod
    def open(cls, folder: Path) -> "Gallery":
        """KcarsError where the folder is no index, or a file of it is missing or damaged."""
        while True:
            facts = read_facts(folder)
            try:
                return cls._of(folder, facts)
            except KcarsError:
                # A generation that was replaced between the two reads: the next one is read.
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
            told = f"{len(photos)} photos" if len(photos) < count else "more photos"
            raise KcarsError(f"{folder}: its files do not fit together ({told}, {count} in {FACTS}); {REMEDY}")
        return cls(folder, facts, photos, vector_index)

    def refuse_other_model(self, card: dict) -> None:
        """KcarsError where the card is not of the model that embedded the photos."""
        refuse_other_model(self.folder, self.facts, card)

    @property
    def target(self) -> str:
        """What the model tells apart: make or model."""
        return self.facts["model"]["target"]

    def names(self) -> list[str]:
        """Of each photo, "" where it has none."""
        return [photo.name(self.target) for photo in self.photos]


def model_place(folder: Path, facts: dict) -> Path:
    """Where the model of an index lay when it built it; KcarsError where nothing is there any more."""
    place = Path(facts["model"]["place"])
    try:
        there = place.exists()
    except (OSError, ValueError):  # No name that a file can have.
        there = False
    if not there:
        raise KcarsError(
            f"index {folder}: the model that built it, {place}, is not there any more; name it, or an export of it"
        )
    return place


def refuse_other_model(folder: Path, facts: dict, card: dict) -> None:
    """KcarsError where the card is not of the model that embedded the photos of an index, by its facts."""
    own, found = facts["model"]["fingerprint"], fingerprint_of(card)
    if found != own:
        raise KcarsError(
            f"{card['place']}: is not the model that built {folder} (fingerprint {found}, not {own}), so that their distances "
            f"mean nothing; name that one ({facts['model']['place']}), or build the index anew"
        )
    if facts["dimensions"] != card["embedding"]:
        raise KcarsError(
            f"index {folder}: has vectors of {facts['dimensions']} numbers, its model {card['place']} gives {card['embedding']}; {REMEDY}"
        )


def fingerprint_of(card: dict) -> str:
    """Of a verifier, by its card; KcarsError where the model names, or its card does not tell."""
    if card["task"] != "verify":
        raise KcarsError(f"{card['place']}: has no embedding to search by: it names (kcars predict); name a verifier")
    if not card.get("model_fingerprint"):
        raise KcarsError(
            f"{card['place']}: was written by an earlier kcars and does not tell its fingerprint; export anew"
        )
    return card["model_fingerprint"]


def read_facts(folder: Path) -> dict:
    """index.json; KcarsError where there is none, or it is damaged or of another format."""
    file = folder / FACTS
    if not file.is_file():
        found = f"is no index ({FACTS} is missing)" if folder.exists() else "does not exist"
        raise KcarsError(f"index {folder}: {found}; name a folder that kcars index build wrote")
    facts = read_json(file, folder)
    if not isinstance(facts, dict):
        raise KcarsError(f"{file}: holds no JSON object; {REMEDY}")
    if facts.get("format") != FORMAT:
        raise KcarsError(f"{file}: written in format {facts.get('format')!r}; this kcars reads {FORMAT}")
    refuse_changed(facts, file, REMEDY)
    index = parsed(Index, facts, file, REMEDY)
    if index.vector_index.kind == LISTS:
        parsed(Lists, facts["vector_index"], f"{file}: vector_index", REMEDY)
    return facts


def check_place(folder: Path, force: bool) -> None:
    """KcarsError where no new index can be written: something else lies there, or an index and `force` is not given."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise KcarsError(f"--out {folder}: is a file; name a folder")
    others = sorted(entry.name for entry in folder.iterdir() if not _own(entry))
    if (folder / FACTS).exists() and not _generations(folder):
        others.append(FACTS)  # Many programs write a file of that name.
    if others:
        raise KcarsError(f"--out {folder}: holds {others[0]}, which is no part of an index; choose another folder")
    if (folder / FACTS).exists() and not force:
        raise KcarsError(f"--out {folder}: holds an index already; kcars index add adds to it, --force replaces it")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside the block no other process writes the index; KcarsError where one does. A killed process holds no lock."""
    _refuse_other_kind(folder / LOCK)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise KcarsError(f"index {folder}: another process writes it; wait for its end") from None
    except OSError as error:
        raise KcarsError(f"index {folder}: cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        lock.release()


def write(folder: Path, card: dict, photos: Sequence[Kept], vector_index: VectorIndex) -> dict:
    """A new generation by a model's card, as `_written` writes it."""
    return _written(folder, _model(card), card["decision"], photos, vector_index)


def rewrite(gallery: Gallery, photos: Sequence[Kept], vector_index: VectorIndex) -> Gallery:
    """A new generation of an index, by the model that it was built by, as `_written` writes it."""
    facts = _written(gallery.folder, gallery.facts["model"], gallery.facts["decision"], photos, vector_index)
    return Gallery(gallery.folder, facts, list(photos), vector_index)


def _written(folder: Path, model: dict, decision: dict, photos: Sequence[Kept], vector_index: VectorIndex) -> dict:
    """Write a new generation beside the old one, switch, and delete the old; the lock must be held. The facts written.

    Killed anywhere, index.json names either the old files or the new ones, and both were whole by then.
    """
    writable_folder(folder, "index")
    number = max(_generations(folder), default=0) + 1
    files = {"vectors": f"vectors-{number}.faiss", "photos": f"photos-{number}.csv"}
    facts = _facts(model, decision, photos, vector_index) | {"generation": number, "files": files}
    parsed(Index, sealed(facts), f"index {folder}: nothing was written, as it could not be read", REMEDY)
    try:
        vector_index.write(folder / files["vectors"])
        write_photos(folder / files["photos"], photos)
        facts = sealed(facts | {"sha256": {name: sha256(folder / file) for name, file in files.items()}})
        write_json(folder / FACTS, facts)
    except BaseException:
        for name in files.values():
            (folder / name).unlink(missing_ok=True)
        raise
    for entry in folder.iterdir():  # The old generation, and what was left half written.
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
    """Numbers of the generations that a folder has files of."""
    own = [entry.name for entry in folder.iterdir() if re.fullmatch(OWN, entry.name)]
    return [int(found[0]) for name in own if (found := re.search(r"\d+", name))]


def _own(entry: Path) -> bool:
    """Whether an entry of the folder is a file, and no link, with a name that kcars gives."""
    name = entry.name
    return (name in (FACTS, LOCK) or _half(name) or re.fullmatch(OWN, name) is not None) and _is_file(entry)


def _half(name: str) -> bool:
    """As `written_whole` names a file before it is whole."""
    return re.fullmatch(rf"\.({OWN}|{re.escape(FACTS)})\.\w{{8}}", name) is not None


def _is_file(entry: Path) -> bool:
    try:
        return stat.S_ISREG(entry.lstat().st_mode)
    except OSError:
        return False


def _refuse_other_kind(file: Path) -> None:
    """KcarsError where a file that is to be opened is a link, or no file: opening it would change another one, or wait."""
    if not _is_file(file) and os.path.lexists(file):
        raise KcarsError(f"{file}: is a link, or no regular file; take it away")
