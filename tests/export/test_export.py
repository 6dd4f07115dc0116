import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from support.commands import kcars

from kcars.core.errors import KcarsError
from kcars.export import checks, export
from kcars.export import place as places
from kcars.export.check_photos import test_photos as photos_to_check
from kcars.export.model_card import markdown
from kcars.export.reload import BATCH
from kcars.inference.predictor import load
from kcars.runs.run import Run

SIGNATURES = {
    "classify": {"serving_default", "jpeg", "jpeg_in_box", "pixels"},
    "verify": {"serving_default", "jpeg", "embed", "embed_in_box", "compare", "compare_in_box", "pixels"},
}


@pytest.fixture(scope="module")
def jpegs(drawn):
    return [file.read_bytes() for file in sorted((drawn / "image").rglob("*.jpg"))[:3]]


def card(folder):
    return json.loads((folder / "card.json").read_text())


@pytest.mark.parametrize("task", ["classify", "verify"])
def test_every_format_stands_there_with_its_signatures_and_a_card(exports, task):
    folder = exports[task]
    found = card(folder)
    assert set(found["files"]) == set(found["checks"]) == {"saved_model", "onnx", "litert"}
    assert set(tf.saved_model.load(str(folder / "saved_model/1")).signatures) == SIGNATURES[task]
    for checked in found["checks"].values():
        for one in checked.values():
            assert one["largest_difference"] <= checks.TOLERANCE
            assert one["photos"] == 40
            assert one["changed"] == 0
    assert found["data"]["fingerprint"] in (folder / "README.md").read_text()
    metadata = onnxruntime.InferenceSession(folder / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(metadata["kcars"])["decision"] == found["decision"]
    assert not [name for name in os.listdir(folder.parent) if name.startswith(".")]


@pytest.mark.parametrize("task", ["classify", "verify"])
def test_each_weight_is_stored_once(exports, task):
    folder = exports[task]
    weights = card(folder)["cost"]["parameters"] * 4
    variables = sum(file.stat().st_size for file in (folder / "saved_model/1/variables").iterdir())
    assert variables < 1.1 * weights
    assert (folder / "model.onnx").stat().st_size < 1.2 * weights + 200_000


def test_a_classifier_serves_names_and_their_makes(exports, small_runs, jpegs):
    model = tf.saved_model.load(str(exports["classify"] / "saved_model/1"))
    found = model.signatures["serving_default"](jpeg=tf.constant(jpegs))
    names = card(exports["classify"])["classes"]["names"]
    probabilities = tf.nn.softmax(found["logits"] / card(exports["classify"])["decision"]["temperature"]).numpy()
    best = np.argsort(-probabilities, 1, kind="stable")[:, :5]
    assert [[name.decode() for name in row] for row in found["names"].numpy()] == [
        [names[n] for n in row] for row in best
    ]
    assert found["make_probabilities"].numpy().sum(1) == pytest.approx(1, abs=1e-5)  # Four makes.
    boxes = tf.fill([3, 4], -1.0)
    assert (
        (model.signatures["jpeg_in_box"](jpeg=tf.constant(jpegs), boxes=boxes)["logits"] == found["logits"])
        .numpy()
        .all()
    )


def test_a_verifier_compares_photo_by_photo(exports, jpegs):
    model = tf.saved_model.load(str(exports["verify"] / "saved_model/1"))
    vectors = model.signatures["embed"](jpeg=tf.constant(jpegs))["embedding"].numpy()
    found = model.signatures["compare"](left=tf.constant(jpegs[:2]), right=tf.constant(jpegs[1:]))
    decision = card(exports["verify"])["decision"]
    distance = np.linalg.norm(vectors[:2] - vectors[1:], axis=1)
    assert found["distance"].numpy() == pytest.approx(distance, abs=1e-5)
    assert found["same"].numpy().tolist() == (-distance >= decision["threshold"]).tolist()
    assert ((found["probability"].numpy() > 0.5) == (distance < decision["offset"])).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="different numbers of photos"):
        model.signatures["compare"](left=tf.constant(jpegs[:1]), right=tf.constant(jpegs))


