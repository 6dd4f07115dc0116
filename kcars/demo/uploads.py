"""Reads uploaded files, with messages for unusable ones."""

from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.images import formats
from kcars.inference.photo_source import Photo
from kcars.untrusted.reading import MIB, opened

KNOWN = "JPEG, PNG, WebP and BMP can be read"
GONE = "This photo has been deleted; please add it again."


def photo_in(path: str | Path, folder: Path) -> Photo:
    """Read the bytes of a file in the page's folder as a Photo.

    Raises KcarsError, with a message for visitors, for a file that is too large, not a photo, or not a regular file in the
    folder.
    """
    path, most = Path(path), limits().upload_mib * MIB
    try:
        if ".." in path.parts:
            raise KcarsError(GONE)
        with opened(path, root=folder) as file:
            data = file.read(most + 1)
    except (KcarsError, ValueError):  # ValueError: outside of the folder.
        raise KcarsError(GONE) from None
    if len(data) > most:
        raise KcarsError(f"This file is larger than {limits().upload_mib} MB; please give a smaller photo.")
    _refuse(data)
    return Photo(path.name, data)


def _refuse(data: bytes) -> None:
    """Raise KcarsError for a file without a photo's header, or with too many pixels, before decoding."""
    most = limits().upload_megapixels * 10**6
    try:
        header = formats.header(data)
        pixels = header.width * header.height
    except formats.TooManyPixels:
        pixels = most + 1
    except formats.BeyondLimit as error:
        raise KcarsError(f"This photo exceeds a limit: {error}.") from None
    except ValueError:
        raise KcarsError(f"This file is not a photo; {KNOWN}.") from None
    if pixels > most:
        raise KcarsError(
            f"This photo has more than {limits().upload_megapixels} million pixels; please give a smaller one."
        )
