"""One photo examined: whatever is wrong with a file is a fault, and none of its reader's errors comes out."""

import io
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kcars.data.faults import spoils
from kcars.doctor.examine import examine

EXAMPLES = int(os.environ.get("KCARS_EXAMPLES", "60"))
WHOLE = None
KINDS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif"}


def picture(seed=0, size=(40, 60)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))


def encoded(photo, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    photo.save(file, kind, **options)
    return file.getvalue()


def faults(path, data) -> dict[str, str]:
    path.write_bytes(data)
    return dict(examine(path, WHOLE).faults)


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("left", [0.3, 0.6, 0.9, 0.99])
def test_a_png_that_is_cut_off_is_truncated(tmp_path, left):
    data = encoded(picture())
    assert set(faults(tmp_path / "a.png", data[: int(len(data) * left)])) & {"truncated", "no_photo"}


def test_a_png_with_a_wrong_checksum_is_a_fault(tmp_path):
    data = bytearray(encoded(picture()))
    place = data.index(b"IDAT") + 40
    data[place] ^= 255
    assert any(map(spoils, faults(tmp_path / "a.png", bytes(data))))


FILES = {
    name: encoded(picture(), name, **options)
    for name, options in {
        "JPEG": {"exif": turned()},
        "PNG": {"exif": turned()},
        "WEBP": {"exif": turned()},
        "BMP": {},
        "GIF": {"save_all": True, "append_images": [picture(1), picture(2)]},
    }.items()
} | {"APNG": encoded(picture(), "PNG", save_all=True, append_images=[picture(1), picture(2)])}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(list(FILES)),
    cut=st.floats(0, 1),
    wrong=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
)
def test_no_damage_ends_in_the_readers_error(tmp_path, name, cut, wrong):
    data = bytearray(FILES[name])
    for place, value in wrong:
        data[int(place * len(data))] = value
    found = faults(tmp_path / "photo.png", bytes(data[: int(cut * len(data))]))
    assert found or cut == 1 or name in ("PNG", "APNG")  # Pillow needs no more than its rows of pixels.


def test_photos_of_one_colour_are_blank(tmp_path):
    noise = np.random.default_rng(0).integers(0, 4, (40, 60, 3), np.uint8)
    blank = {
        "black.jpg": Image.new("RGB", (60, 40)),
        "white.png": Image.new("L", (60, 40), 255),
        "clear.png": Image.merge("RGBA", [*Image.new("RGB", (60, 40), (9, 8, 7)).split(), picture().getchannel(0)]),
        "palette.png": Image.new("P", (60, 40), 3),
        "deep.png": Image.new("I;16", (60, 40), 40_000),
        "compressed.jpg": Image.fromarray(120 + noise),
    }
    for name, photo in blank.items():
        assert "blank" in faults(tmp_path / name, encoded(photo, {".jpg": "JPEG", ".png": "PNG"}[name[-4:]])), name
    assert not spoils("blank")


def test_photos_with_something_in_them_are_not_blank(tmp_path):
    dim = np.full((40, 60, 3), 20, np.uint8)
    dim[18:22, 28:32] = 40  # A lamp far off, at night.
    deep = np.full((40, 60), 40_000, np.uint16)
    deep[18:22, 28:32] = 44_000
    for number, photo in enumerate(
        (picture(), Image.fromarray(dim), picture().convert("L"), picture().convert("P"), Image.fromarray(deep))
    ):
        assert "blank" not in faults(tmp_path / f"{number}.png", encoded(photo))
