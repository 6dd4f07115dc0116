"""An index follows path and content: files that were overwritten, moved, swapped, copied and removed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.commands import kcars
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.demo import shown
from kcars.gallery import described, ingest, upkeep
from kcars.gallery.contact_sheet import GREY, write_sheet
from kcars.gallery.photos import Kept, digest
from kcars.gallery.store import Gallery

EXAMPLES = max(10, int(os.environ.get("KCARS_EXAMPLES", "60")) // 4)
GREEN = (0, 90, 0)


def photos(*places, names=True):
    return described.given(places, True, names)[0]


def quiet(line):
    pass


@pytest.fixture
def index(colour_verifier, coloured_cars, tmp_path):
    ingest.build(colour_verifier, photos(coloured_cars), tmp_path / "index", False, False, quiet)
    return tmp_path / "index"


def vectors(gallery) -> dict[str, np.ndarray]:
    found = gallery.vector_index.vectors()
    assert len(found) == len(gallery.photos) == gallery.facts["count"]
    return {photo.path: found[row] for row, photo in enumerate(gallery.photos)}


def test_a_photo_that_was_overwritten_is_embedded_anew(colour_verifier, index, coloured_cars):
    told, photo = [], coloured_cars / "Audi/A4/0.png"
    write_photo(photo, GREEN)
    for _ in range(2):
        ingest.add(colour_verifier, photos(coloured_cars), index, told.append)
    found = Gallery.open(index)
    assert len(found.photos) == 12 and found.names().count("Audi A4") == 4
    assert np.allclose(vectors(found)[str(photo)], GREEN, atol=1)
    assert [line for line in told if line.startswith("overwritten")] == [
        f"overwritten: {photo} is not the earlier photo (called Audi A4)"
    ]
    assert "photos: 1 new, 11 known" in told


def test_a_name_that_was_given_to_what_is_gone_is_not_kept(colour_verifier, index, coloured_cars):
    photo = coloured_cars / "Audi/A4/0.png"
    ingest.enroll(colour_verifier, "Lada Niva", photos(photo, names=False), index, quiet)
    assert "Lada Niva" in Gallery.open(index).names()
    write_photo(photo, GREEN)
    ingest.add(colour_verifier, photos(photo), index, quiet)  # Alone it has no layout, and so no name.
    (found,) = (one for one in Gallery.open(index).photos if one.path == str(photo))
    assert found.name("model") == ""


def test_a_photo_that_cannot_be_read_any_more_keeps_its_vector(colour_verifier, index, coloured_cars):
    photo = coloured_cars / "Audi/A4/0.png"
    photo.write_bytes(b"no photo")
    ingest.add(colour_verifier, photos(coloured_cars), index, quiet)
    assert str(photo) in vectors(Gallery.open(index))


@pytest.mark.parametrize(("place", "name"), [("Fiat/500/9.png", "Fiat 500"), ("Opel/GT/9.png", "Opel GT")])
def test_a_moved_photo_is_followed_and_called_as_its_new_place_says(colour_verifier, index, coloured_cars, place, name):
    told, old, new = [], coloured_cars / "Audi/A4/0.png", coloured_cars / place
    new.parent.mkdir(parents=True, exist_ok=True)
    old.rename(new)
    ingest.add(colour_verifier, photos(coloured_cars), index, told.append)
    found = Gallery.open(index)
    (row,) = (row for row, photo in enumerate(found.photos) if photo.path == str(new))
    assert len(found.photos) == 12 and found.names()[row] == name and str(old) not in vectors(found)
    assert f"moved: {old} is now {new}, was called Audi A4 and is called {name} now" in told
    assert told[-1] == "photos: 0 new, 11 known, 1 moved"


def test_a_moved_photo_keeps_its_name_where_the_new_place_gives_none(colour_verifier, index, coloured_cars, tmp_path):
    (coloured_cars / "Audi/A4/0.png").rename(tmp_path / "street.png")
    ingest.add(colour_verifier, photos(tmp_path / "street.png"), index, quiet)
    (found,) = (one for one in Gallery.open(index).photos if one.path == str(tmp_path / "street.png"))
    assert found.name("model") == "Audi A4"


def test_a_copy_changes_nothing(colour_verifier, index, coloured_cars):
    before = (index / "index.json").read_bytes()
    shutil.copy(coloured_cars / "Audi/A4/0.png", coloured_cars / "Fiat/500/copy.png")
    ingest.add(colour_verifier, photos(coloured_cars), index, quiet)
    assert (index / "index.json").read_bytes() == before


def test_two_photos_that_changed_names_keep_their_vectors(colour_verifier, index, coloured_cars, tmp_path):
    one, other = coloured_cars / "Audi/A4/0.png", coloured_cars / "Fiat/127/0.png"
    before = vectors(Gallery.open(index))
    one.rename(tmp_path / "x.png")
    other.rename(one)
    (tmp_path / "x.png").rename(other)
    ingest.add(colour_verifier, photos(coloured_cars), index, quiet)
    found = Gallery.open(index)
    after = vectors(found)
    assert np.array_equal(before[str(one)], after[str(other)]) and np.array_equal(before[str(other)], after[str(one)])
    assert sorted(found.names()) == ["Audi A4"] * 4 + ["Fiat 127"] * 4 + ["Fiat 500"] * 4


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_happens_to_files_the_index_follows(colour_verifier, tmp_path_factory, data):
    root = tmp_path_factory.mktemp("cars")
    places = [
        root / make / model / f"{number}.png"
        for make, model in (("a", "1"), ("a", "2"), ("b", "3"))
        for number in (0, 1)
    ]
    for number, place in enumerate(places):
        write_photo(place, (30 * number + 10, 200, 30))
    index = root / "cars.index"
    ingest.build(colour_verifier, photos(root), index, False, False, quiet)
    for number in range(data.draw(st.integers(1, 6))):
        left = sorted(root.rglob("*.png"))
        one = data.draw(st.sampled_from(left))
        other = data.draw(st.sampled_from(places))
        action = data.draw(st.sampled_from(["write", "move", "copy", "delete"]))
        if action == "write":
            write_photo(one, (number + 1, number + 60, 250))
        elif action == "move":
            one.replace(other)
        elif action == "copy" and one != other:
            shutil.copy(one, other)
        elif action == "delete" and len(left) > 1:
            one.unlink()
    ingest.add(colour_verifier, photos(root), index, quiet)
    files = sorted(root.rglob("*.png"))
    stale = {one.path for one in upkeep.stale_photos(Gallery.open(index).photos)}
    assert not stale & set(map(str, files))
    if stale:
        upkeep.remove(index, (), True, quiet)
    found = Gallery.open(index)
    by_digest = {photo.digest: photo for photo in found.photos}
    assert set(by_digest) == {digest(file.read_bytes()) for file in files} and len(by_digest) == len(found.photos)
    for path, vector in vectors(found).items():
        assert np.allclose(vector, np.asarray(Image.open(path)).mean((0, 1)), atol=1)
    for photo in found.photos:
        assert (photo.make, photo.model) == tuple(Path(photo.path).parts[-3:-1])


# ---- remove, check, what is shown ----


def test_remove_takes_files_and_folders_that_may_be_gone(index, coloured_cars):
    shutil.rmtree(coloured_cars / "Fiat/127")
    told = kcars("index", "remove", index, coloured_cars / "Fiat/127", coloured_cars / "Audi/A4/0.png")
    assert "photos: 5 removed" in told and "7 photos, 2 names" in told
    assert len(vectors(Gallery.open(index))) == 7
    told = kcars("index", "remove", index, coloured_cars / "Fiat/127", code=2)
    assert "has no photo there" in told
    assert "no photo would be left" in kcars("index", "remove", index, coloured_cars, code=2)
    assert "name photos or folders" in kcars("index", "remove", index, code=2)
    assert len(Gallery.open(index).photos) == 7


def test_a_name_that_begins_alike_is_another_folder(index, coloured_cars):
    assert "has no photo there" in kcars("index", "remove", index, coloured_cars / "Fia", code=2)


def test_check_and_remove_stale(index, coloured_cars, tmp_path):
    assert "12 files, 12 as they were embedded" in kcars("index", "check", index)
    gone, moved, far, other = (
        coloured_cars / name for name in ("Audi/A4/0.png", "Audi/A4/1.png", "Fiat/127/0.png", "Fiat/127/1.png")
    )
    gone.unlink()
    moved.rename(moved.with_name("new.png"))
    (tmp_path / "archive/deep").mkdir(parents=True)
    far.rename(tmp_path / "archive/deep/far.png")
    write_photo(other, GREEN)
    told = kcars("index", "check", index, code=1)
    assert f"gone: {gone}" in told and f"gone: {far}" in told and f"overwritten: {other}" in told
    assert f"moved: {moved} is now {moved.with_name('new.png')}" in told
    assert "12 files, 8 as they were embedded" in told
    told = kcars("index", "check", index, tmp_path / "archive", code=1)
    assert f"moved: {far} is now {tmp_path / 'archive/deep/far.png'}" in told
    assert "photos: 4 removed" in kcars("index", "remove", index, "--stale")
    assert "8 files, 8 as they were embedded" in kcars("index", "check", index)
    assert "photos: 0 removed" in kcars("index", "remove", index, "--stale")


def test_an_index_of_lists_forgets_too(colour_verifier, coloured_cars, tmp_path, monkeypatch):
    from kcars.gallery import vector_index

    for number in range(60):
        write_photo(coloured_cars / "Fiat/Panda" / f"{number}.png", (number, 3 * number, 60))
    monkeypatch.setattr(vector_index, "EXACT_UP_TO", 40)
    ingest.build(colour_verifier, photos(coloured_cars), tmp_path / "index", False, False, quiet)
    assert Gallery.open(tmp_path / "index").facts["vector_index"]["kind"] == "ivf_flat"
    upkeep.remove(tmp_path / "index", [coloured_cars / "Fiat/Panda/0.png"], False, quiet)
    assert len(vectors(Gallery.open(tmp_path / "index"))) == 71
    upkeep.remove(tmp_path / "index", [coloured_cars / "Fiat/Panda"], False, quiet)
    found = Gallery.open(tmp_path / "index")
    assert found.facts["vector_index"]["kind"] == "exact" and len(vectors(found)) == 12


def test_another_picture_is_not_shown(tmp_path):
    photo = tmp_path / "a.png"
    write_photo(photo, (200, 0, 0))
    kept = Kept(str(photo), digest(photo.read_bytes()))
    assert shown._picture_of(kept)
    write_photo(photo, GREEN)
    assert shown._picture_of(kept) is None
    write_sheet(tmp_path / "sheet.jpg", "cluster", [kept], 0.0)
    assert np.allclose(np.asarray(Image.open(tmp_path / "sheet.jpg"))[-60, 90], GREY, atol=4)


def test_a_command_that_is_stopped_leaves_the_index(index, coloured_cars, monkeypatch):
    before = {file.name: file.read_bytes() for file in index.iterdir()}

    def full(*_):
        raise KcarsError("disk full")

    monkeypatch.setattr("kcars.gallery.store.write_photos", full)
    with pytest.raises(KcarsError, match="disk full"):
        upkeep.remove(index, [coloured_cars / "Audi"], False, quiet)
    assert {file.name: file.read_bytes() for file in index.iterdir()} == before


@pytest.mark.parametrize("name", ["AUDI a4", "Audi  A4 "])
def test_names_that_look_alike_are_one_name_of_an_index(colour_verifier, index, coloured_cars, name):
    told, photo = [], coloured_cars.parent / "new.png"
    write_photo(photo, GREEN)
    ingest.enroll(colour_verifier, name, photos(photo, names=False), index, told.append)
    ingest.enroll(colour_verifier, name, photos(coloured_cars / "Fiat/127/0.png", names=False), index, told.append)
    assert sorted(set(Gallery.open(index).names())) == ["Audi A4", "Fiat 127", "Fiat 500"]
    assert Gallery.open(index).names().count("Audi A4") == 6
    make, model = name.split()
    other = coloured_cars.parent / "more" / make / f"{model} "
    write_photo(other / "1.png", (1, 99, 3))
    ingest.add(colour_verifier, photos(coloured_cars.parent / "more"), index, told.append)
    assert Gallery.open(index).names().count("Audi A4") == 7
