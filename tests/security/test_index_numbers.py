"""Index folders whose numbers are too large to compute with, of another width than the model's, or at the end of their generations."""

import json

import numpy as np
import pytest
from support.colours import colour_model

from kcars.core.errors import KcarsError
from kcars.gallery import ingest
from kcars.gallery.described import Named
from kcars.gallery.photos import Kept
from kcars.gallery.search import search_each
from kcars.gallery.store import Gallery, write
from kcars.gallery.vector_index import VectorIndex, faiss_module
from kcars.inference.photo_source import Photo

MODEL = colour_model()
RED = Photo("red", np.full((9, 9, 3), (200, 0, 0), np.uint8))
VECTORS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def index(folder, vectors=VECTORS, **changes):
    """An index of a stranger, without digests, whose FAISS file holds other vectors."""
    kept = [Kept(f"/photos/{number}.jpg", f"{number:032}", "Fiat", str(number % 6)) for number in range(len(vectors))]
    write(folder, MODEL.card, kept, VectorIndex.build(VECTORS))
    faiss = faiss_module()
    made = faiss.IndexFlatL2(vectors.shape[1])
    made.add(np.ascontiguousarray(vectors, np.float32))
    faiss.write_index(made, str(folder / "vectors-1.faiss"))
    facts = json.loads((folder / "index.json").read_text())
    del facts["content_sha256"], facts["sha256"]
    (folder / "index.json").write_text(json.dumps(facts | {"dimensions": vectors.shape[1]} | changes))
    return folder


def test_vectors_whose_squares_are_infinite_are_refused(tmp_path):
    """A search then found nothing, and an index that was added to could not be read any more."""
    with pytest.raises(KcarsError, match=r"a number that is not finite, or beyond 1e\+15"):
        Gallery.open(index(tmp_path / "index", VECTORS * np.float32(1e37)))
    with pytest.raises(KcarsError, match=r"returns numbers beyond 1e\+15"):
        VectorIndex.build(VECTORS * np.float32(1e37))


def test_vectors_of_another_width_than_the_models_are_refused(tmp_path):
    folder = index(tmp_path / "index", VECTORS[:, :2])
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(KcarsError, match="has vectors of 2 dimensions, but its model .* has 3"):
        list(search_each(MODEL, Gallery.open(folder), [RED], 1))
    with pytest.raises(KcarsError, match="has vectors of 2 dimensions"):
        ingest.add(MODEL, [Named(RED)], folder, print)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} | before == before


@pytest.mark.parametrize("number", ["9" * 200, "9" * 18, "\u0665"])
def test_an_index_whose_generation_has_no_next_one_is_not_lost(tmp_path, number):
    files = {"vectors": f"vectors-{number}.faiss", "photos": f"photos-{number}.csv"}
    folder = index(tmp_path / "index", files=files)
    for name, file in files.items():
        (folder / f"{name}-1.{file.rpartition('.')[2]}").rename(folder / file)
    with pytest.raises(KcarsError, match="files.vectors"):
        ingest.add(MODEL, [Named(RED)], folder, print)
    assert all((folder / file).is_file() for file in files.values())


def test_facts_that_could_not_be_read_are_not_written(tmp_path):
    folder = index(tmp_path / "index")
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != ".lock"}
    model = MODEL.card | {"strategy": "s", "input": MODEL.card["input"] | {"padding": 11.0}}
    with pytest.raises(KcarsError, match="nothing was written, because it could not be read: model.padding"):
        write(folder, model, Gallery.open(folder).photos, VectorIndex.build(VECTORS))
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.name != ".lock"} == before
