"""The photos of a gallery, stored as a CSV file; a million lines are read in seconds."""

import csv
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from kcars.core.csv_files import csv_text
from kcars.core.errors import KcarsError
from kcars.core.files import written_whole
from kcars.data.photo_table import with_make
from kcars.images.decode import photo_bytes
from kcars.inference.photo_source import Box
from kcars.untrusted.reading import opened
from kcars.untrusted.rows import Lines

COLUMNS = ("path", "digest", "make", "model", "left", "top", "right", "bottom")
MOST_PATH, MOST_NAME, MOST_LINE_BYTES = 4096, 4096, 2**16


@dataclass(frozen=True, slots=True)
class Kept:
    """A photo in a gallery.

    path: absolute; digest: of the file's bytes; make, model: "" if unknown, an enrolled name is `model`; box: the embedded
    part, None for the whole photo.
    """

    path: str
    digest: str
    make: str = ""
    model: str = ""
    box: Box | None = None

    @property
    def key(self) -> tuple:
        """Return a key that is equal for equal pixels."""
        return self.digest, self.box

    def name(self, target: str) -> str:
        """Return the name of its make, or of make and model; "" if it has none."""
        return (self.make or self.model) if target == "make" else with_make(self.make, self.model)


def digest(content: bytes | np.ndarray) -> str:
    """Return the digest of a file's bytes or of pixels, in hexadecimal."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()  # pyright: ignore[reportArgumentType]  Contiguous pixels are a buffer.


def content_of(photo: Kept) -> bytes:
    """Read the embedded file; KcarsError if it cannot be read, or has changed."""
    content = photo_bytes(Path(photo.path))
    if photo.digest and digest(content) != photo.digest:
        raise KcarsError(f"{photo.path}: has changed since it was added to the index")
    return content


def write_photos(file: Path, photos: Sequence[Kept]) -> None:
    """Write the CSV file, keeping file names that are not UTF-8; KcarsError for a name that is too long."""
    for photo in photos:
        if max(len(photo.make), len(photo.model)) > MOST_NAME:
            raise KcarsError(
                f"{photo.path}: its make or model has more than {MOST_NAME} characters; give it a shorter name"
            )
    columns = {name: [getattr(photo, name) for photo in photos] for name in COLUMNS[:4]}
    boxes = [photo.box or ("",) * 4 for photo in photos]
    columns |= {name: [box[place] for box in boxes] for place, name in enumerate(COLUMNS[4:])}
    with written_whole(file, "wb") as out:
        out.write(csv_text(columns, exact=True).encode("utf-8", "surrogateescape"))


def read_photos(file: Path, count: int, sha256: str | None = None) -> list[Kept]:
    """Read `count` photos from the file of `write_photos`; KcarsError if it is missing or damaged.

    sha256: of the file, None if it was not recorded.
    """
    with opened(file, count * MOST_LINE_BYTES + MOST_LINE_BYTES, file.parent) as content:
        try:
            if sha256 and hashlib.file_digest(content, "sha256").hexdigest() != sha256:
                raise ValueError("it has changed since it was written (SHA-256)")
            content.seek(0)
            lines = Lines(io.TextIOWrapper(content, "utf-8", "surrogateescape", newline=""))
            rows = lines.rows(csv.reader(lines))
            if next(rows, None) != list(COLUMNS):
                raise ValueError("unexpected header")
            return [_kept(cells, line) for line, cells in enumerate(islice(rows, count + 1), 1)]
        except (ValueError, csv.Error) as error:
            raise KcarsError(f"{file}: cannot be read ({error}); build the index again") from None


def _kept(cells: list[str], line: int) -> Kept:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"photo {line}: {len(cells)} cells, not {len(COLUMNS)}")
    path, sum_, make, model, *edges = cells
    if not path or "\0" in path or len(path) > MOST_PATH:
        raise ValueError(f"photo {line}: {path[:60]!r} is not a path")
    if max(len(sum_), len(make), len(model)) > MOST_NAME:
        raise ValueError(f"photo {line}: a name of more than {MOST_NAME} characters")
    return Kept(path, sum_, make, model, _box(edges, line) if any(edges) else None)


def _box(edges: list[str], line: int) -> Box:
    left, top, right, bottom = map(float, edges)
    if not (all(map(math.isfinite, (left, top, right, bottom))) and left < right and top < bottom):
        raise ValueError(f"photo {line}: {','.join(edges)[:60]!r} is not a box")
    return left, top, right, bottom
