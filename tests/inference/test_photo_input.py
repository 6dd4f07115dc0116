"""What Python users give as photos: every form of one photo gives the same answer, and all else is one KcarsError."""

import io
import os
import pathlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kcars import Photo
from kcars.core.errors import KcarsError
from kcars.images.pixels import empty_photos
from kcars.inference.photo_input import as_photo, photos_from

EXAMPLES = int(os.environ.get("KCARS_EXAMPLES", "60"))


def encoded(pixels, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


class Tensor:
    """As tensors of other libraries: NumPy takes it, and it is no array."""

    def __init__(self, pixels):
        self.pixels, self.shape = pixels, pixels.shape

    def __array__(self, dtype=None, copy=None):
        return self.pixels

    def __iter__(self):
        return iter(self.pixels)


FORMS = {
    "text": lambda file, pixels: str(file),
    "Path": lambda file, pixels: file,
    "PurePath": lambda file, pixels: pathlib.PurePath(file),
    "bytes": lambda file, pixels: file.read_bytes(),
    "bytearray": lambda file, pixels: bytearray(file.read_bytes()),
    "memoryview": lambda file, pixels: memoryview(file.read_bytes()),
    "BytesIO": lambda file, pixels: io.BytesIO(file.read_bytes()),
    "open file": lambda file, pixels: file.open("rb"),
    "pixels": lambda file, pixels: pixels,
    "read backwards": lambda file, pixels: np.ascontiguousarray(pixels[..., ::-1])[..., ::-1],
    "RGBA pixels": lambda file, pixels: np.dstack([pixels, np.full(pixels.shape[:2], 7, np.uint8)]),
    "tensor": lambda file, pixels: Tensor(pixels),
    "opened image": lambda file, pixels: Image.open(file),
    "image": lambda file, pixels: Image.fromarray(pixels),
    "RGBA image": lambda file, pixels: Image.fromarray(np.dstack([pixels, np.full(pixels.shape[:2], 7, np.uint8)])),
}
GREY_FORMS = {
    "grey pixels": lambda file, pixels: pixels[..., 0],
    "grey pixels with a channel": lambda file, pixels: pixels[..., :1],
    "grey image": lambda file, pixels: Image.fromarray(pixels[..., 0]),
    "grey image with alpha": lambda file, pixels: Image.fromarray(pixels[..., 0]).convert("LA"),
    "palette image": lambda file, pixels: Image.fromarray(pixels[..., 0]).convert("P"),
}
IN_PHOTO = {f"Photo of {name}": name for name in ("text", "bytes", "BytesIO", "image", "RGBA pixels")}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "car.png"


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from([*FORMS, *GREY_FORMS, *IN_PHOTO]),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 99),
    alone=st.booleans(),
)
def test_every_form_of_a_photo_is_the_same_photo(colour_verifier, file, form, size, seed, alone):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    if form in GREY_FORMS:
        pixels = np.repeat(pixels[..., :1], 3, axis=2)
    file.write_bytes(encoded(pixels))
    made = (FORMS | GREY_FORMS)[IN_PHOTO.get(form, form)](file, pixels)
    one = Photo("gate camera", made) if form in IN_PHOTO else made
    (vector,) = colour_verifier.embed(one if alone else [one])
    assert (vector == colour_verifier.embed([file])[0]).all()


def test_what_is_given_in_a_photo_keeps_name_and_box(colour_verifier):
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, 10:] = 200
    photo = as_photo(Photo("gate camera", encoded(pixels), np.array([10, 0, 20, 10])))
    assert (photo.name, photo.box) == ("gate camera", (10, 0, 20, 10))
    assert colour_verifier.embed(photo).tolist() == [[200, 200, 200]]


def test_both_sides_of_a_comparison_are_read_once(colour_verifier):
    pixels = np.full((8, 8, 3), 90, np.uint8)
    found = colour_verifier.compare(io.BytesIO(encoded(pixels)), io.BytesIO(encoded(pixels)))
    assert found.same and found.distance == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pillow_image_is_turned_as_the_file_is(colour_verifier, tmp_path, orientation):
    pixels = np.zeros((16, 24, 3), np.uint8)  # Too small to be decoded at a half.
    pixels[:6, :15, 0], pixels[12:, :, 1] = 250, 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "turned.jpg").write_bytes(encoded(pixels, "JPEG", quality=95, exif=exif, subsampling=0))
    seen = [
        colour_verifier.read(as_photo(one)) for one in (tmp_path / "turned.jpg", Image.open(tmp_path / "turned.jpg"))
    ]
    assert (seen[0] == seen[1]).all()


