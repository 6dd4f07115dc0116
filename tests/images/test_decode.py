import cv2
import numpy as np
import pytest

from kcars.errors import KcarsError
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
    assert cut(photo, np.array([-1, -1, -1, -1]), 0.1).shape == photo.shape
    assert cut(photo, np.array([500, 500, 600, 600]), 0.1).shape == photo.shape


def test_half_scale_decoding_gives_nearly_the_same_pixels():
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (20, 30, 3), np.uint8)
    photo = cv2.resize(small, (720, 480), interpolation=cv2.INTER_CUBIC)
    data, box = encoded(photo, ".jpg"), np.array([40, 30, 640, 450])
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    expected = cv2.resize(cut(whole, box, 0.1), (64, 64), interpolation=cv2.INTER_AREA)
    difference = np.abs(decode(data, box, 64, 0.1).astype(int) - expected)
    assert 0 < difference.mean() < 1.5


@pytest.mark.parametrize("content", [b"", b"no photo", b"\xff\xd8\xff\xe0 cut short"])
def test_what_is_no_photo_is_one_line(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(KcarsError, match=r"a\.jpg: no photo"):
        read_photo(tmp_path / "a.jpg", np.full(4, -1), 32, "box", 0.1)
    with pytest.raises(KcarsError, match="cannot be read"):
        read_photo(tmp_path / "b.jpg", np.full(4, -1), 32, "box", 0.1)
