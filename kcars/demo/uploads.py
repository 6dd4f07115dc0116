"""Files that visitors send: what is read of them, and what is told where one cannot be answered about."""

from pathlib import Path

from kcars.errors import KcarsError
from kcars.images import formats
from kcars.photos_in import Photo

MOST_BYTES = 20 * 2**20  # Of a file; phones write 2 to 12 MB.
MOST_PIXELS = 50_000_000  # 150 MB as RGB.
KNOWN = "JPEG, PNG, WebP and BMP can be read"


def photo_in(path: str | Path) -> Photo:
    """The photo of an uploaded file, its bytes read; KcarsError, in words for visitors, for what is too large or no photo."""
    path = Path(path)
    try:
        data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else None
    except OSError:
        raise KcarsError("This photo is not there any more; please give it once more.") from None
    if data is None:
        raise KcarsError(f"This file is larger than {MOST_BYTES >> 20} MB; please give a smaller photo.")
    _refuse(data)
    return Photo(path.name, data)


def _refuse(data: bytes) -> None:
    """KcarsError for what has no photo's header, or too many pixels: nothing is decoded yet."""
    try:
        header = formats.header(data)
        pixels = header.width * header.height
    except formats.TooManyPixels:
        pixels = MOST_PIXELS + 1
    except formats.BeyondLimit as error:
        raise KcarsError(f"This photo asks for too much: {error}.") from None
    except ValueError:
        raise KcarsError(f"This file is no photo; {KNOWN}.") from None
    if pixels > MOST_PIXELS:
        raise KcarsError(f"This photo has more than {MOST_PIXELS / 1e6:.0f} million pixels; please give a smaller one.")