@pytest.mark.parametrize("task", ["classify", "verify"])
def test_every_signature_answers_an_empty_batch_and_a_photo_of_one_pixel_and_refuses_a_bad_one(exports, task):
    import cv2

    dot = cv2.imencode(".jpg", np.full((1, 1, 3), 90, np.uint8))[1].tobytes()
    model = tf.saved_model.load(str(exports[task] / "saved_model/1"))
    for name in SIGNATURES[task]:
        function = model.signatures[name]
        inputs = function.structured_input_signature[1]

        def given(photos, inputs=inputs):
            count = len(photos)
            fill = {
                tf.string: lambda shape: tf.constant(photos, tf.string),
                tf.float32: lambda shape: tf.fill([count, 4], -1.0),
                tf.uint8: lambda shape: tf.zeros([count, *shape[1:]], tf.uint8),
            }
            return {key: fill[spec.dtype](spec.shape) for key, spec in inputs.items()}

        for count in (0, 1, 3):
            answers = function(**given([dot] * count))
            assert {len(value) for value in answers.values()} == {count}, name
        assert all(np.isfinite(value.numpy()).all() for value in answers.values() if value.dtype == tf.float32)
        if name != "pixels":
            for bad in (b"", b"no photo", dot[: len(dot) // 2]):
                with pytest.raises(tf.errors.InvalidArgumentError, match="photo"):
                    function(**given([dot, bad]))


def test_other_runtimes_answer_an_empty_batch(exports):
    session = onnxruntime.InferenceSession(exports["classify"] / "model.onnx")
    assert session.run(["logits"], {"pixels": np.zeros((0, 32, 32, 3), np.uint8)})[0].shape == (0, 16)


def test_the_card_says_that_litert_takes_no_empty_batch(exports):
    ask, photos = (
        Interpreter(str(exports["classify"] / "model.tflite")).get_signature_runner("pixels"),
        np.zeros((2, 32, 32, 3), np.uint8),
    )
    with pytest.raises(RuntimeError):
        ask(pixels=photos[:0])
    assert ask(pixels=photos)["probabilities"].shape == (2, 16)
    text = markdown(card(exports["classify"]))
    assert (
        "LiteRT, which requires at least one photo" in text and "LiteRT raises RuntimeError for an empty batch" in text
    )


def test_what_an_export_answers_is_compared_and_a_wrong_one_is_refused(exports, tmp_path):
    model = onnx.load(exports["classify"] / "model.onnx")
    weights = next(one for one in model.graph.initializer if len(one.dims) == 2)
    values = onnx.numpy_helper.to_array(weights).copy()
    values[0, 0] += 0.5
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save(model, tmp_path / "wrong.onnx")
    check = check_of(exports["classify"])
    checks.compared("onnx", exports["classify"] / "model.onnx", check)
    with pytest.raises(KcarsError, match="outputs differ from the run's"):
        checks.compared("onnx", tmp_path / "wrong.onnx", check)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(KcarsError, match="cannot be loaded again"):
        checks.compared("onnx", tmp_path / "broken.onnx", check)


def check_of(folder):
    """What the export itself answers, as if it were a run."""
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH + 3, 32, 32, 3), np.uint8)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    nothing = np.zeros(0, int), [], np.zeros((0, 4), np.float32)
    return checks.Check(card(folder), "noise", pixels, nothing, session.run(["logits"], {"pixels": pixels})[0])


def test_decisions_are_counted_equal_changed_or_too_near_to_tell(exports):
    verifier = {"task": "verify", "decision": {"threshold": -1.0, "scale": 4.0, "offset": 1.0}, "input": {}}
    wanted = np.array([[0.0], [0.5], [1.50005], [3.0]], np.float32)
    check = checks.Check(verifier, "", np.zeros((4, 1, 1, 3), np.uint8), None, wanted)
    found = checks._compared_pairs(check, {"embedding": wanted + [[0], [0], [0], [-1.2]]}, np.arange(4), {})
    assert (found["decisions"], found["near"], found["changed"]) == (2, 1, 1)
    assert found["largest_difference"] == pytest.approx(1.2)
    wrong = {"compare/distance": np.array([0.5, 1.00005, 1.5]), "compare/same": np.array([True, False, False])}
    pairs = {**wrong, "compare/probability": np.array([0.5, 0.5, 0.5])}
    assert checks._compared_pairs(check, {"embedding": wanted}, np.arange(4), pairs)["largest_difference"] > 0.3
    classifier = {"task": "classify", "decision": {"temperature": 1.0}, "classes": {"names": ["a", "b"]}}
    wanted = np.array([[2.0, 0.0], [0.0, 0.00001], [0.0, 3.0]], np.float32)
    check = checks.Check(classifier, "", None, None, wanted)
    own = wanted[:, ::-1]
    probabilities = np.exp(own) / np.exp(own).sum(1, keepdims=True)
    found = checks._named(check, {"logits": own, "probabilities": probabilities}, np.arange(3), {})
    assert (found["decisions"], found["near"], found["changed"]) == (2, 1, 2)


@pytest.mark.parametrize(("logit", "difference"), [(0.5, 0.05), (1.0, 0.05), (1000.0, 0.00005)])
def test_large_logits_are_compared_by_their_size(logit, difference):
    classifier = {"task": "classify", "decision": {"temperature": 1.0}, "classes": {"names": ["a", "b"]}}
    wanted = np.array([[logit, 0.0]])
    check = checks.Check(classifier, "", None, None, wanted)
    own = {"logits": wanted - 0.05, "probabilities": checks.probabilities(wanted, 1.0)}
    found = checks._named(check, own, np.arange(1), {})
    assert found["largest_difference"] == pytest.approx(difference)


def test_a_failing_export_leaves_nothing_and_keeps_the_earlier_one(small_runs, tmp_path, monkeypatch):
    run, out = Run.open(small_runs["classify"]), tmp_path / "export"

    def photos():
        return photos_to_check(run, None, 4)

    export(run, ["onnx"], out, photos, say=lambda _: None)
    before = (out / "card.json").read_bytes()
    monkeypatch.setattr(checks, "TOLERANCE", -1.0)
    for folder, force in ((out, True), (tmp_path / "new", False)):
        with pytest.raises(KcarsError, match="nothing was written"):
            export(run, ["onnx"], folder, photos, force, say=lambda _: None)
    assert (out / "card.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["export"]


def test_thumbnails_are_compared_on_where_the_dataset_is_gone(small_runs, tmp_path):
    run = Run(shutil.copytree(small_runs["verify"], tmp_path / "run"))
    facts = run.facts()
    run.note(data={**facts["data"], "source": str(tmp_path / "gone")})
    told, photos = photos_to_check(run, None, 5)
    assert told == "5 thumbnails of test photos"
    assert len(photos) == 5
    with pytest.raises(KcarsError, match="no such folder"):
        photos_to_check(run, tmp_path / "gone", 5)
    shutil.rmtree(run.folder / "thumbnails")
    with pytest.raises(KcarsError, match="is missing"):
        photos_to_check(run, None, 5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "torch"], "--format: 'torch' is not known; choose one of saved_model, onnx, litert"),
        (["--format", ","], "is empty"),
        (["--data", "/nowhere"], "no such folder"),
    ],
)
def test_wrong_arguments_are_one_line(small_runs, tmp_path, arguments, told):
    output = kcars("export", small_runs["classify"], "--out", tmp_path / "x", *arguments, code=2)
    assert told in output
    assert not (tmp_path / "x").exists()


def test_what_is_in_the_way_is_told(small_runs, exports, tmp_path):
    (tmp_path / "file.txt").write_text("mine")
    assert "not an export" in kcars("export", small_runs["classify"], "--out", tmp_path, "--force", code=2)
    assert "add --force" in kcars("export", small_runs["classify"], "--out", exports["classify"], code=2)
    assert (tmp_path / "file.txt").read_text() == "mine"
    shutil.copytree(exports["classify"], tmp_path / "export")
    (tmp_path / "export/notes.txt").write_text("mine")
    told = kcars("export", small_runs["classify"], "--out", tmp_path / "export", "--force", code=2)
    assert "has notes.txt next to an export" in told


