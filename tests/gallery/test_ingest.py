"""Photos into an index: read once, told where they are bad or there already."""

import shutil

import numpy as np
import pytest
from support.colours import colour_model
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.gallery import ingest
from kcars.gallery.described import Named, given
from kcars.gallery.store import Gallery
from kcars.inference.photo_source import Photo


@pytest.fixture
def told():
    return []


def photos(*places, names=True):
    return given(places, True, names)[0]


@pytest.fixture
def index(colour_verifier, coloured_cars, tmp_path):
    ingest.build(colour_verifier, photos(coloured_cars), tmp_path / "index", False, False, lambda line: None)
    return tmp_path / "index"


def test_a_built_index_has_the_vectors_names_and_paths_of_the_photos(index, coloured_cars):
    gallery = Gallery.open(index)
    assert [photo.path for photo in gallery.photos] == sorted(map(str, coloured_cars.rglob("*.png")))
    assert gallery.names() == ["Audi A4"] * 4 + ["Fiat 127"] * 4 + ["Fiat 500"] * 4
    np.testing.assert_allclose(gallery.vector_index.vectors([0, 5]), [[0, 0, 200], [205, 0, 0]], atol=1)


def test_bad_photos_are_told_and_passed_over(colour_verifier, coloured_cars, tmp_path, told):
    (coloured_cars / "Fiat/127/bad.jpg").write_bytes(b"no photo")
    found = ingest.build(colour_verifier, photos(coloured_cars), tmp_path / "index", False, False, told.append)
    assert len(found.photos) == len(found.vector_index) == 12
    assert told[0].startswith("skipped: ") and "bad.jpg" in told[0]
    assert told[-1] == "photos: 12 new, 1 skipped"


def test_nothing_is_written_where_no_photo_can_be_read(colour_verifier, tmp_path, told):
    (tmp_path / "cars").mkdir()
    for name in ("bad.jpg", "worse.jpg"):
        (tmp_path / "cars" / name).write_bytes(b"no photo")
    with pytest.raises(KcarsError, match="none of the 2 photos could be read; nothing was written"):
        ingest.build(colour_verifier, photos(tmp_path / "cars"), tmp_path / "index", False, False, told.append)
    assert not (tmp_path / "index").exists()


def test_a_build_that_cannot_be_written_leaves_nothing(colour_verifier, coloured_cars, tmp_path, told, monkeypatch):
    def full(*_):
        raise KcarsError("disk full")

    monkeypatch.setattr("kcars.gallery.store.write_photos", full)
    with pytest.raises(KcarsError, match="disk full"):
        ingest.build(colour_verifier, photos(coloured_cars), tmp_path / "index", False, False, told.append)
    assert not (tmp_path / "index").exists()


def test_the_same_file_is_stored_once(colour_verifier, index, coloured_cars, tmp_path, told):
    shutil.copy(coloured_cars / "Audi/A4/0.png", tmp_path / "copy.png")
    write_photo(tmp_path / "new.png", (0, 90, 0))
    shutil.copy(tmp_path / "new.png", tmp_path / "new_copy.png")
    places = [tmp_path / name for name in ("copy.png", "new.png", "new_copy.png")]
    found = ingest.add(colour_verifier, photos(*places, coloured_cars / "Audi"), index, told.append)
    assert [photo.path for photo in found.photos[12:]] == [str(tmp_path / "new.png")]
    assert f"skipped: {places[0]} is the same file as {coloured_cars / 'Audi/A4/0.png'}" in told
    assert f"skipped: {places[2]} is the same file as {places[1]}" in told
    assert not any("Audi/A4/1.png" in line for line in told), "a file that is there already is counted"
    assert told[-1] == "photos: 1 new, 6 known"
    assert len(Gallery.open(index).photos) == 13


def test_of_many_copies_the_first_are_named_and_the_rest_counted(colour_verifier, index, coloured_cars, tmp_path, told):
    for number in range(23):
        shutil.copy(coloured_cars / "Audi/A4/0.png", tmp_path / f"{number:02}.png")
    ingest.add(colour_verifier, photos(*sorted(tmp_path.glob("*.png"))), index, told.append)
    assert sum("is the same file as" in line for line in told) == 20
    assert told[-2:] == ["skipped: 3 more copies of photos in the index", "photos: 0 new, 23 known"]


