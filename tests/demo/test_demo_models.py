"""What the page answers by: runs, exports, an index, in any order; and what is refused in one line."""

import json
import shutil

import pytest

from kcars.core.errors import KcarsError
from kcars.demo import answers
from kcars.demo.models import load_all
from kcars.inference.photo_source import Photo


@pytest.fixture(scope="module")
def photos(drawn):
    return [Photo(file.name, file.read_bytes()) for file in sorted((drawn / "image").rglob("*.jpg"))[:2]]


@pytest.fixture(scope="module")
def index(cars_index):
    return cars_index


def test_runs_answer_with_maps(small_runs, photos):
    models = load_all([small_runs["verify"], small_runs["classify"]])
    assert (models.classify.task, models.verify.task, models.gallery) == ("classify", "verify", None)
    named = answers.named(models.classify, photos[0])
    assert len(named.prediction.names) == 5 and named.heat_map.seen.ndim == 3
    compared = answers.compared(models.verify, *photos)
    assert compared.comparison == models.verify.predictor.compare(*photos) and len(compared.heat_maps) == 2


def test_exports_answer_without_maps_and_say_why(exports, photos):
    models = load_all(exports.values())
    assert answers.named(models.classify, photos[0]).heat_map is None
    assert answers.compared(models.verify, *photos).heat_maps == ()
    assert all("no heat maps" in model.no_maps for model in models.all())


def test_an_index_brings_the_model_that_built_it_or_takes_its_export(index, exports, photos):
    for places in ([], [exports["verify"]]):
        models = load_all(places, index)
        found = answers.found(models, photos[0], 3)
        assert len(found.result.matches) == 3 and found.prediction.names
    assert models.classify is None


def test_what_does_not_go_together_is_told(small_runs, exports, index, tmp_path):
    with pytest.raises(KcarsError, match="names cars, as .*classify does; give one model per task"):
        load_all([small_runs["classify"], exports["classify"]])
    other = shutil.copytree(index, tmp_path / "other.index")
    facts = json.loads((other / "index.json").read_text())
    facts["model"]["fingerprint"] = "another"
    del facts["content_sha256"]
    (other / "index.json").write_text(json.dumps(facts))
    with pytest.raises(KcarsError, match="is not the model that built .*other.index"):
        load_all([exports["verify"]], other)
    facts["model"]["place"] = str(tmp_path / "gone")
    (other / "index.json").write_text(json.dumps(facts))
    with pytest.raises(KcarsError, match="gone, is missing; give --model"):
        load_all([], other)


def test_a_photo_that_ends_too_early_is_refused(small_runs, photos):
    model = load_all([small_runs["classify"]]).classify
    with pytest.raises(KcarsError, match="ends too early"):
        answers.named(model, Photo("cut.jpg", photos[0].source[:1500]))
