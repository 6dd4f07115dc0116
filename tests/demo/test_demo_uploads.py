"""What visitors send: read, or refused in words for them."""

import struct
import zlib

import pytest
from conftest import write_photo

from kcars.demo import uploads
from kcars.demo.uploads import photo_in
from kcars.errors import KcarsError


def test_a_photo_comes_with_its_bytes_and_name(tmp_path):
    write_photo(tmp_path / "car.jpg")
    photo = photo_in(tmp_path / "car.jpg")
    assert (photo.name, photo.source) == ("car.jpg", (tmp_path / "car.jpg").read_bytes())


@pytest.mark.parametrize("content", [b"", b"\xff\xd8 no photo", b"<svg></svg>", b"hello"])
def test_what_is_no_photo_is_told(tmp_path, content):
    (tmp_path / "letter.jpg").write_bytes(content)
    with pytest.raises(KcarsError, match="is no photo; JPEG, PNG, WebP and BMP can be read"):
        photo_in(tmp_path / "letter.jpg")


def test_too_many_bytes_are_not_read(tmp_path, monkeypatch):
    write_photo(tmp_path / "car.jpg")
    monkeypatch.setattr(uploads, "MOST_BYTES", (tmp_path / "car.jpg").stat().st_size)
    photo_in(tmp_path / "car.jpg")
    monkeypatch.setattr(uploads, "MOST_BYTES", uploads.MOST_BYTES - 1)
    with pytest.raises(KcarsError, match="larger than 0 MB"):
        photo_in(tmp_path / "car.jpg")


def empty_png(side: int) -> bytes:
    """A PNG file that announces so many pixels a side, and has none."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0), b"IDAT", b"IEND")
    written = (struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


@pytest.mark.parametrize("side", [7100, 20_000])  # The second is more than Pillow opens.
def test_too_many_pixels_are_not_decoded(tmp_path, side):
    (tmp_path / "wide.png").write_bytes(empty_png(side))
    with pytest.raises(KcarsError, match="more than 50 million pixels"):
        photo_in(tmp_path / "wide.png")


def test_a_file_that_went_is_asked_for_again(tmp_path):
    with pytest.raises(KcarsError, match="please give it once more"):
        photo_in(tmp_path / "none.jpg")
