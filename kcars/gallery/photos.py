"""The photos of a gallery: what is kept of each, as a CSV file of which a million lines are read in seconds."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcars.data.index import with_make
from kcars.errors import KcarsError
from kcars.files import csv_text, written_whole
from kcars.photos_in import Box

COLUMNS = ("path", "digest", "make", "model", "left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class Kept:
    """A photo that a gallery keeps the vector of.

    path: absolute; digest: of the file's bytes; make, model: "" where unknown, a name given by enrolment is `model`;
    box: what was embedded of it, None for the whole.
    """

    path: str
    digest: str
    make: str = ""
    model: str = ""
    box: Box | None = None

    @property
    def key(self) -> tuple:
        """Equal for what shows the same pixels."""
        return self.digest, self.box

    def name(self, target: str) -> str:
        """Of its make, or of make and model; "" where it has none."""
        return (self.make or self.model) if target == "make" else with_make(self.make, self.model)


def digest(content: bytes | np.ndarray) -> str:
    """Of a file's bytes or of pixels, in hexadecimal."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def write_photos(file: Path, photos: Sequence[Kept]) -> None:
    """Names of files that are no UTF-8 keep their bytes."""
    columns = {name: [getattr(photo, name) for photo in photos] for name in COLUMNS[:4]}
    boxes = [photo.box or ("",) * 4 for photo in photos]
    columns |= {name: [box[place] for box in boxes] for place, name in enumerate(COLUMNS[4:])}
    with written_whole(file, "wb") as out:
        out.write(csv_text(columns).encode("utf-8", "surrogateescape"))


def read_photos(file: Path) -> list[Kept]:
    """What `write_photos` wrote; KcarsError where the file is missing or damaged."""
    try:
        with file.open("rb") as content:
            lines = csv.reader(io.TextIOWrapper(content, "utf-8", "surrogateescape", newline=""))
            if next(lines, None) != list(COLUMNS):
                raise ValueError("another head")
            return [_kept(cells) for cells in lines]
    except (OSError, ValueError, csv.Error) as error:
        told = getattr(error, "strerror", None) or error
        raise KcarsError(f"{file}: cannot be read ({told}); build the index anew") from None


def _kept(cells: list[str]) -> Kept:
    path, sum_, make, model, *edges = cells
    box = tuple(map(float, edges)) if edges[0] else None
    if len(edges) != 4:
        raise ValueError(f"{len(cells)} cells in a line")
    return Kept(path, sum_, make, model, box)
