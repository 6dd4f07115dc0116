"""Files that visitors send: what is read of them, and what is told where one cannot be answered about."""

import io
from pathlib import Path

from PIL import Image

from kcars.errors import KcarsError
from kcars.limits import limits
from kcars.photos_in import Photo
from kcars.untrusted import MIB, opened

KNOWN = "JPEG, PNG, WebP and BMP can be read"
FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "BMP",
)  # MPO files come as JPEG. Other readers of Pillow start programs, or have no bound.
GONE = "This photo is not there any more; please give it once more."


def photo_in(path: str | Path, folder: Path) -> Photo:
    """The photo of a file in the page's folder, its bytes read.

    Raises KcarsError, in words for visitors, for what is too large, no photo, or no regular file in the folder.
    """
    path, most = Path(path), limits().upload_mib * MIB
    try:
        if ".." in path.parts:
            raise KcarsError(GONE)
        with opened(path, root=folder) as file:
            data = file.read(most + 1)
    except (KcarsError, ValueError):  # ValueError: it lies elsewhere.
        raise KcarsError(GONE) from None
    if len(data) > most:
        raise KcarsError(f"This file is larger than {limits().upload_mib} MB; please give a smaller photo.")
    _refuse(data)
    return Photo(path.name, data)


def _refuse(data: bytes) -> None:
    """KcarsError for what has no photo's header, or too many pixels: nothing is decoded yet."""
    most = limits().upload_megapixels * 10**6
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as photo:
            width, height = photo.size
    except MemoryError:  # The machine is short of memory: that is no fault of the photo.
        raise
    except Image.DecompressionBombError:
        width, height = most, 2
    except Exception:  # noqa: BLE001  Pillow's readers raise whatever a hostile file makes them.
        raise KcarsError(f"This file is no photo; {KNOWN}.") from None
    if width * height > most:
        raise KcarsError(
            f"This photo has more than {limits().upload_megapixels} million pixels; please give a smaller one."
        )
