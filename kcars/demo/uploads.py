"""Files that visitors send: how they are read, and the message for a file that cannot be used."""

from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.images import formats
from kcars.inference.photo_source import Photo
from kcars.untrusted.reading import MIB, opened

KNOWN = "JPEG, PNG, WebP and BMP can be read"
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
        header = formats.header(data)
        pixels = header.width * header.height
    except formats.TooManyPixels:
        pixels = most + 1
    except formats.BeyondLimit as error:
        raise KcarsError(f"This photo asks for too much: {error}.") from None
    except ValueError:
        raise KcarsError(f"This file is no photo; {KNOWN}.") from None
    if pixels > most:
        raise KcarsError(
            f"This photo has more than {limits().upload_megapixels} million pixels; please give a smaller one."
        )
