"""Photo files as an attacker makes them: small, and each asks a decoder for far more, or for another decoder."""

import io
import re
import struct
import zlib
from functools import partial

import cv2
import numpy as np
from PIL import Image

EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 100 100
%%EndComments
{} loop
%%EOF
"""


def saved(photo: Image.Image, kind: str, **options) -> bytes:
    content = io.BytesIO()
    photo.save(content, kind, **options)
    return content.getvalue()


def other(ending: str) -> bytes:
    """A photo that OpenCV reads and kcars does not name."""
    return cv2.imencode(ending, np.full((40, 40, 3), 90, np.uint8))[1].tobytes()


def scans(data: bytes) -> list[int]:
    """Where scans begin in a progressive JPEG file."""
    return [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xda"]


def progressive(height: int, width: int) -> bytes:
    return saved(Image.new("RGB", (width, height), (90, 20, 200)), "JPEG", progressive=True)


def last_scan_repeated(times: int, height: int = 600, width: int = 800) -> bytes:
    data = progressive(height, width)
    return data[:-2] + data[scans(data)[-1] : -2] * times + data[-2:]


def hidden_scans() -> bytes:
    """Scans in what looks like a segment of a marker that has no length."""
    data = last_scan_repeated(0)
    scan = data[scans(data)[-1] : -2]
    return data[:-2] + b"\xff\x02\x40\x00" + scan * 300 + data[-2:]


def segments(kind: int, count: int, content: bytes = b"") -> bytes:
    one = b"\xff" + bytes([kind]) + struct.pack(">H", 2 + len(content)) + content
    return b"\xff\xd8" + one * count + saved(Image.new("RGB", (40, 40)), "JPEG")[2:]


def two_sizes() -> bytes:
    """A JPEG file whose first size is small and whose second is large: readers differ in which one they believe."""
    data = saved(Image.new("RGB", (40, 40)), "JPEG")
    start = data.index(b"\xff\xc0")
    frame = data[start : start + 19]
    return data[:start] + frame + frame[:5] + struct.pack(">HH", 9000, 9000) + frame[9:] + data[start + 19 :]


def restarts(count: int) -> bytes:
    """A JPEG file of four colours, whose pixels are read a second time with bytes before each marker."""
    data = saved(Image.new("CMYK", (40, 40), (90, 20, 200, 7)), "JPEG")
    return data[:-2] + b"\xff\xd0" * count + data[-2:]


def restarted(interval: int | None = None, change=None, progressive: bool = False, blocks: int = 16) -> bytes:
    """A JPEG file with a restart every few blocks; interval: what its header claims; change: replaces one of the restarts."""
    data = saved(CARS, "JPEG", quality=90, restart_marker_blocks=blocks, progressive=progressive)
    start = data.index(b"\xff\xdd")
    if interval is not None:
        data = data[: start + 4] + struct.pack(">H", interval) + data[start + 6 :]
    if change is not None:
        places = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", data)]
        place = places[len(places) // 2]
        data = data[:place] + change(data[place : place + 2]) + data[place + 2 :]
    return data


def interval_added(interval: int) -> bytes:
    """A JPEG file without restarts, whose header claims some."""
    data = saved(CARS, "JPEG", quality=90)
    start = data.index(b"\xff\xda")
    return data[:start] + struct.pack(">HHH", 0xFFDD, 4, interval) + data[start:]


CARS = Image.fromarray(np.random.default_rng(5).integers(0, 256, (9, 14, 3), np.uint8)).resize((288, 192))
# JPEG files for which libjpeg fills in pixels, because their restarts do not agree with the interval, or are not in sequence.
WITHOUT_PIXELS = {
    **{f"interval {number} added": partial(interval_added, number) for number in (1, 50)},
    **{f"interval {number}": partial(restarted, number) for number in (1, 8, 15, 17, 18, 20, 24, 48, 528)},
    **{f"interval {number}, progressive": partial(restarted, number, None, True) for number in (8, 17, 48)},
    "another number": partial(restarted, None, lambda restart: bytes((0xFF, restart[1] ^ 1))),
    "one left out": partial(restarted, None, lambda _: b""),
}


def arithmetic() -> bytes:
    return saved(Image.new("RGB", (40, 40)), "JPEG").replace(b"\xff\xc0", b"\xff\xc9", 1)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, pixels: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", pixels) + after + chunk(b"IEND", b"")


def packed_zeros(mib: int) -> bytes:
    packer = zlib.compressobj(9)
    first, again = (packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * (mib - 1) + packer.flush()  # Its checksum is wrong, which is found at its end.


def small_png(**more) -> bytes:
    return png(40, 40, zlib.compress(bytes(40 * 121)), **more)


def webp(width: int, height: int) -> bytes:
    """34 bytes of one colour: a lossless picture of any size."""
    plain = saved(Image.new("RGB", (4, 4), (1, 2, 3)), "WEBP", lossless=True)
    bits = int.from_bytes(plain[21:25], "little") & ~0xFFFFFFF | (width - 1) | (height - 1) << 14
    return plain[:21] + struct.pack("<I", bits) + plain[25:]


def bmp(width: int, height: int, compression: int, pixels: bytes = b"") -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(pixels), 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(pixels), 0, 0, 54 + 1024) + header + pixels


NO_PHOTO = "not a photo that can be decoded"
REFUSED = {
    "PostScript": (lambda: EPS, NO_PHOTO),
    "GIF": (lambda: saved(Image.new("P", (40, 40)), "GIF"), NO_PHOTO),
    "TIFF": (lambda: other(".tiff"), NO_PHOTO),
    "PPM": (lambda: b"P6 40 40 255\n" + bytes(4800), NO_PHOTO),
    "PPM of two sizes": (lambda: b"P6\n#\r40 40\n3 2 255\n" + bytes(4800), NO_PHOTO),
    "PAM": (lambda: other(".pam"), NO_PHOTO),
    "Radiance HDR": (lambda: other(".hdr"), NO_PHOTO),
    "JPEG 2000": (lambda: other(".jp2"), NO_PHOTO),
    "Sun raster": (lambda: other(".ras"), NO_PHOTO),
    "ICO": (lambda: saved(Image.new("RGB", (32, 32)), "ICO"), NO_PHOTO),
    "TGA": (lambda: saved(Image.new("RGB", (32, 32)), "TGA"), NO_PHOTO),
    "JPEG, last scan repeated": (lambda: last_scan_repeated(20_000), "100 scans.*jpeg_scans"),
    "JPEG, scans hidden": (hidden_scans, "100 scans.*jpeg_scans"),
    "JPEG, scans of many pixels": (lambda: last_scan_repeated(80, 4000, 4000), "90 scans of 16 million.*jpeg_scan_megapixels"),
    "JPEG, many comments": (lambda: segments(0xFE, 200_000), "100000 parts.*photo_segments"),
    "JPEG, many restarts": (lambda: restarts(2**21), "100000 parts.*photo_segments"),
    "JPEG, two sizes": (two_sizes, "two sizes"),
    "JPEG, arithmetic": (arithmetic, "process 9"),
    "JPEG, large": (lambda: saved(Image.new("RGB", (40, 40)), "JPEG").replace(struct.pack(">HH", 40, 40), struct.pack(">HH", 60_000, 60_000), 1), "60000 x 60000.*photo_megapixels"),
    "PNG, large": (lambda: png(60_000, 60_000, b""), "60000 x 60000 pixels; a photo may have 100 million.*photo_megapixels"),
    "PNG that inflates": (lambda: png(1, 1, packed_zeros(1500)), "more than its pixels"),
    "PNG of many chunks": (lambda: small_png(before=chunk(b"tEXt", b"") * 200_000), "100000 parts.*photo_segments"),
    "PNG of many empty pixels": (lambda: small_png(after=chunk(b"IDAT", b"") * 200_000), "100000 parts.*photo_segments"),
    "WebP, large": (lambda: webp(16_383, 16_383), "16383 x 16383.*photo_megapixels"),
    "WebP, many frames": (lambda: b"RIFF" + struct.pack("<I", 800_030) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(10) + b"ANMF\0\0\0\0" * 200_000, "100000 parts.*photo_segments"),
    "BMP, large": (lambda: bmp(60_000, 60_000, 0), "60000 x 60000.*photo_megapixels"),
    "BMP, run-length encoded": (lambda: bmp(9000, 9000, 1, bytes(100_000)), "compression 1"),
    "BMP without its pixels": (lambda: bmp(9000, 9000, 0), "ends too early"),
}  # fmt: skip


def exif_of_everything() -> bytes:
    """A JPEG file whose Exif has 5,000 entries that each name all of it."""
    entries = b"".join(struct.pack(">HHII", tag, 1, 60_000, 8) for tag in range(5000))
    content = b"Exif\0\0MM\0\x2a\0\0\0\x08" + struct.pack(">H", 5000) + entries + bytes(4)
    return segments(0xE1, 1, content)


# What is read, and in no more time or memory than its pixels ask for.
READ = {
    "JPEG, Exif of everything": exif_of_everything,
    "JPEG, junk between segments": lambda: segments(0xFE, 1)[:6] + bytes(3 * 2**20) + segments(0xFE, 1)[6:],
    "JPEG, much metadata": lambda: segments(0xE1, 200, b"http://ns.adobe.com/xap/1.0/\0" + bytes(60_000)),
    "JPEG, much Exif": lambda: segments(0xE1, 200, b"Exif\0\0" + bytes(60_000)),
    "JPEG with another behind it": lambda: segments(0xFE, 1) + last_scan_repeated(200),
    "PNG, texts that inflate": lambda: small_png(before=chunk(b"zTXt", b"a\0\0" + packed_zeros(7)) * 150),
    "PNG, texts behind pixels": lambda: small_png(after=chunk(b"zTXt", b"a\0\0" + packed_zeros(7)) * 150),
    "PNG, profile that inflates": lambda: small_png(before=chunk(b"iCCP", b"a\0\0" + packed_zeros(200))),
}
