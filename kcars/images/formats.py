"""Identifies photo files and the cost of decoding them from their headers, before any decoder is used.

OpenCV and Pillow choose among dozens of readers by a file's first bytes. Here only four formats are allowed, and the header is
compared with `kcars.core.limits` before any decoder reads the file.
"""

import io
from typing import Literal, NamedTuple

from PIL import Image

from kcars.core.limits import Limits, limits
from kcars.images import jpeg_header, png_header
from kcars.images.beyond_limit import BeyondLimit, TooManyPixels, too_many_segments

NO_PHOTO = "not a photo that can be decoded; JPEG, PNG, WebP and BMP are supported"
DAMAGED = "ends too early or is damaged"
MILLION = 10**6
_ORIENTATION = 0x0112
EXIF = b"Exif\0\0"  # Before Exif in a JPEG, and in some PNG and WebP files.
_UNCOMPRESSED, _BIT_FIELDS = 0, 3  # Compressions of a BMP file.


class Header(NamedTuple):
    """The header of a photo file.

    kind: format name in Pillow; height, width: in stored pixels; jpeg: the JPEG header, if it is one; orientation: 1 to 8 as in
    Exif, and `asked` the number in Exif, 0 for none; fixed, scaled: bytes per pixel for decoding, independent of the scale, and
    at full scale; content: the file without parts that decoders do not need; sixteen_bit: 16 bits per channel.
    """

    kind: str
    height: int
    width: int
    content: bytes
    jpeg: jpeg_header.JpegHeader | None = None
    asked: int = 0
    fixed: int = 10
    scaled: int = 0
    sixteen_bit: bool = False

    @property
    def orientation(self) -> int:
        return self.asked if 1 <= self.asked <= 8 else 1

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the upright photo, to which boxes refer."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)

    @property
    def read_by_tensorflow(self) -> bool:
        """Whether TensorFlow reads the same pixels as OpenCV, as needed in a SavedModel: a JPEG that is not CMYK."""
        return self.jpeg is not None and self.jpeg.components != 4

    def cost(self, scale: int = 1) -> int:
        """Bytes of memory for decoding at 1 / scale."""
        return self.height * self.width * self.fixed + self.height * self.width * self.scaled // scale**2


def sniff(data: bytes) -> str:
    """The format according to the first bytes: JPEG, PNG, WEBP or BMP; raises ValueError for any other."""
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == png_header.SIGNATURE:
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM":
        return "BMP"
    raise ValueError(NO_PHOTO)


def header(data: bytes) -> Header:
    """The header of a photo, without decoding it; raises ValueError if it is not a photo or exceeds a limit."""
    return _READERS[sniff(data)](data, limits())


def loaded(data: bytes) -> Image.Image:
    """A photo decoded by Pillow's strict reader of its format; raises ValueError also if pixels are missing."""
    found = header(data)
    if found.kind == "PNG":
        png_header.refuse_other_content(data, limits())
    content = jpeg_header.without_metadata(data, limits()) if found.kind == "JPEG" else found.content
    try:
        photo = Image.open(io.BytesIO(content), formats=[found.kind])
        photo.load()
        return photo
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  Pillow's readers may raise anything for a hostile file.
        raise ValueError(f"{DAMAGED} ({str(error)[:80]})") from None


def refuse_size(width: int, height: int, bounds: Limits) -> None:
    """Raises ValueError for an image without pixels, or with more than `photo_megapixels`."""
    if width < 1 or height < 1:
        raise ValueError(NO_PHOTO)
    most = bounds.photo_megapixels
    if width * height > most * MILLION:
        raise TooManyPixels(f"{width} x {height} pixels; a photo may have {most} million (limit photo_megapixels)")


def _jpeg(data: bytes, bounds: Limits) -> Header:
    found = jpeg_header.read(data, bounds)
    if found is None:
        raise ValueError(NO_PHOTO)
    refuse_size(found.width, found.height, bounds)
    if found.scans > 1:
        _refuse_scans(found, bounds)
    if not found.whole:
        raise ValueError(DAMAGED)
    coefficients = 2 * found.components if found.several_scans else 0
    return Header("JPEG", found.height, found.width, data, found, orientation_in(found.exif or b""), coefficients, 9)


