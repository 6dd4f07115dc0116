"""TensorFlow implementation of `images/decode.py`: encoded bytes to exactly the pixels of training, for exports.

OpenCV's two resizing methods are reproduced addition by addition (`modules/imgproc/src/resize.cpp` of OpenCV 4), because one
differently rounded pixel may change a score by more than the tolerance of exports.
"""

import tensorflow as tf

from kcars.core.limits import limits
from kcars.export import jpeg_file
from kcars.images.boxes import SCALES
from kcars.images.formats import MILLION
from kcars.images.jpeg_damage import GREY, RESTARTS

WHOLE = (-1.0, -1.0, -1.0, -1.0)  # Box value for a whole photo.
_COEFFICIENT = 2048  # INTER_RESIZE_COEF_SCALE: bytes are interpolated in integers.


def photos(jpeg: tf.Tensor, boxes: tf.Tensor | None, size_px: int, padding: float) -> tf.Tensor:
    """Decode JPEG bytes (n,) to (n, size_px, size_px, 3) uint8, with the Exif orientation applied, cropped to boxes (n, 4) or whole.

    boxes: as in `images/boxes.py`, WHOLE for the whole photo. A batch is refused if it has a photo or box that
    `images/boxes.py` or `images/decode.py` refuses, or a file that is not a JPEG or has four channels; the message names it.
    """
    if boxes is None:
        boxes = tf.fill([tf.size(jpeg), 4], WHOLE[0])

    def one(given):
        number, data, box = given
        return _photo(number, data, tf.cast(box, tf.float64), size_px, padding)

    batch = tf.range(tf.size(jpeg)), jpeg, boxes
    return tf.map_fn(one, batch, fn_output_signature=tf.TensorSpec((size_px, size_px, 3), tf.uint8))


def _photo(number, data, box, size_px: int, padding: float):
    with tf.control_dependencies([_refuse(tf.io.is_jpeg(data), number, "is not a JPEG")]):
        raw = tf.io.decode_raw(data, tf.uint8)
    file = jpeg_file.opened(data, raw)
    with tf.control_dependencies(
        [_refuse((file.frame >= 0) & (file.scan >= 0), number, "is a JPEG that ends too early")]
    ):
        markers = file.markers_in_scans()
    stored = tf.stack([file.number(file.frame + 5, 2), file.number(file.frame + 7, 2)])
    turn = jpeg_file.orientation(file)
    height, width = tf.unstack(tf.where(turn >= 5, stored[::-1], stored))
    whole = tf.reduce_all(box == WHOLE)
    box = tf.where(whole, tf.cast(tf.stack([0, 0, width, height]), tf.float64), box)
    inside = _clipped(box, height, width)
    with tf.control_dependencies(
        [
            *_whole(number, file, markers),
            *_bounded(number, file, markers, height, width),
            _holds(number, box, inside, height, width),
            _in_pixels(number, box),
        ]
    ):
        scale = _decoding_scale(inside, size_px)
    pixels = _decoded(number, data, file, markers, scale)
    part = _part(
        inside,
        jpeg_file.turned(pixels, turn),
        tf.where(whole, tf.ones_like(box[0]), padding),
        tf.cast(tf.gather(SCALES, scale), tf.float64),
    )
    return resized(part, size_px)


def _refuse(unless, number, *why):
    return tf.debugging.Assert(unless, ["photo", number, *why])


def _decoded(number, data, file, markers, scale):
    """Decode the stored pixels; refuse them if they depend on bytes after the scan, see `images/jpeg_damage.py`."""

    def read(jpeg):
        at = [lambda ratio=ratio: tf.io.decode_jpeg(jpeg, 3, ratio, dct_method="INTEGER_ACCURATE") for ratio in SCALES]
        return tf.switch_case(scale, at)

    def unchanged(restarts):
        return tf.reduce_all(pixels == read(jpeg_file.padded(data, file, markers, restarts)))

    pixels, restarted = read(data), jpeg_file.may_restart(file)
    doubtful = tf.reduce_all(pixels[-1, -1] == GREY) | restarted
    same = tf.cond(doubtful, lambda: unchanged(RESTARTS[0]) & jpeg_file.in_sequence(file, markers), lambda: True)
    same &= tf.cond(restarted, lambda: unchanged(RESTARTS[1]), lambda: True)
    with tf.control_dependencies([_refuse(same, number, "is a JPEG that ends too early or is damaged")]):
        return tf.identity(pixels)


