"""Photos of every kind that people have, whole and damaged, as Hypothesis draws them."""

import io
import struct

import cv2
import numpy as np
from hypothesis import strategies as st
from PIL import Image

ORIENTATION = 0x0112
XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def picture(height: int, width: int, seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def saved(photo: Image.Image, kind: str, **options) -> bytes:
    content = io.BytesIO()
    photo.save(content, kind, **options)
    return content.getvalue()


def exif(orientation: int) -> dict:
    """What a writer takes to note an orientation, 0 for none."""
    found = Image.Exif()
    found[ORIENTATION] = orientation
    return {"exif": found} if orientation else {}


def _cmyk(marker: bytes):
    def write(photo, turn):
        data = saved(photo.convert("CMYK"), "JPEG", **exif(turn))
        place = data.index(b"\xff\xee")
        return data[:place] + marker + data[place + 16 :]

    return write


def _adobe(transform: int) -> bytes:
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


def _deep(channels: int):
    def write(photo, turn):
        pixels = np.asarray(photo).astype(np.uint16) * 255 + 77
        return cv2.imencode(".png", pixels[..., 0] if channels == 1 else pixels)[1].tobytes()

    return write


def _plain(mode: str, kind: str, **options):
    return lambda photo, turn: saved(photo.convert(mode), kind, **options, **(exif(turn) if kind != "BMP" else {}))


def _see_through(photo, turn):
    return saved(photo.convert("P"), "PNG", transparency=3, **exif(turn))


def _xmp(photo, turn):
    data = saved(photo, "JPEG", **exif(turn))
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(XMP)) + XMP + data[2:]


def _motorola(photo, turn):
    """Exif written as big-endian, behind the marker of another application."""
    data = saved(photo, "JPEG")
    entry = b"MM\0\x2a\0\0\0\x08\0\x01" + struct.pack(">HHIHH", ORIENTATION, 3, 1, turn, 0) + bytes(4)
    content = b"Exif\0\0" + entry
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content + data[2:]


KINDS = {
    "JPEG": _plain("RGB", "JPEG"),
    "JPEG 4:4:4": _plain("RGB", "JPEG", subsampling=0, quality=95),
    "JPEG 4:2:2": _plain("RGB", "JPEG", subsampling=1, quality=40),
    "JPEG 4:1:1": _plain("RGB", "JPEG", subsampling="4:1:1"),
    "JPEG, own tables": _plain("RGB", "JPEG", optimize=True),
    "JPEG, progressive": _plain("RGB", "JPEG", progressive=True),
    "JPEG, restarts": _plain("RGB", "JPEG", restart_marker_blocks=3),
    "JPEG, grey": _plain("L", "JPEG"),
    "JPEG, grey and progressive": _plain("L", "JPEG", progressive=True),
    "JPEG, RGB": _plain("RGB", "JPEG", keep_rgb=True),
    "JPEG, turn in XMP": _xmp,
    "JPEG, big-endian Exif": _motorola,
    "JPEG, CMYK": _cmyk(_adobe(0)),
    "JPEG, YCCK": _cmyk(_adobe(2)),
    "JPEG, CMYK without Adobe": _cmyk(b""),
    "PNG": _plain("RGB", "PNG"),
    "PNG, grey": _plain("L", "PNG"),
    "PNG, 1 bit": _plain("1", "PNG"),
    "PNG, palette": _plain("P", "PNG"),
    "PNG, palette see-through": _see_through,
    "PNG, grey and alpha": _plain("LA", "PNG"),
    "PNG, alpha": _plain("RGBA", "PNG"),
    "PNG, 16 bits": _deep(3),
    "PNG, 16 bits grey": _deep(1),
    "WebP": _plain("RGB", "WEBP"),
    "WebP, lossless": _plain("RGB", "WEBP", lossless=True),
    "WebP, alpha": _plain("RGBA", "WEBP"),
    "BMP": _plain("RGB", "BMP"),
    "BMP, palette": _plain("P", "BMP"),
    "GIF": lambda photo, turn: saved(photo.convert("P"), "GIF"),
    "ICO": lambda photo, turn: saved(photo, "ICO", sizes=[(16, 16)]),
    "TGA": lambda photo, turn: saved(photo, "TGA"),
    "TIFF": lambda photo, turn: saved(photo, "TIFF"),
}


def damaged(data: bytes, kind: str, place: float, length: int) -> bytes:
    """The file with a damage of a kind; place: 0 to 1, of its second half for what lies within the pixels."""
    at = int(len(data) * (0.5 + 0.5 * place))
    anywhere = int(len(data) * place)
    markers = {
        "end within": b"\xff\xd9",
        "restart within": b"\xff\xd3",
        "table within": b"\xff\xc4",
        "comment within": b"\xff\xfe\0\x04",
    }
    if kind in markers:
        return data[:at] + markers[kind] + data[at + len(markers[kind]) :]
    return {
        "none": lambda: data,
        "zeroed": lambda: data[:at] + bytes(len(data[at : at + length])) + data[at + length :],
        "zeroed anywhere": lambda: data[:anywhere] + bytes(len(data[anywhere : anywhere + 2])) + data[anywhere + 2 :],
        "left out": lambda: data[:at] + data[at + length :],
        "cut off": lambda: data[:anywhere],
        "cut off, with an end": lambda: data[:at] + b"\xff\xd9",
        "without its end": lambda: data[: -12 if data[:1] == b"\x89" else -2],
        "more behind": lambda: data + b"appended by a camera \xff\xd8\xff\xda\xff\xd9",
        "stray bytes": lambda: (
            data[: max(data.find(b"\xff\xda"), 0)] + b"stray" + data[max(data.find(b"\xff\xda"), 0) :]
        ),
        "filling": lambda: data[:-2] + b"\xff\xff" + data[-2:],
    }[kind]()


DAMAGES = (
    *["none"] * 8, "zeroed", "zeroed anywhere", "left out", "cut off", "cut off, with an end", "without its end", "more behind", "stray bytes",
    "filling", "end within", "restart within", "table within", "comment within",
)  # fmt: skip
SIDE = st.one_of(st.integers(1, 40), st.integers(41, 230))


@st.composite
def photos(draw) -> tuple[str, bytes, int, int]:
    """(what it is, its bytes, height and width before any turn)."""
    name, height, width = draw(st.sampled_from(list(KINDS))), draw(SIDE), draw(SIDE)
    turn = draw(st.sampled_from([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 300]))
    data = KINDS[name](picture(height, width, draw(st.integers(0, 99))), turn)
    damage = draw(st.sampled_from(DAMAGES))
    data = damaged(data, damage, draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 40)))
    return f"{name}, {width} x {height}, orientation {turn}, damage: {damage}", data, height, width


@st.composite
def boxes(draw, height: int, width: int) -> tuple[float, float, float, float] | None:
    """None, inside, over each edge, empty, reversed, outside; whole numbers and fractions; shares of the photo."""
    kind = draw(st.integers(0, 7))
    if kind < 2:
        return None
    if kind == 2:
        shares = [sorted((draw(st.floats(-0.125, 1, width=32)), draw(st.floats(0, 1, width=32)))) for _ in range(2)]
        return shares[0][0], shares[1][0], shares[0][1], shares[1][1]
    edges = []
    for side in (width, height):
        number = st.one_of(st.integers(0, side), st.integers(-9, side + 9), st.floats(-20, side + 20, width=32))
        one, other = draw(number), draw(number)
        edges.append((one, other) if draw(st.integers(0, 9)) == 0 else (min(one, other), max(one, other)))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom
