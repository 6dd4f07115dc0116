"""One photo and one box: the same pixels on every way to an answer, or the same refusal that names the photo.

KCARS_EXAMPLES sets how many photos are drawn (default 60).
"""

import os
import re
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support import photo_kinds

from kcars.core.errors import KcarsError
from kcars.data.faults import spoils
from kcars.demo.uploads import photo_in
from kcars.doctor.examine import examine
from kcars.export import formats as writers
from kcars.export.graphs import Graphs
from kcars.export.model_card import _PIXELS, _client_code
from kcars.gallery.described import Named
from kcars.gallery.ingest import Intake
from kcars.images import formats
from kcars.images.decode import full_size, read_photo
from kcars.images.thumbnail import thumbnail
from kcars.inference.photo_source import Detector, Photo, detected
from kcars.inference.predictor import Predictor
from kcars.posthoc.pipeline import Pipeline

SIZE, PADDING = 24, 0.1
CARD = {
    "format": 1,
    "task": "verify",
    "target": "make",
    "classes": {"names": ["a"], "makes": []},
    "input": {"size_px": SIZE, "padding": PADDING, "crop": "box", "mirror": False, "shift": 0.0, "unit": False, "learned_in_boxes": False},
    "embedding": SIZE * SIZE * 3,
    "decision": {"threshold": -1.0, "scale": 1.0, "offset": 1.0},
    "place": "export",
}  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(the SavedModel's signatures, a session of the ONNX file, `pixels_of` of its README), of a network that gives its pixels."""
    import keras

    folder = tmp_path_factory.mktemp("export")
    given_ = keras.Input((SIZE, SIZE, 3))
    graphs = Graphs(keras.Model(given_, keras.layers.Flatten()(given_)), CARD, Pipeline(decision=CARD["decision"]))
    writers.saved_model(graphs, CARD, folder / "model")
    writers.onnx(graphs, CARD, folder / "model.onnx")
    program = re.search(
        "```python\n(.*?)\npixels =", _PIXELS.format(code=_client_code(CARD["input"])), re.DOTALL
    ).group(1)
    names = {}
    exec(program, names)  # noqa: S102  What a client copies.
    loaded = tf.saved_model.load(str(folder / "model"))
    return loaded, onnxruntime.InferenceSession(folder / "model.onnx"), names["pixels_of"]


class Finds(Detector):
    """Finds one box, in whatever photo."""

    def __init__(self, box):
        self.box = box

    def boxes(self, pixels):
        return [self.box]


class Ways:
    """Every way of kcars from a file and a box to the pixels that a network is given; KcarsError where it is refused."""

    def __init__(self, session):
        self.model = Predictor(CARD, lambda pixels: session.run(["embedding"], {"pixels": pixels})[0])

    def training(self, path, box):
        return read_photo(path, box, SIZE, "box", PADDING)

    def predict(self, path, box):
        return self._read(Photo(str(path), path, box))

    def python_bytes(self, path, box):
        return self._read(Photo(str(path), path.read_bytes(), box))

    def onnx(self, path, box):
        return self.model.embed([Photo(str(path), str(path), box)])[0].reshape(SIZE, SIZE, 3)

    def index(self, path, box):
        given_ = [Named(Photo(str(path), path, box), "", "")]
        return Intake((), lambda line: None).embed(self.model, given_, progress=False)[0].reshape(SIZE, SIZE, 3)

    def detector(self, path, box):
        (photo,) = detected([Photo(str(path), path)], Finds(box))
        return self._read(photo)

    def _read(self, photo):
        found = self.model.read(photo)
        if isinstance(found, KcarsError):
            raise found
        return found

    def all(self):
        return self.training, self.predict, self.python_bytes, self.onnx, self.index, self.detector


def outcome(way, path, box):
    """Pixels, or why they are refused, without the photo's name."""
    try:
        return np.asarray(way(path, box), np.float32)
    except KcarsError as error:
        assert str(error).startswith(f"{path}: "), (way, error)
        return str(error).removeprefix(f"{path}: ")


def same(one, other) -> bool:
    return one == other if isinstance(one, str) or isinstance(other, str) else np.array_equal(one, other)


@settings(
    max_examples=int(os.environ.get("KCARS_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(photo=photo_kinds.photos(), data=st.data())
def test_every_way_gives_the_same_pixels_or_the_same_refusal(exported, tmp_path_factory, photo, data):
    told, content, height, width = photo
    box = data.draw(photo_kinds.boxes(*data.draw(st.sampled_from([(height, width), (width, height)]))))
    saved_model, session, pixels_of = exported
    path, ways = tmp_path_factory.getbasetemp() / "drawn.jpg", Ways(session)
    path.write_bytes(content)
    found = outcome(ways.training, path, box)
    for way in ways.all():
        answer = outcome(way, path, box)
        both = (
            way == ways.detector and isinstance(answer, str) and isinstance(found, str)
        )  # It looks at the photo before there is a box.
        assert both or same(answer, found), (told, box, way.__name__)
    refused = isinstance(found, str)
    by_clients = not refused and formats.header(content).read_by_tensorflow
    edges = tf.constant([box or (-1, -1, -1, -1)], tf.float32)
    asked = {
        "SavedModel": lambda: saved_model.signatures["embed_in_box"](jpeg=tf.constant([content]), boxes=edges)[
            "embedding"
        ].numpy()[0],
        "README": lambda: pixels_of(path, box),
    }
    if box is None:
        asked["SavedModel, whole"] = lambda: saved_model.signatures["embed"](jpeg=tf.constant([content]))[
            "embedding"
        ].numpy()[0]
    for name, ask in asked.items():
        try:
            answer = np.asarray(ask(), np.float32).reshape(SIZE, SIZE, 3)
        except (tf.errors.InvalidArgumentError, ValueError) as error:
            assert name != "README" or str(error).startswith(f"{path}: "), (told, box, error)
            answer = None
        assert (answer is not None) == by_clients, (told, box, name, found if refused else "answered")
        assert answer is None or np.array_equal(answer, found), (told, box, name)
    _reports(path, box, found, told)


def _reports(path, box, found, told):
    """What tells of a photo, or shows it, agrees with what answers about it."""
    kinds = [kind for kind, _ in examine(path, box).faults]
    assert any(map(spoils, kinds)) == isinstance(found, str), (told, box, kinds)
    try:
        whole = full_size(path.read_bytes())
    except ValueError:
        whole = None
    shown = thumbnail(path, 500, 500)
    assert (shown is None) == (whole is None), told
    assert shown is None or np.array_equal(np.asarray(shown), whole), told
    try:
        uploaded = Ways(None)._read(replace(photo_in(path, path.parent), box=box))
        assert np.array_equal(uploaded, found), told
    except KcarsError:
        assert isinstance(found, str), told


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_photo_with_a_box_is_read_as_finely_as_the_same_photo_stored_upright(tmp_path, turn):
    scene = photo_kinds.picture(300, 200, 5)
    stored = scene.transpose(_BACK[turn]) if turn > 1 else scene
    for kind in ("PNG", "WEBP"):
        pixels = []
        for name, photo, noted in (("upright", scene, {}), ("turned", stored, photo_kinds.exif(turn))):
            path = tmp_path / name
            path.write_bytes(photo_kinds.saved(photo, kind, **({"lossless": True} if kind == "WEBP" else {}), **noted))
            pixels.append(read_photo(path, (2, 2, 198, 50), SIZE, "box", PADDING))
        assert np.array_equal(*pixels)


_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def test_exif_that_names_no_turn_leaves_a_photo_as_it_is(tmp_path):
    kinds = {}
    for turn in (0, 1, 9, 300):
        path = tmp_path / f"{turn}.jpg"
        path.write_bytes(photo_kinds.KINDS["JPEG, big-endian Exif"](photo_kinds.picture(60, 90, 1), turn))
        kinds[turn] = [kind for kind, _ in examine(path, None).faults]
    assert kinds == {0: [], 1: [], 9: ["turn_not_applied"], 300: ["turn_not_applied"]}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("PNG, 16 bits", ["sixteen_bit"]),
        ("PNG, 16 bits grey", ["sixteen_bit", "grey"]),
        ("PNG, palette", []),
        ("PNG, palette see-through", ["transparent"]),
        ("PNG, alpha", ["transparent"]),
        ("JPEG, turn in XMP", ["turn_not_applied"]),
        ("JPEG, CMYK without Adobe", ["cmyk"]),
        ("BMP, palette", []),
        ("ICO", ["no_photo"]),
        ("TGA", ["no_photo"]),
    ],
)
def test_data_check_reports_what_decoding_does(tmp_path, name, kinds):
    data = photo_kinds.KINDS[name](photo_kinds.picture(60, 90, 1), 0)
    path = tmp_path / f"a{'.png' if name[:3] == 'PNG' else '.bmp' if name[:3] == 'BMP' else '.jpg'}"
    path.write_bytes(data)
    assert [kind for kind, _ in examine(path, None).faults] == kinds


DAMAGES = ("cut off, with an end", "end within", "restart within", "table within", "comment within", "without its end")
ONLY_REFINED = ("restart within", "comment within")  # What a later scan of a progressive file lacks.


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        (kind, damage)
        for kind in ("JPEG", "JPEG, progressive", "JPEG, CMYK", "JPEG, grey")
        for damage in DAMAGES
        if not (kind == "JPEG, progressive" and damage in ONLY_REFINED)
    ],
)
def test_a_jpeg_that_lacks_pixels_is_refused_and_data_check_says_so(tmp_path, kind, damage):
    path = tmp_path / "a.jpg"
    path.write_bytes(photo_kinds.damaged(photo_kinds.KINDS[kind](photo_kinds.picture(200, 200, 1), 0), damage, 0.1, 1))
    with pytest.raises(KcarsError, match=r"a\.jpg: ends too early or is damaged"):
        read_photo(path, None, SIZE, "box", PADDING)
    assert [kind for kind, _ in examine(path, None).faults] in (["truncated"], ["no_photo"])
