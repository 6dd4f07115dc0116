"""JPEG segments in TensorFlow: size, Exif orientation and scans, as in `images/jpeg_header.py` and `formats.py`, and the
bytes with padding between scans, as in `images/jpeg_damage.py`.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from kcars.core.limits import limits
from kcars.images.jpeg_damage import (
    FIRST_RESTART,
    FOREIGN_TO_ONE,
    FOREIGN_TO_SEVERAL,
    INTERVAL,
    PADDING,
    RESTART_NUMBERS,
)
from kcars.images.jpeg_header import COEFFICIENTS

_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
_FOREIGN = [[kind in foreign for kind in range(256)] for foreign in (FOREIGN_TO_ONE, FOREIGN_TO_SEVERAL)]
_FRAMES = [kind for kind in range(0xC0, 0xD0) if kind not in (0xC4, 0xC8, 0xCC)]


class File(NamedTuple):
    """A JPEG file: its bytes as numbers, followed by zeros; size; positions of all markers; and those of the frame, the first
    scan and the Exif segment, -1 if there are none."""

    raw: tf.Tensor
    size: tf.Tensor
    markers: tf.Tensor
    frame: tf.Tensor
    scan: tf.Tensor
    exif: tf.Tensor

    def number(self, place, size: int = 1, little: Any = False) -> Any:
        """Return the integer of the bytes (..., ) at a position; bytes after the end are 0."""
        places = place[..., None] + tf.range(size, dtype=tf.int64)
        found = tf.gather(self.raw, tf.clip_by_value(places, 0, self.size))
        weights = tf.constant([256 ** (size - 1 - byte) for byte in range(size)], tf.int64)
        return tf.reduce_sum(tf.cast(found, tf.int64) * tf.where(little, weights[::-1], weights), -1)

    @property
    def colours(self) -> Any:
        return self.number(self.frame + 9)

    @property
    def progressive(self) -> Any:
        return self.number(self.frame + 1) == 0xC2

    @property
    def several_scans(self) -> Any:
        return self.progressive | (self.number(self.scan + 4) < self.colours)

    def markers_in_scans(self):
        """Return the positions (k,) of markers after the header of the first scan, up to the end of image; all if it is missing."""
        begin = self.scan + 2 + self.number(self.scan + 2, 2)
        behind = tf.boolean_mask(self.markers, self.markers >= begin)
        ends = tf.where(self.number(behind + 1) == _END_OF_IMAGE)[:, 0]
        return tf.cond(tf.size(ends) > 0, lambda: behind[: ends[0] + 1], lambda: behind)


def _is_restart(kinds) -> Any:
    return (kinds >= FIRST_RESTART) & (kinds < FIRST_RESTART + RESTART_NUMBERS)


def opened(data, raw) -> File:
    """Parse encoded bytes, given as a string and as numbers (n,) uint8."""
    size = tf.size(raw, tf.int64)
    markers = tf.where((raw[:-1] == 0xFF) & (raw[1:] != 0) & (raw[1:] != 0xFF))[:, 0]
    none = tf.constant(-1, tf.int64)
    file = File(
        tf.concat([raw, tf.zeros([1], tf.uint8)], 0), size, tf.concat([markers, size[None]], 0), none, none, none
    )

    def step(place, frame, scan, exif, _):
        at = file.markers[tf.searchsorted(file.markers, tf.minimum(place, size)[None], out_type=tf.int64)[0]]
        kind = file.number(at + 1)
        bare: Any = (kind < 0xC0) | _is_restart(kind)
        over: Any = (at + 4 > size) | (kind == 0xD8) | (kind == _END_OF_IMAGE)
        named = ~bare & ~over
        is_exif = (kind == 0xE1) & (exif < 0) & (tf.strings.substr(data, tf.minimum(at + 4, size), len(_EXIF)) == _EXIF)
        frame = tf.where(named & tf.reduce_any(kind == _FRAMES), at, frame)
        scan = tf.where(named & (kind == _START_OF_SCAN), at, scan)
        exif = tf.where(named & is_exif, at, exif)
        behind = at + 2 + tf.where(bare, tf.zeros_like(at), tf.maximum(file.number(at + 2, 2), 2))
        return behind, frame, scan, exif, over | (scan >= 0)

    start = tf.constant(2, tf.int64), none, none, none, tf.constant(False)
    found = tf.while_loop(
        lambda *state: ~state[-1], step, start, parallel_iterations=1, maximum_iterations=limits().photo_segments
    )
    return file._replace(frame=found[1], scan=found[2], exif=found[3])


def orientation(file: File):
    """Return the Exif orientation, 1 to 8; 1 if there is none."""

    def asked():
        base, end = file.exif + 10, file.exif + 2 + file.number(file.exif + 2, 2)
        exif = file._replace(
            raw=tf.concat([file.raw[:end], tf.zeros([1], tf.uint8)], 0), size=tf.minimum(end, file.size)
        )
        order = exif.number(base, 2)
        little = order == 0x4949
        first = base + exif.number(base + 4, 4, little)
        count = tf.minimum(exif.number(first, 2, little), (end - base) // 12)
        entries = first + 2 + 12 * tf.range(count)
        turns = tf.boolean_mask(entries, exif.number(entries, 2, little) == _ORIENTATION)
        turn = exif.number(tf.concat([turns, [-9]], 0)[0] + 8, 2, little)
        known = ((order == 0x4D4D) | little) & (tf.size(turns) > 0) & (turn >= 1) & (turn <= 8)
        return tf.where(known, turn, tf.ones_like(turn))

    return tf.cond(file.exif >= 0, asked, lambda: tf.constant(1, tf.int64))


def turned(pixels, orientation):
    """Apply an Exif orientation, as `decode.upright`."""
    pixels = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
    for axis, turns in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        flipped = tf.reduce_any(orientation == tf.constant(turns, tf.int64))
        pixels = tf.cond(flipped, lambda p=pixels, a=axis: tf.reverse(p, [a]), lambda p=pixels: p)
    return pixels


def whole(file: File, markers):
    """Return whether the scans, given by their markers (k,), end with the image and have all coefficients."""
    kinds = file.number(markers + 1)
    scans = tf.concat([file.scan[None], tf.boolean_mask(markers, kinds == _START_OF_SCAN)], 0)
    count = file.number(scans + 4)
    first, last, bits = (file.number(scans + place + 2 * count) for place in (5, 6, 7))
    coefficients = tf.range(COEFFICIENTS, dtype=tf.int64)
    given = (coefficients >= first[:, None]) & (coefficients <= last[:, None]) & (
        bits[:, None] % 16 == 0
    ) | ~file.progressive
    parts: Any = tf.range(4, dtype=tf.int64)
    colours = file.number(scans[:, None] + 5 + 2 * parts)
    of_frame = file.number(file.frame + 10 + 3 * tf.range(file.colours))
    named = (colours[..., None] == of_frame) & (parts < count[:, None])[..., None]
    complete = tf.reduce_all(tf.reduce_any(named[..., None] & given[:, None, None], (0, 1)))
    foreign = tf.where(file.several_scans, tf.gather(_FOREIGN[1], kinds), tf.gather(_FOREIGN[0], kinds))
    ended = tf.reduce_any(kinds == _END_OF_IMAGE)
    return ended & tf.logical_not(tf.reduce_any(foreign)) & (complete | ~file.several_scans)


def scans(file: File, markers):
    """Return the number of scans."""
    more = tf.reduce_sum(tf.cast(file.number(markers + 1) == _START_OF_SCAN, tf.int64))
    return tf.where(file.several_scans, 1 + more, tf.ones_like(more))


def may_restart(file: File):
    """Return whether there may be a restart interval, as `jpeg_damage.may_restart`."""
    return tf.reduce_any(file.number(file.markers + 1) == INTERVAL)


def in_sequence(file: File, markers):
    """Return whether the restarts of each scan, given by their markers (k,), are in sequence."""
    kinds = file.number(markers + 1)
    order = tf.range(tf.size(kinds, tf.int64))
    others = tf.concat([[-1], tf.where(~_is_restart(kinds))[:, 0]], 0)  # Behind each, restarts are numbered from 0.
    before = tf.gather(others, tf.searchsorted(others, order, out_type=tf.int64) - 1)
    right: Any = kinds == FIRST_RESTART + (order - before - 1) % RESTART_NUMBERS
    return tf.reduce_all(right | ~_is_restart(kinds))


def padded(data, file: File, markers, restarts: bytes):
    """Insert padding as `jpeg_damage.padded`, for each kind of marker, because there are few kinds but may be many markers."""
    names = tf.constant([bytes((0xFF, kind)) for kind in range(256)])
    ends = tf.constant([PADDING if _is_restart(kind) else PADDING + restarts for kind in range(256)])
    begin, end = file.scan + 2 + file.number(file.scan + 2, 2), markers[-1] + 2
    kinds = tf.unique(file.number(markers + 1)).y

    def step(number, text):
        name, end = names[kinds[number]], ends[kinds[number]]
        parts = tf.raw_ops.StringSplitV2(input=text[None], sep=name, maxsplit=-1).values
        longer = tf.strings.join([parts[:-1], end, name])
        return number + 1, tf.strings.reduce_join(tf.concat([longer, parts[-1:]], 0))

    text = tf.strings.substr(data, begin, end - begin)
    scans = tf.while_loop(lambda number, _: number < tf.size(kinds), step, (0, text), parallel_iterations=1)[1]
    return tf.strings.join([tf.strings.substr(data, tf.zeros_like(begin), begin), scans])