def unreadable(tmp_path):
    closed = io.BytesIO(b"abc")
    closed.close()
    whole = encoded(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8), "JPEG")
    return {
        "a number": (7, "photo: is int; a path, encoded bytes"),
        "nothing": (None, "photo: is NoneType"),
        "a list of lists": ([[1, 2], [3, 4]], "photo: is list"),
        "floats": (np.zeros((4, 4, 3), np.float32), r"pixels: is an array \(4, 4, 3\) of float32"),
        "two channels": (np.zeros((4, 4, 2), np.uint8), r"array \(4, 4, 2\) of uint8"),
        "no pixels": (np.zeros((0, 4, 3), np.uint8), r"array \(0, 4, 3\)"),
        "a single value": (np.array("a.jpg"), r"pixels: is an array \(\)"),
        "no path": ("", "is a folder"),
        "a folder": (tmp_path, "is a folder"),
        "a name that is none": ("a\0b.jpg", "cannot be read"),
        "a name of half a character": ("\ud800.jpg", "cannot be read"),
        "bytes of nothing": (b"", "bytes: not a photo"),
        "text for bytes": (io.StringIO("abc"), r"file: its read\(\) gives str; open the file in binary mode"),
        "a closed file": (closed, "file: cannot be read .*closed"),
        "a cut image": (Image.open(io.BytesIO(whole[: len(whole) // 2])), "image: ends too early or is damaged"),
        "ink": (Image.new("CMYK", (4, 4)), r'mode CMYK; 1, L, .*convert\("RGB"\) makes one'),
        "16 bits": (Image.new("I;16", (4, 4)), "mode I;16"),
        "a box of three": (Photo("a", b"abc", (1, 2, 3)), r"a: \(1, 2, 3\) is no box; four numbers are"),
        "a box of words": (Photo("a", b"abc", ("left", 2, 3, 4)), "is no box"),
        "a box without end": (Photo("a", b"abc", (0, 0, float("inf"), 4)), "is no box"),
        "a box beyond all numbers": (Photo("a", b"abc", (0, 0, 10**400, 4)), "is no box"),
        "a Photo of nothing": (Photo("a", None), "a: is NoneType"),
    }


@pytest.mark.parametrize("kind", unreadable(pathlib.Path()))
def test_all_else_is_one_line_in_its_place(colour_verifier, tmp_path, kind):
    bad, told = unreadable(tmp_path)[kind]
    good = np.full((8, 8, 3), 90, np.uint8)
    answers = [answer for _, answer in colour_verifier.embed_each([good, bad, good])]
    assert answers[0].tolist() == answers[2].tolist() == [90, 90, 90]
    assert isinstance(answers[1], KcarsError)
    with pytest.raises(KcarsError, match=told) as error:
        colour_verifier.embed([bad])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [None, 7, 1.5, {"a.jpg": 1}, object()])
def test_what_is_no_list_of_photos_is_one_line(colour_verifier, wrong):
    with pytest.raises(KcarsError, match="photos: .* given; a list of photos is expected, or one"):
        colour_verifier.embed(wrong)


def test_no_photos_give_no_answers(colour_verifier):
    assert colour_verifier.embed([]).shape == (0, 3)
    assert colour_verifier.outputs(empty_photos(0, 8)).shape == (0, 3)


def test_lists_arrays_and_generators_are_several_photos():
    stack = empty_photos(2, 8)
    for several in (
        ["a", "b"],
        ("a", "b"),
        (one for one in "ab"),
        np.array(["a", "b"]),
        stack,
        list(stack),
        {"a": 1, "b": 2}.keys(),
    ):
        assert len(list(photos_from(several))) == 2
    assert list(photos_from([])) == []


def test_a_file_larger_than_a_photo_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setenv("KCARS_LIMITS", "photo_mib=1")
    file = io.BytesIO(bytes(3 << 20))
    for large in (file, bytes(2 << 20)):
        with pytest.raises(KcarsError, match="larger than 1 MiB"):
            as_photo(large)
    assert file.tell() <= (1 << 20) + 1
    monkeypatch.setenv("KCARS_LIMITS", "photo_megapixels=1")
    with pytest.raises(KcarsError, match="1001 x 1000 pixels; a photo may have 1 million"):
        as_photo(Image.new("L", (1001, 1000)))
