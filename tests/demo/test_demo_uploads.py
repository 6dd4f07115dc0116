"""What visitors send: read, or refused in words for them."""

import os
import struct
import zlib

import pytest
from PIL import Image
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.demo.uploads import photo_in


def test_a_photo_comes_with_its_bytes_and_name(tmp_path):
    write_photo(tmp_path / "car.jpg")
    photo = photo_in(tmp_path / "car.jpg", tmp_path)
    assert (photo.name, photo.source) == ("car.jpg", (tmp_path / "car.jpg").read_bytes())


@pytest.mark.parametrize("content", [b"", b"\xff\xd8 no photo", b"<svg></svg>", b"hello"])
def test_what_is_no_photo_is_told(tmp_path, content):
    (tmp_path / "letter.jpg").write_bytes(content)
    with pytest.raises(KcarsError, match="is not a photo; JPEG, PNG, WebP and BMP can be read"):
        photo_in(tmp_path / "letter.jpg", tmp_path)


def test_too_many_bytes_are_not_read(tmp_path, monkeypatch):
    (tmp_path / "large.png").write_bytes(b"x" * (2**20 + 1))
    monkeypatch.setenv("KCARS_LIMITS", "upload_mib=1")
    with pytest.raises(KcarsError, match="larger than 1 MB"):
        photo_in(tmp_path / "large.png", tmp_path)


@pytest.mark.parametrize("name", ["../secret.png", "link.png", "pipe", "/dev/zero", "/etc/passwd"])
def test_what_is_no_file_of_the_folder_is_not_read(tmp_path, name):
    folder = tmp_path / "page"
    folder.mkdir()
    write_photo(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(folder / "pipe")
    with pytest.raises(KcarsError, match="please add it again"):
        photo_in(folder / name, folder)


@pytest.mark.parametrize("kind", ["EPS", "GIF", "TIFF", "PPM", "PCX"])
def test_formats_that_are_not_documented_are_no_photo(tmp_path, kind):
    Image.new("RGB", (30, 20)).save(tmp_path / "car.jpg", kind)
    with pytest.raises(KcarsError, match="is not a photo"):
        photo_in(tmp_path / "car.jpg", tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP", "BMP"])
def test_documented_formats_are_read(tmp_path, kind):
    Image.new("RGB", (30, 20)).save(tmp_path / "car", kind)
    assert photo_in(tmp_path / "car", tmp_path).name == "car"


def empty_png(side: int) -> bytes:
    """A PNG file that announces so many pixels a side, and has none."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0), b"IDAT", b"IEND")
    written = (struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


@pytest.mark.parametrize("side", [7100, 20_000])  # The second is more than Pillow opens.
def test_too_many_pixels_are_not_decoded(tmp_path, side):
    (tmp_path / "wide.png").write_bytes(empty_png(side))
    with pytest.raises(KcarsError, match="more than 50 million pixels"):
        photo_in(tmp_path / "wide.png", tmp_path)


def test_a_file_that_went_is_asked_for_again(tmp_path):
    with pytest.raises(KcarsError, match="please add it again"):
        photo_in(tmp_path / "none.jpg", tmp_path)