def _refuse_scans(found: jpeg_header.JpegHeader, bounds: Limits) -> None:
    pixels = found.width * found.height
    if found.scans > bounds.jpeg_scans:
        raise BeyondLimit(f"more than the {bounds.jpeg_scans} scans that a photo may have (limit jpeg_scans)")
    if found.scans * pixels > bounds.jpeg_scan_megapixels * MILLION:
        raise BeyondLimit(
            f"{found.scans} scans of {pixels / MILLION:.0f} million pixels; together a photo may have "
            f"{bounds.jpeg_scan_megapixels} million (limit jpeg_scan_megapixels)"
        )


def _png(data: bytes, bounds: Limits) -> Header:
    found = png_header.read(data, bounds)
    if found is None:
        raise ValueError(NO_PHOTO)
    refuse_size(found.width, found.height, bounds)
    fixed = 20 if found.frames else 10  # OpenCV composes frames on additional canvases.
    turned, deep = orientation_in(found.exif.removeprefix(EXIF)), data[24] == 16
    return Header("PNG", found.height, found.width, found.content, asked=turned, fixed=fixed, sixteen_bit=deep)


def _webp(data: bytes, bounds: Limits) -> Header:
    kind, start = data[12:16], 20
    if kind == b"VP8X":
        width, height = (
            int.from_bytes(data[position : position + 3], "little") + 1 for position in (start + 4, start + 7)
        )
    elif kind == b"VP8L" and data[start : start + 1] == b"\x2f":
        bits = int.from_bytes(data[start + 1 : start + 5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and data[start + 3 : start + 6] == b"\x9d\x01\x2a":
        width, height = (
            int.from_bytes(data[position : position + 2], "little") & 0x3FFF for position in (start + 6, start + 8)
        )
    else:
        raise ValueError(NO_PHOTO)
    refuse_size(width, height, bounds)
    turned = orientation_in(_webp_exif(data, bounds).removeprefix(EXIF))
    return Header("WEBP", height, width, data, asked=turned, fixed=18)


def _webp_exif(data: bytes, bounds: Limits) -> bytes:
    """The content of a WebP file's Exif chunk; raises ValueError for more chunks than `photo_segments`."""
    position, exif = 12, b""
    for _ in range(bounds.photo_segments):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if data[position : position + 4] == b"EXIF":
            exif = data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
        if position + 8 > len(data):
            return exif
    raise too_many_segments()


def _bmp(data: bytes, bounds: Limits) -> Header:
    size = int.from_bytes(data[14:18], "little")
    wide = 2 if size == 12 else 4
    width, height = (
        int.from_bytes(data[position : position + wide], "little", signed=wide == 4) for position in (18, 18 + wide)
    )
    bits = int.from_bytes(data[18 + 2 * wide + 2 : 18 + 2 * wide + 4], "little")
    compression = int.from_bytes(data[30:34], "little") if wide == 4 else _UNCOMPRESSED
    height = abs(height)  # Negative if the top row comes first.
    refuse_size(width, height, bounds)
    if compression not in (_UNCOMPRESSED, _BIT_FIELDS):
        raise ValueError(f"a BMP file with compression {compression}; only uncompressed ones are decoded")
    if int.from_bytes(data[10:14], "little") + (width * bits + 31) // 32 * 4 * height > len(data):
        raise ValueError(DAMAGED)
    return Header("BMP", height, width, data)


def orientation_in(exif: bytes) -> int:
    """The orientation in the first directory of Exif; 0 for none."""
    orders: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
    order = orders.get(exif[:2])
    if order is None:
        return 0

    def number(position: int, size: int) -> int:
        return int.from_bytes(exif[position : position + size].ljust(size, b"\0"), order)

    start = number(4, 4)
    for entry in range(start + 2, start + 2 + 12 * number(start, 2), 12):
        if number(entry, 2) == _ORIENTATION:
            return number(entry + 8, 2)
    return 0


_READERS = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "BMP": _bmp}
