import struct
from functools import cache

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support import photo_attacks

from kcars.data.source import load
from kcars.export import client_pixels, jpeg_graph
from kcars.images.decode import decode, resized
from kcars.settings import DataSettings

RANDOM = np.random.default_rng(3)


def jpeg(height, width, colours=3, quality=90):
    photo = cv2.resize(
        RANDOM.integers(0, 256, (6, 8, colours), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


@cache
def _graph(size_px, padding, boxed):
    """Of any number of photos: each is traced once, which takes a second or more."""
    specs = tf.TensorSpec([None], tf.string), tf.TensorSpec([None, 4], tf.float32)

    def photos(jpeg, boxes=None):
        return jpeg_graph.photos(jpeg, boxes, size_px, padding)

    return tf.function(photos, input_signature=specs[: 1 + boxed], autograph=False)


def read(photos, boxes=None, size_px=24, padding=0.1):
    given_ = [tf.constant(photos, tf.string)]
    if boxes is not None:
        given_.append(tf.constant(boxes, tf.float32))
    return _graph(size_px, padding, boxes is not None)(*given_).numpy()


side = st.integers(1, 130)


@settings(deadline=None, max_examples=60)
@given(side, side, st.sampled_from([16, 24, 31, 64]))
def test_pixels_are_resized_to_the_bit_as_training_does(height, width, size_px):
    photo = np.random.default_rng(height * 200 + width).integers(0, 256, (height, width, 3), np.uint8)
    assert (jpeg_graph.resized(tf.constant(photo), size_px).numpy() == resized(photo, size_px)).all()


@pytest.mark.parametrize("shape", [(48, 48), (72, 96), (24, 24), (48, 24), (240, 48)])
def test_whole_factors_are_rounded_as_opencv_does(shape):
    photo = RANDOM.integers(0, 256, (*shape, 3), np.uint8)
    assert (jpeg_graph.resized(tf.constant(photo), 24).numpy() == resized(photo, 24)).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (40, 50), (97, 131), (250, 300), (480, 640)])
def test_jpegs_are_read_to_the_bit_as_training_does(size):
    height, width = size
    data = jpeg(height, width)
    boxes = [(-1, -1, -1, -1), (0, 0, width, height), (width // 5, height // 4, width // 2 + 1, height // 2 + 1)]
    found = read([data] * 3, boxes)
    for pixels, box in zip(found, boxes, strict=True):
        assert (pixels == decode(data, None if box[0] < 0 else box, 24, 0.1)).all()
    assert (read([data])[0] == found[0]).all()


def test_a_whole_photo_keeps_its_last_lines_where_nothing_is_added_to_boxes():
    data = jpeg(221, 223)
    assert (read([data], padding=0.0)[0] == decode(data, None, 24, 0.0)).all()


def test_grey_jpegs_have_three_channels():
    data = jpeg(60, 80, colours=1)
    assert (read([data])[0] == decode(data, None, 24, 0.1)).all()


@pytest.mark.parametrize(
    "box",
    [(500, 500, 540, 540), (-9, 0, 0, 60), (50, 10, 20, 40), (5, 5, 5, 9), (-1, -1, -1, -2), (1, 1, float("nan"), 9)],
)
def test_a_batch_with_a_box_that_holds_no_pixel_is_refused_and_the_message_says_which(box):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"\[photo\] \[1\] \[has a box that holds no pixel of it:\]"
    ):
        read([jpeg(60, 80)] * 2, [(-1, -1, -1, -1), box])


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.7, 0.8), (0, 0, 1, 0.5), (-0.01, 0, 1, 1)])
def test_a_batch_with_a_box_in_shares_of_a_photo_is_refused(box):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[1\] \[has a box that ends within the first pixel"):
        read([jpeg(60, 80)] * 2, [(-1, -1, -1, -1), box])
    data = jpeg(60, 80)
    for pixel in [(0, 0, 1, 1), (0.2, 0.2, 1.2, 1.2)]:
        assert (read([data], [pixel])[0] == decode(data, pixel, 24, 0.1)).all()


def test_a_box_that_leaves_the_photo_is_read_as_finely_as_what_is_in_it_needs():
    data, box = jpeg(95, 288), (-0.4, -9, 288, 2000)
    assert (read([data], [box])[0] == decode(data, box, 24, 0.1)).all()
    assert (decode(data, box, 24, 0.1) == decode(data, (0, 0, 288, 95), 24, 0.1)).all()


def test_an_empty_batch_gives_an_empty_one():
    assert read([]).shape == (0, 24, 24, 3)


def with_sides(data, height, width):
    """The JPEG with another size in its header."""
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (b"", "is not a JPEG"),
        (b"these are no photo's bytes", "is not a JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is not a JPEG"),
        (jpeg(60, 80)[:-200], "ends too early"),
        (jpeg(60, 80)[:30], "ends too early"),
        (with_sides(jpeg(60, 80), 12000, 12000), "more than the"),
    ],
)
def test_a_batch_with_a_bad_photo_is_refused_and_the_message_says_which(bad, told):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[photo\] \[1\] \[.*" + told):
        read([jpeg(30, 40), bad])


@pytest.mark.parametrize("name", photo_attacks.WITHOUT_PIXELS)
def test_restarts_that_cost_pixels_are_refused_in_both_clients(name, tmp_path):
    data = photo_attacks.WITHOUT_PIXELS[name]()
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"\[photo\] \[0\] \[is a JPEG that ends too early or is damaged"
    ):
        read([data])
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.jpg: a JPEG that ends too early or is damaged"):
        client_pixels.pixels_of(tmp_path / "a.jpg", None, 24, 0.1)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("blocks", [1, 7, 16, 9999])
def test_restarts_change_no_pixel(blocks, progressive, tmp_path):
    data = photo_attacks.restarted(progressive=progressive, blocks=blocks)
    for content in (data, data[:-2] + b"\x12\x34" + data[-2:]):
        (tmp_path / "a.jpg").write_bytes(content)
        expected = decode(data, None, 24, 0.1)
        assert (read([content])[0] == expected).all()
        assert (client_pixels.pixels_of(tmp_path / "a.jpg", None, 24, 0.1) == expected).all()


def progressive(repeated, height=60, width=80):
    """A progressive JPEG whose last scan is there so many times more."""
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    data = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8), options)[1].tobytes()
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * repeated + data[-2:]


def test_scans_are_bounded():
    assert (read([progressive(0)])[0] == decode(progressive(0), None, 24, 0.1)).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[photo\] \[1\] \[.*\] \[100\] \[scans"):
        read([jpeg(30, 40), progressive(100)])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"1000000000\] \[pixels in all scans"):
        read([progressive(80, 4000, 4000)])


def test_a_jpeg_of_broken_middle_is_refused():
    data = bytearray(jpeg(60, 80))
    data[20:60] = bytes(40)
    with pytest.raises(tf.errors.InvalidArgumentError):
        read([bytes(data)])


def test_real_photos_are_read_to_the_bit(real_cars):
    index = load(real_cars, "classify", DataSettings(size_px=96)).table
    rows = np.random.default_rng(0).permutation(len(index))[:200]
    photos = [(index.root / str(index.paths[row])).read_bytes() for row in rows]
    found = read(photos, index.box[rows], 96)
    wanted = [decode(data, index.box_at(row), 96, 0.1) for data, row in zip(photos, rows, strict=True)]
    assert (found == np.stack(wanted)).all()
