"""The only module that opens, writes and removes files of a run folder.

Links are not followed; only regular files of bounded size are read; files on which predictions depend are compared with the
SHA-256 in digests.json, recorded when they were written.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kcars.core.errors import KcarsError
from kcars.core.files import json_text, sha256, written_whole
from kcars.core.limits import limits
from kcars.schemas import checked
from kcars.untrusted.reading import MIB, array_in, arrays_in, json_in, opened, read_bytes, refuse_links

if TYPE_CHECKING:
    import numpy as np

DIGESTS = "digests.json"
LOCK = ".lock"
BACK = "restore it, or train again"
EVALUATE, RESUME = "kcars evaluate {folder} rewrites it", "kcars train --resume {folder} rewrites it"
REMEDIES = {
    "run.json": BACK,
    "classes.json": RESUME,
    "scores.json": EVALUATE,
    "best.weights.h5": RESUME,
    "metric.npz": EVALUATE,
    "metric.other.npz": EVALUATE,
    "head.npz": EVALUATE,
    "head.other.npz": EVALUATE,
    "learned_photos.csv": BACK,
    "photo_checksums.npy": BACK,
}
"""The files with a recorded digest, because predictions depend on them, and the remedy if one has changed."""
_MORE = {
    "search.json": "restore it, or choose another --out",
    "history.csv": RESUME,
    "roc.csv": RESUME,
    "class_recall.csv": RESUME,
    "settings.yaml": RESUME,
}
TRIES, PAUSE_SECONDS = (
    10,
    0.02,
)  # A file and its digest may be replaced by another process between reading both.

DigestsFile = dict[str, list[str]]


class RunFolder:
    """Files by their names below `path`, with / between folders. The folder itself may be a link."""

    def __init__(self, path: Path):
        self.path = Path(path)

    def place(self, name: str) -> Path:
        """The path of a file or folder; raises KcarsError if it, or a parent folder in the run, is a link."""
        refuse_links(self.path, self.path / name)
        return self.path / name

    def has(self, name: str) -> bool:
        """Whether the file exists; raises KcarsError if its path is not a regular file."""
        if not os.path.lexists(place := self.place(name)):
            return False
        with opened(place):
            return True

    def remedy(self, name: str) -> str:
        """What to do if a file is damaged."""
        return (REMEDIES | _MORE).get(name, EVALUATE).format(folder=self.path)

    # ---- reading ----

    def read_bytes(self, name: str, most_bytes: int) -> bytes:
        """A file's content; raises KcarsError if it has changed since it was written."""
        content, unchanged = self._read(name, most_bytes)
        if not unchanged:
            raise self._changed(name)
        return content

    def read_text(self, name: str, most_bytes: int | None = None) -> str:
        content = self.read_bytes(name, most_bytes or limits().table_mib * MIB)
        with self._advising(name):
            return content.decode()

    def read_json(self, name: str, schema: Any, before: Callable[[Any], None] = lambda found: None) -> Any:
        """The value in a JSON file; raises KcarsError if it does not match its schema or has changed since it was written.

        before: called with the value before the schema is checked.
        """
        content, unchanged = self._read(name, limits().json_mib * MIB)
        with self._advising(name):
            found = json_in(content.decode(), self.path / name)
        before(found)
        checked(schema, found, self.path / name, self.remedy(name))
        if not unchanged:
            raise self._changed(name)
        return found

    def read_arrays(self, name: str, names: Sequence[str]) -> "dict[str, np.ndarray]":
        """Arrays of an .npz file by name, of finite floating-point numbers."""
        content = self.read_bytes(name, limits().head_mib * MIB)
        with self._advising(name):
            found = arrays_in(io.BytesIO(content), self.path / name, names)
            for key, array in found.items():
                if array.dtype.kind != "f" or not (abs(array) < math.inf).all():
                    raise KcarsError(f"{self.path / name}: {key} contains a number that is not finite")
        return found

    def read_array(self, name: str):
        """The array in an .npy file."""
        content = self.read_bytes(name, limits().table_mib * MIB)
        with self._advising(name):
            return array_in(content, self.path / name)

    def sha256(self, name: str) -> str:
        """SHA-256 of a file of at most `model_mib`; raises KcarsError if it has changed since it was written."""
        for _ in range(TRIES):
            with self._advising(name), opened(self.place(name), limits().model_mib * MIB) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if self._accepts(name, found):
                return found
            time.sleep(PAUSE_SECONDS)
        raise self._changed(name)

    def files(self, folder: str, pattern: str) -> list[str]:
        """Sorted names of the regular files directly in a folder, "" for the run folder itself, that match the pattern."""
        place = self.place(folder) if folder else self.path
        if not place.is_dir():
            return []
        with os.scandir(place) as entries:
            found = [
                one.name for one in entries if one.is_file(follow_symlinks=False) and re.fullmatch(pattern, one.name)
            ]
        return sorted(f"{folder}/{name}" if folder else name for name in found)

    # ---- writing ----

    def folder(self, name: str) -> Path:
        """A folder, created if missing; raises KcarsError if it, or a parent in the run, is a link or cannot be created."""
        place = self.place(name)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KcarsError(f"{place}: cannot be written ({error.strerror})") from None
        return place

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file completely or not at all."""
        place = self.place(name)
        with self._replacing(name, hashlib.sha256(content).hexdigest()), written_whole(place, "wb") as file:
            file.write(content)

    def write_text(self, name: str, text: str) -> None:
        self.write_bytes(name, text.encode(errors="backslashreplace"))

    def write_json(self, name: str, value) -> None:
        self.write_text(name, json_text(value))

    def put(self, name: str, written: Path) -> None:
        """Move a temporary file to its final name; raises OSError if it cannot."""
        with self._replacing(name, sha256(written)):
            os.replace(written, self.place(name))

    def remove(self, name: str) -> None:
        """Delete a file if it exists; raises KcarsError if its path is not a regular file."""
        if self.has(name):
            self.place(name).unlink()

    # ---- digests ----

    @contextlib.contextmanager
    def _replacing(self, name: str, digest: str) -> Iterator[None]:
        """Inside the block, the old and the new content are both accepted, because two files cannot be replaced at once."""
        if name not in REMEDIES:
            yield
            return
        before = self._digests()
        accepted = before.get(name) or self._digest_of_old(name)
        if accepted != [digest]:
            self._write_digests(before | {name: list(dict.fromkeys([*accepted, digest]))})
        yield
        if accepted != [digest]:
            self._write_digests(before | {name: [digest]})

    def _digest_of_old(self, name: str) -> list[str]:
        """The digest of a file that will be replaced; none if it does not exist or is too large to be read."""
        if not self.has(name) or os.stat(self.path / name).st_size > limits().model_mib * MIB:
            return []
        return [sha256(self.path / name)]

    def _digests(self) -> DigestsFile:
        """File -> accepted SHA-256 digests; none for runs of earlier versions."""
        place = self.path / DIGESTS
        if not os.path.lexists(place):
            return {}
        again = "restore it, or delete it to read the files of the run without a comparison"
        try:
            text = read_bytes(place, MIB, self.path)
        except KcarsError:
            if not os.path.lexists(place):  # Another process is replacing the run.
                return {}
            raise
        digests = checked(DigestsFile, json_in(text.decode(errors="replace"), place), place, again)
        if digests.pop(DIGESTS, own := _own_digest(digests)) != own:
            raise KcarsError(f"{place}: has changed since it was written; {again}")
        return digests

    def _write_digests(self, digests: DigestsFile) -> None:
        with written_whole(self.place(DIGESTS)) as file:
            file.write(json.dumps(digests | {DIGESTS: _own_digest(digests)}, indent=1) + "\n")

    def _accepts(self, name: str, digest: str) -> bool:
        if name not in REMEDIES:
            return True
        accepted = self._digests().get(name)
        return not accepted or digest in accepted

    def _read(self, name: str, most_bytes: int) -> tuple[bytes, bool]:
        """A file's content, and whether it is unchanged."""
        for _ in range(TRIES):
            with self._advising(name):
                content = read_bytes(self.path / name, most_bytes, self.path)
            if self._accepts(name, hashlib.sha256(content).hexdigest()):
                return content, True
            time.sleep(PAUSE_SECONDS)
        return content, False

    def _changed(self, name: str) -> KcarsError:
        return KcarsError(f"{self.path / name}: has changed since it was written ({DIGESTS}); {self.remedy(name)}")

    @contextlib.contextmanager
    def _advising(self, name: str) -> Iterator[None]:
        """Adds the remedy to errors of the block."""
        try:
            yield
        except UnicodeDecodeError as error:
            where = f"{error.reason} at byte {error.start}"
            raise KcarsError(f"{self.path / name}: cannot be read ({where}); {self.remedy(name)}") from None
        except KcarsError as error:
            raise KcarsError(f"{error}; {self.remedy(name)}") from None


def _own_digest(digests: DigestsFile) -> list[str]:
    """The digest of digests.json, stored in itself: otherwise its own changes would be blamed on another file."""
    others = {name: found for name, found in digests.items() if name != DIGESTS}
    return [hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()]
