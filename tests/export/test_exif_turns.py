"""Exif of every shape, whole and damaged: decoder, SavedModel and the export's Python make the same turn of it."""

import io
import os
import struct
from functools import cache

import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.photo_kinds import ORIENTATION, picture, saved

from kcars.export import client_pixels, jpeg_graph
from kcars.images import formats
from kcars.images.decode import decode, full_size
from kcars.inference.photo_input import as_photo

SIZE = 24
SHORT, LONG = 3, 4
MARK = b"Exif\0\0"


@cache
def plain_jpeg() -> bytes:
    return saved(picture(40, 60, 0), "JPEG", quality=90)


@tf.function(autograph=False)
def _graph(data):
    return jpeg_graph.photos(data, None, SIZE, 0.1)


def segment(content: bytes, kind: int = 0xE1) -> bytes:
    return b"\xff" + bytes([kind]) + struct.pack(">H", len(content) + 2) + content


def exif(order: str, entries, first: int = 8, magic: int = 42, count: int | None = None) -> bytes:
    """A TIFF structure whose directory, at `first`, has the entries (tag, type, count, four bytes)."""
    head = {"<": b"II", ">": b"MM"}.get(order, order.encode()) + struct.pack("<H" if order == "<" else ">H", magic)
    order = order if order in "<>" else "<"
    found = head + struct.pack(f"{order}I", first) + bytes(max(0, min(first, 200) - 8))
    found += struct.pack(f"{order}H", len(entries) if count is None else count)
    return found + b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries) + bytes(4)


@st.composite
def structures(draw) -> bytes:
    order = draw(st.sampled_from(["<", ">", "<", ">", "IM", "\0\0"]))
    pack = "<" if order == "<" else ">"
    turn = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 256]))
    kind = draw(st.sampled_from([SHORT, SHORT, SHORT, LONG, 1, 2, 9]))
    value = struct.pack(f"{pack}I", turn) if kind in (LONG, 9) else struct.pack(f"{pack}HH", turn, 7)
    entries = [(ORIENTATION, kind, draw(st.sampled_from([1, 1, 0, 2, 2**31])), value)]
    others = st.sampled_from(
        [(0x10F, 2, 4, b"car\0"), (ORIENTATION, SHORT, 1, bytes([0, 8, 0, 0])), (0xFFFF, LONG, 9, bytes(4))]
    )
    for other in draw(st.lists(others, max_size=3)):
        entries.insert(draw(st.integers(0, len(entries))), other)
    first = draw(st.sampled_from([8, 8, 8, 10, 0, 7, 200, 2**31]))
    count = draw(st.sampled_from([None, None, 0, 9, 65535]))
    whole = exif(order, entries, first, draw(st.sampled_from([42, 42, 42, 43, 0])), count)
    mark = draw(st.sampled_from([MARK] * 5 + [MARK * 2, b"Exif\0\xff", b"exif\0\0", b"Exif"]))
    return (mark + whole)[: draw(st.one_of(st.just(None), st.none(), st.integers(0, len(mark + whole))))]


OTHERS = (
    b"\xff",
    b"\xff\xff\xff",
    b"stray",
    segment(b""),
    segment(b"http://ns.adobe.com/xap/1.0/\0<x/>"),
    segment(b"a", 0xFE),
)


def outcome(read) -> np.ndarray:
    """Pixels, none where the photo is refused: a stray byte may look like a marker that no JPEG has."""
    try:
        return read()
    except (ValueError, tf.errors.InvalidArgumentError):
        return np.zeros(0, np.uint8)


@settings(
    max_examples=int(os.environ.get("KCARS_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    given_=st.lists(structures(), min_size=1, max_size=2),
    others=st.lists(st.sampled_from(OTHERS), max_size=2),
    place=st.sampled_from([b"", b"\xff\xdb", b"\xff\xc0", b"\xff\xda"]),
)
def test_every_reader_makes_the_same_turn(tmp_path, given_, others, place):
    data = plain_jpeg()
    at = data.index(place, 2) if place else 2
    parts = [segment(one) for one in given_]
    parts[1:1] = others
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(data := data[:at] + b"".join(parts) + data[at:])
    wanted = outcome(lambda: decode(data, None, SIZE, 0.1))
    assert np.array_equal(outcome(lambda: _graph(tf.constant([data])).numpy()[0]), wanted)
    assert np.array_equal(outcome(lambda: client_pixels.pixels_of(photo, None, SIZE, 0.1)), wanted)
    if wanted.size and len(given_) == 1:  # Pillow joins what several segments hold.
        assert np.array_equal(as_photo(Image.open(photo)).source, full_size(data))


def test_what_looks_like_exif_turns_nothing(tmp_path):
    turned = [(ORIENTATION, SHORT, 1, struct.pack(">HH", 6, 0))]
    whole = exif(">", turned)
    for kept, orientation in (
        (MARK + whole, 6),
        (MARK * 2 + whole, 1),
        (MARK + b"\0\0" + whole[2:], 1),
        (b"Exif\0\xff" + whole, 1),
    ):
        data = plain_jpeg()
        data = data[:2] + segment(kept) + data[2:]
        assert formats.header(data).orientation == orientation
        (tmp_path / "photo.jpg").write_bytes(data)
        assert np.array_equal(
            client_pixels.pixels_of(tmp_path / "photo.jpg", None, SIZE, 0.1), decode(data, None, SIZE, 0.1)
        )


def test_png_and_webp_may_keep_the_mark_of_exif():
    for kind in ("PNG", "WEBP"):
        content = io.BytesIO()
        picture(40, 60, 0).save(
            content, kind, exif=MARK + exif("<", [(ORIENTATION, SHORT, 1, struct.pack("<HH", 6, 0))])
        )
        assert formats.header(content.getvalue()).orientation == 6
