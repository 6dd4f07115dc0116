import io

import cv2
import numpy as np
import pytest
from PIL import Image

from kcars.core.errors import KcarsError
from kcars.images import boxes, formats
from kcars.images import decode as module
from kcars.images.decode import cut, decode, read_photo


def encoded(photo, kind=".png"):
    return cv2.imencode(kind, photo[:, :, ::-1])[1].tobytes()


def halves(height=80, width=120):
    """Left half red, right half blue."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[:, : width // 2, 0] = 255
    photo[:, width // 2 :, 2] = 255
    return photo


def test_channels_are_rgb_and_size_is_square():
    out = decode(encoded(halves()), None, 40, 0.1)
    assert out.shape == (40, 40, 3)
    assert out[5, 5].tolist() == [255, 0, 0]
    assert out[5, -5].tolist() == [0, 0, 255]


def test_the_box_is_cut_with_padding_and_stays_inside():
    photo = np.arange(80 * 120 * 3, dtype=np.uint32).astype(np.uint8).reshape(80, 120, 3)
    assert cut(photo, np.array([20, 10, 60, 50]), 0.1).shape == (48, 48, 3)
    assert (cut(photo, np.array([20, 10, 60, 50]), 0.0) == photo[10:50, 20:60]).all()
    assert cut(photo, np.array([0, 0, 120, 80]), 0.5).shape == photo.shape
    assert cut(photo, None, 0.1).shape == photo.shape
    assert (cut(photo, (-0.4, -7, 60, 50), 0.0) == photo[:50, :60]).all()
    assert (cut(photo, (20, 10, 900, 80.4), 0.0) == photo[10:, 20:]).all()


@pytest.mark.parametrize(
    "box",
    [(500, 500, 600, 600), (-9, 0, 0, 80), (60, 10, 20, 50), (5, 5, 5, 9), (1, 1, float("nan"), 9), (-1, -1, -1, -1)],
)
def test_a_box_that_holds_no_pixel_is_refused(box):
    photo = np.zeros((80, 120, 3), np.uint8)
    for refused in (lambda: cut(photo, box, 0.1), lambda: decode(encoded(photo), box, 32, 0.1)):
        with pytest.raises(ValueError, match=r"^box .* holds no pixel of the photo, which is 120 x 80 pixels; give"):
            refused()


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.7, 0.8), (0, 0, 1, 0.5), (-0.01, 0, 1, 1)])
def test_a_box_in_shares_of_the_photo_is_refused(box):
    photo = np.zeros((80, 120, 3), np.uint8)
    for refused in (lambda: cut(photo, box, 0.1), lambda: decode(encoded(photo), box, 32, 0.1)):
        with pytest.raises(
            ValueError, match=r"^box .* ends within the first pixel, as shares of a photo do; give pixels"
        ):
            refused()
    assert cut(photo, (0, 0, 1, 1), 0.0).shape == cut(photo, (0.2, 0.2, 1.2, 1.2), 0.0).shape == (1, 1, 3)


def smooth(height, width):
    small = np.random.default_rng(0).integers(0, 256, (5, 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("size_px", "scale"), [(128, 1), (96, 2), (64, 2), (48, 4), (24, 4)])
@pytest.mark.parametrize("boxed", [True, False])
def test_smaller_decoding_gives_nearly_the_same_pixels(size_px, scale, boxed):
    data = encoded(smooth(483, 721), ".jpg")  # Sides that no scale divides.
    box = np.array([40, 30, 640, 450]) if boxed else None
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    expected = cv2.resize(cut(whole, box, 0.1), (size_px, size_px), interpolation=cv2.INTER_AREA)
    assert boxes.decoding_scale(box, 483, 721, size_px) == scale
    difference = np.abs(decode(data, box, size_px, 0.1).astype(int) - expected).mean()
    assert difference == 0 if scale == 1 else 0 < difference < 1.5


@pytest.mark.parametrize("size_px", [128, 64, 48, 24])
@pytest.mark.parametrize("kind", ["444", "422", "420"])
def test_both_jpeg_readers_give_the_same_bits(size_px, kind):
    photo = Image.fromarray(smooth(483, 721))
    data = saved(photo, "JPEG", subsampling=["444", "422", "420"].index(kind))
    scale = boxes.decoding_scale(None, 483, 721, size_px)
    assert (module._jpeg(formats.header(data), scale) == module._by_opencv(data, scale)).all()


@pytest.mark.parametrize("content", [b"", b"no photo", b"\xff\xd8\xff\xe0 cut short"])
def test_what_is_no_photo_is_one_line(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(KcarsError, match=r"a\.jpg: not a photo"):
        read_photo(tmp_path / "a.jpg", None, 32, "box", 0.1)
    with pytest.raises(KcarsError, match="cannot be read"):
        read_photo(tmp_path / "b.jpg", None, 32, "box", 0.1)


def saved(photo, kind, **options):
    content = io.BytesIO()
    photo.save(content, kind, **options)
    return content.getvalue()


def test_grey_cmyk_16_bit_and_transparent_photos_become_rgb():
    red = Image.fromarray(halves())
    for content in (
        saved(red.convert("CMYK"), "JPEG"),
        saved(red.convert("RGBA"), "PNG"),
        saved(red, "WEBP", lossless=True),
    ):
        out = decode(content, None, 32, 0.1).astype(int)
        assert np.abs(out[5, 5] - [255, 0, 0]).max() < 20 and np.abs(out[5, -5] - [0, 0, 255]).max() < 20
    grey = decode(saved(red.convert("L"), "JPEG"), None, 32, 0.1)
    assert (grey[..., 0] == grey[..., 2]).all() and grey[5, 5, 0] > grey[5, -5, 0]
    deep = Image.fromarray(np.full((40, 40), 32768, np.uint16))
    assert np.abs(decode(saved(deep, "PNG"), None, 32, 0.1).astype(int) - 128).max() <= 1


def test_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was held upright: what is stored left stands on top.
    out = decode(saved(Image.fromarray(halves()), "JPEG", exif=exif), None, 32, 0.1).astype(int)
    assert np.abs(out[4, 16] - [255, 0, 0]).max() < 20 and np.abs(out[-4, 16] - [0, 0, 255]).max() < 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photo_that_ends_too_early_is_told_and_not_filled_up(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8))
    content = saved(noise, kind)
    assert decode(content, None, 32, 0.1).shape == (32, 32, 3)
    with pytest.raises(ValueError, match="ends too early"):
        decode(content[: len(content) // 2], None, 32, 0.1)


def test_a_jpeg_with_something_behind_its_end_or_amiss_within_is_whole():
    content = saved(Image.fromarray(halves()), "JPEG")
    scan = content.index(b"\xff\xda")
    amiss = content[:scan] + b"stray" + content[scan:]  # Readers pass over it, and complain.
    assert (decode(amiss, None, 32, 0.1) == decode(content, None, 32, 0.1)).all()
    assert decode(content + b"appended by a camera", None, 32, 0.1).shape == (32, 32, 3)


def test_what_asks_for_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    content = saved(Image.new("L", (1200, 1000)), "PNG")
    assert decode(content, None, 32, 0.1).shape == (32, 32, 3)
    monkeypatch.setenv("KCARS_LIMITS", "photo_megapixels=1")
    with pytest.raises(ValueError, match="1200 x 1000 pixels; a photo may have 1 million"):
        decode(content, None, 32, 0.1)