def _whole(number, file, markers) -> list:
    """Return assertions that a JPEG has one or three channels, and all of its pixels."""
    colours = "is a JPEG with four channels, for printing, which is decoded differently here; send it with three"
    return [
        _refuse((file.colours == 1) | (file.colours == 3), number, colours),
        _refuse(jpeg_file.whole(file, markers), number, "is a JPEG that ends too early or is damaged"),
    ]


def _bounded(number, file, markers, height, width) -> list:
    """Return assertions that a photo is within the limits of the exporting process."""
    bounds, pixels, scans = limits(), height * width, jpeg_file.scans(file, markers)
    most_pixels, most_scans = bounds.photo_megapixels * MILLION, bounds.jpeg_scans
    most_together = bounds.jpeg_scan_megapixels * MILLION
    sides = ["pixels that a photo may have:", width, "x", height]
    together = ["pixels in all scans that a photo may have:", scans, "scans"]
    parts = tf.size(markers) <= bounds.photo_segments
    return [
        _refuse(pixels <= most_pixels, number, "has more than the", most_pixels, *sides),
        _refuse(scans <= most_scans, number, "has more than the", most_scans, "scans that a photo may have"),
        _refuse((scans < 2) | (scans * pixels <= most_together), number, "has more than the", most_together, *together),
        _refuse(parts, number, "has more than the", bounds.photo_segments, "parts that a photo may have"),
    ]


def _clipped(box, height, width):
    """Clip a box as `boxes.clipped`, without checks."""
    sides = tf.cast(tf.stack([width, height]), tf.float64)
    return tf.concat([tf.maximum(box[:2], 0.0), tf.minimum(box[2:], sides)], 0)


def _holds(number, box, inside, height, width):
    """Return the assertion that a box overlaps the photo; false for NaN."""
    there = tf.reduce_all(tf.math.is_finite(box)) & (inside[2] > inside[0]) & (inside[3] > inside[1])
    return _refuse(there, number, "has a box that holds no pixel of it:", box, "in", width, "x", height)


def _in_pixels(number, box):
    """Return the assertion that a box is not in relative coordinates."""
    shares = tf.reduce_all(box[2:] <= 1) & tf.reduce_any(box != tf.round(box))
    return _refuse(~shares, number, "has a box that ends within the first pixel, as shares of it do:", box)


def _decoding_scale(inside, size_px: int):
    """Return the index in SCALES of the result of `boxes.decoding_scale`."""
    enough = tf.reduce_min(inside[2:] - inside[:2]) >= tf.constant(
        [2.0 * scale * size_px for scale in SCALES[1:]], tf.float64
    )
    return tf.reduce_sum(tf.cast(enough, tf.int32))


def _part(inside, pixels, padding, scale):
    """Crop pixels decoded at 1 / scale as `boxes.part_of`."""
    height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
    left, top, right, bottom = tf.unstack(inside / scale)
    wider, higher = (right - left) * padding, (bottom - top) * padding
    whole_number = lambda edge: tf.cast(tf.round(edge), tf.int32)  # noqa: E731
    left = tf.minimum(tf.maximum(0, whole_number(left - wider)), width - 1)
    top = tf.minimum(tf.maximum(0, whole_number(top - higher)), height - 1)
    right = tf.maximum(left + 1, tf.minimum(width, whole_number(right + wider)))
    bottom = tf.maximum(top + 1, tf.minimum(height, whole_number(bottom + higher)))
    return pixels[top:bottom, left:right]


def resized(pixels: tf.Tensor, size_px: int) -> tf.Tensor:
    """Resize (h, w, 3) uint8 to (size_px, size_px, 3), as `decode.resized`."""
    height, width = (tf.minimum(tf.shape(pixels)[axis], size_px) for axis in (0, 1))
    shrunk = _area(pixels, height, width)
    return tf.ensure_shape(_linear(shrunk, size_px), (size_px, size_px, 3))


def _area(pixels, height, width):
    """Downscale as cv2.INTER_AREA: the mean over the area of each pixel."""
    down, across = (_factor(tf.shape(pixels)[axis], side) for axis, side in ((0, height), (1, width)))
    whole = tf.reduce_all(
        tf.stack([tf.abs(factor - tf.round(factor)) for factor in (down, across)]) < 2.220446049250313e-16
    )

    def blocks():
        sums = _sum_of_blocks(pixels, height, width)
        by_bits = tf.bitwise.right_shift(sums + 2, 2)  # For 2 x 2 blocks OpenCV rounds halves up.
        area = tf.cast(tf.round(down) * tf.round(across), tf.float32)
        rounded = tf.cast(tf.round(tf.cast(sums, tf.float32) * (1.0 / area)), tf.int32)
        return tf.cast(tf.where((tf.round(down) == 2) & (tf.round(across) == 2), by_bits, rounded), tf.uint8)

    def parts():
        found = tf.cast(pixels, tf.float32)
        found = _weighted(tf.transpose(found, (1, 0, 2)), across, width)
        found = _weighted(tf.transpose(found, (1, 0, 2)), down, height)
        return tf.cast(tf.round(found), tf.uint8)

    return tf.cond(whole, blocks, parts)


def _factor(side, target):
    return 1.0 / (tf.cast(target, tf.float64) / tf.cast(side, tf.float64))


def _sum_of_blocks(pixels, height, width):
    down, across = tf.shape(pixels)[0] // height, tf.shape(pixels)[1] // width
    blocks = tf.reshape(tf.cast(pixels, tf.int32), (height, down, width, across, 3))
    return tf.reduce_sum(blocks, (1, 3))


def _weighted(found, factor, target):
    """Sum covered pixels times their shares along axis 0, in OpenCV's order of additions."""
    side = tf.shape(found)[0]
    first = tf.range(tf.cast(target, tf.float64), dtype=tf.float64) * factor
    last = first + factor
    cell = tf.minimum(factor, tf.cast(side, tf.float64) - first)
    end = tf.minimum(tf.floor(last), tf.cast(side - 1, tf.float64))
    begin = tf.minimum(tf.math.ceil(first), end)
    lead, rest = begin - first, last - end
    begins = tf.where(lead > 1e-3, begin - 1, begin)
    taps = tf.cast(tf.reduce_max(end - begins), tf.int32) + 1

    lead = tf.where(lead > 1e-3, lead, tf.zeros_like(lead))
    rest = tf.where(rest > 1e-3, tf.minimum(tf.minimum(rest, tf.ones_like(rest)), cell), tf.zeros_like(rest))

    def add(tap, total):
        place = begins + tf.cast(tap, tf.float64)
        covered = tf.where(place < begin, lead, tf.where(place < end, tf.ones_like(rest), rest))
        share = tf.cast(tf.where(place > end, tf.zeros_like(covered), covered / cell), tf.float32)
        rows = tf.gather(found, tf.minimum(tf.cast(place, tf.int32), side - 1))
        return tap + 1, total + rows * share[:, None, None]

    empty = tf.zeros((target, tf.shape(found)[1], 3), tf.float32)
    return tf.while_loop(lambda tap, _: tap < taps, add, (0, empty))[1]


def _linear(pixels, size_px: int):
    """Upscale bytes as cv2.INTER_LINEAR."""
    height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
    place, share = _between(width, size_px)
    inside = (place >= 0) & (place < width - 1)
    place, share = tf.clip_by_value(place, 0, width - 1), tf.where(inside, share, 0.0)
    near, far = (tf.cast(tf.round(part * _COEFFICIENT), tf.int32)[None, :, None] for part in (1.0 - share, share))
    values = tf.cast(pixels, tf.int32)
    across = tf.gather(values, place, axis=1) * near + tf.gather(values, tf.minimum(place + 1, width - 1), axis=1) * far
    place, share = _between(height, size_px)
    near, far = (tf.cast(tf.round(part * _COEFFICIENT), tf.int32)[:, None, None] for part in (1.0 - share, share))
    rows = [tf.gather(across, tf.clip_by_value(one, 0, height - 1)) for one in (place, place + 1)]
    shift = tf.bitwise.right_shift
    down = sum(shift(part * shift(row, 4), 16) for part, row in zip((near, far), rows, strict=True))
    return tf.cast(tf.clip_by_value(shift(down + 2, 2), 0, 255), tf.uint8)


def _between(side, size_px: int):
    """Return for each of size_px pixels the preceding pixel (n,) int32 along a shorter side, and its distance (n,) float32."""
    middle = tf.range(size_px, dtype=tf.float64) + 0.5
    exact = tf.cast(middle * _factor(side, tf.constant(size_px)) - 0.5, tf.float32)
    return tf.cast(tf.floor(exact), tf.int32), exact - tf.floor(exact)