def test_the_current_folder_can_be_exported_into(small_runs, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    kcars("export", small_runs["classify"], "--format", "onnx", "--out", ".", "--photos", 4)
    assert os.listdir(tmp_path) == ["here"]
    assert sorted(os.listdir(tmp_path / "here")) == ["README.md", "card.json", "model.onnx"]


def test_where_a_new_export_cannot_take_its_place_the_earlier_one_stays(tmp_path, monkeypatch):
    place, out, replace = tmp_path / "new", tmp_path / "out", os.replace
    for folder in (place, out):
        folder.mkdir()
        (folder / "card.json").write_text(folder.name)

    def failing(source, target):
        if source == place:
            raise OSError("no")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    monkeypatch.setattr(places, "exchange", lambda one, other: False)
    with pytest.raises(OSError, match="no"):
        places.put(place, out)
    assert (out / "card.json").read_text() == "out"
    assert sorted(os.listdir(tmp_path)) == ["new", "out"]


def test_a_run_scored_by_an_earlier_kcars_says_how_to_score_it_anew(small_runs, tmp_path):
    run = shutil.copytree(small_runs["classify"], tmp_path / "run")
    scores = json.loads((run / "scores.json").read_text())
    (run / "scores.json").write_text(json.dumps({**scores, "decision": {}}))
    assert "kcars evaluate" in kcars("export", run, code=2)


def test_the_reloading_program_needs_no_kcars(exports, tmp_path):
    """In an interpreter to which kcars cannot be found at all."""
    questions = tmp_path / "q.npz"
    np.savez(
        questions,
        pixels=np.zeros((2, 32, 32, 3), np.uint8),
        jpeg=np.zeros(0, np.uint8),
        lengths=[],
        boxes=np.zeros((0, 4)),
    )
    hidden = (
        "import runpy, sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'kcars': raise ImportError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        f"sys.argv = ['reload', 'onnx', {str(exports['classify'] / 'model.onnx')!r}, {str(questions)!r}, {str(tmp_path / 'a.npz')!r}]\n"
        f"runpy.run_path({str(checks.RELOAD)!r}, run_name='__main__')\n"
    )
    subprocess.run([sys.executable, "-I", "-c", hidden], check=True, cwd="/")
    with np.load(tmp_path / "a.npz") as answers:
        assert answers["pixels/logits"].shape == (2, 16)


@pytest.mark.parametrize("task", ["classify", "verify"])
def test_the_cards_python_runs_word_for_word(exports, drawn, tmp_path, task):
    """In the export's folder, by somebody who has no kcars but photos of these names."""
    here = shutil.copytree(exports[task], tmp_path / "export")
    photos = sorted((drawn / "image").rglob("*.jpg"))[:20:10]
    for name, file in zip(("photo.jpg", "other.jpg"), photos, strict=True):
        shutil.copy(file, here / name)
    text = (here / "README.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    assert len(blocks) == 5
    prepared = "one, other = open('photo.jpg', 'rb').read(), open('other.jpg', 'rb').read()\n"
    told = {
        "classify": "print(answer['names'][0, 0].numpy().decode())",
        "verify": "print(distance, same, probability, float(answer['distance'][0]))",
    }
    program = prepared + "\n".join(blocks) + told[task]
    done = subprocess.run([sys.executable, "-c", program], cwd=here, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    if task == "classify":
        names, first = done.stdout.splitlines()
        wanted = [answer.answer for answer in load(exports[task]).predict([here / "photo.jpg", here / "other.jpg"])]
        assert names == str(wanted)
        assert first == wanted[0]
    else:
        distance, same, probability, served = done.stdout.split()
        wanted = load(exports[task]).compare(here / "photo.jpg", here / "other.jpg")
        assert float(distance) == pytest.approx(wanted.distance, abs=1e-4)
        assert float(served) == pytest.approx(wanted.distance, abs=1e-4)
        assert (same == "True") == wanted.same
        assert float(probability) == pytest.approx(wanted.probability, abs=1e-3)


def test_the_folder_of_a_card_is_described_in_words(exports):
    text = Path(exports["verify"] / "README.md").read_text()
    for part in ("## Scores", "## Requirements for clients", "compare_in_box", "tensorflow/serving", "## Limits"):
        assert part in text


def test_the_last_epoch_is_not_called_the_best(exports):
    written = card(exports["verify"])
    assert written["kept"] == "last" and "| best epoch |" in markdown(written | {"kept": "best"})
    text = markdown(written)
    assert "| last epoch |" in text and "best epoch" not in text