def test_new_photos_without_a_box_are_told_where_the_model_learned_from_boxes(colour_verifier, index, tmp_path, told):
    write_photo(tmp_path / "new.png", (0, 90, 0))
    colour_verifier.card["input"] |= {"learned_in_boxes": True}
    ingest.add(colour_verifier, photos(tmp_path / "new.png"), index, told.append)
    assert told[-1].startswith("used whole, without a box: 1 of the new photos; ")
    told.clear()
    ingest.add(colour_verifier, photos(tmp_path / "new.png"), index, told.append)
    assert told == ["photos: 0 new, 1 known"]


def test_one_file_in_two_boxes_is_two_photos(colour_verifier, index, tmp_path, told):
    write_photo(tmp_path / "two.png", (0, 90, 0))
    boxes = [(0.0, 0.0, 40.0, 40.0), (40.0, 0.0, 80.0, 40.0)]
    asked = [Named(Photo("two", tmp_path / "two.png", box)) for box in [*boxes, boxes[0]]]
    found = ingest.add(colour_verifier, asked, index, told.append)
    assert [photo.box for photo in Gallery.open(index).photos[12:]] == boxes
    assert len(found.photos) == 14


def test_adding_nothing_new_writes_nothing(colour_verifier, index, coloured_cars, told):
    before = (index / "index.json").read_bytes()
    ingest.add(colour_verifier, photos(coloured_cars), index, told.append)
    assert (index / "index.json").read_bytes() == before


def test_a_stop_while_embedding_leaves_the_index_as_it_was(colour_verifier, index, tmp_path, told):
    write_photo(tmp_path / "new.png", (0, 90, 0))
    before = {file.name: file.read_bytes() for file in index.iterdir()}

    def stopped(pixels):
        raise KeyboardInterrupt

    colour_verifier._network = stopped
    with pytest.raises(KeyboardInterrupt):
        ingest.add(colour_verifier, photos(tmp_path / "new.png"), index, told.append)
    assert {file.name: file.read_bytes() for file in index.iterdir()} == before


def test_enrolled_photos_are_called_by_the_name(colour_verifier, index, tmp_path, coloured_cars, told):
    write_photo(tmp_path / "new.png", (0, 90, 0))
    asked = photos(tmp_path / "new.png", coloured_cars / "Audi/A4/0.png", names=False)
    ingest.enroll(colour_verifier, "  Lada \n Niva ", asked, index, told.append)
    names = Gallery.open(index).names()
    assert names[0] == names[12] == "Lada Niva" and names[1] == "Audi A4"
    assert f"{coloured_cars / 'Audi/A4/0.png'}: was called Audi A4 and is called Lada Niva now" in told
    before = (index / "index.json").read_bytes()
    ingest.enroll(colour_verifier, "Lada Niva", asked, index, told.append)  # Once more changes nothing.
    assert (index / "index.json").read_bytes() == before


def test_what_is_no_name_or_no_photo_is_refused(colour_verifier, index, tmp_path, told):
    for name in ("", "  ", "unknown"):
        with pytest.raises(KcarsError, match="NAME: .* is not allowed"):
            ingest.enroll(colour_verifier, name, [], index, told.append)
    with pytest.raises(KcarsError, match="none.jpg: cannot be read"):
        ingest.enroll(colour_verifier, "Niva", photos(tmp_path / "none.jpg"), index, told.append)
    with pytest.raises(KcarsError, match="is a video"):
        raise photos(tmp_path / "v.mp4")[0].photo.fault


def test_another_model_adds_nothing(index, coloured_cars, told):
    with pytest.raises(KcarsError, match="is not the model that built"):
        ingest.add(colour_model("other"), photos(coloured_cars), index, told.append)


def test_an_index_is_replaced_only_when_asked(colour_verifier, index, coloured_cars, told):
    asked = photos(coloured_cars / "Fiat")
    with pytest.raises(KcarsError, match="--force replaces it"):
        ingest.build(colour_verifier, asked, index, False, False, told.append)
    ingest.build(colour_verifier, asked, index, True, True, told.append)
    assert set(Gallery.open(index).names()) == {"127", "500"}
    assert Gallery.open(index).facts["vector_index"]["forced"]
