"""The folder of an index: whole at any kill, refused where it does not fit."""

import json
import os
import shutil

import numpy as np
import pytest
from filelock import FileLock
from support.colours import colour_model

from kcars.core import files
from kcars.core.errors import KcarsError
from kcars.gallery.photos import Kept, read_photos, write_photos
from kcars.gallery.store import Gallery, check_place, locked, write
from kcars.gallery.vector_index import VectorIndex

CARD = colour_model().card


def kept(count, first=0):
    return [Kept(f"/photos/{number}.jpg", f"{number:032}", "Fiat", str(number % 3)) for number in range(first, count)]


def written(folder, count):
    vectors = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    return write(folder, CARD, kept(count), VectorIndex.build(vectors))


def test_what_is_opened_is_what_was_written(tmp_path):
    facts = written(tmp_path / "index", 5)
    gallery = Gallery.open(tmp_path / "index")
    assert gallery.photos == kept(5)
    assert gallery.names() == ["Fiat 0", "Fiat 1", "Fiat 2", "Fiat 0", "Fiat 1"]
    assert gallery.facts == json.loads(json.dumps(facts))
    assert (facts["count"], facts["names"], facts["dimensions"]) == (5, 3, 3)
    assert facts["model"]["fingerprint"] == "abc" and facts["decision"]["threshold"] == -50
    np.testing.assert_array_equal(gallery.vector_index.vectors([1]), [[3, 4, 5]])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_kill_at_any_file_leaves_the_old_index_or_the_new_one(tmp_path, step, when):
    written(tmp_path, 4)
    child = os.fork()
    if not child:
        replace, count = os.replace, [0]

        def killed(*paths):
            count[0] += 1
            if count[0] == step and when == "before":
                os._exit(9)
            replace(*paths)
            if count[0] == step:
                os._exit(9)

        files.os.replace = killed
        written(tmp_path, 6)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    switched = step == 3 and when == "after"
    assert len(Gallery.open(tmp_path).photos) == (6 if switched else 4)
    assert written(tmp_path, 7)["count"] == 7
    assert len(Gallery.open(tmp_path).photos) == 7
    assert len(list(tmp_path.iterdir())) == 3  # What was left half written is gone.


def test_a_write_that_fails_leaves_the_old_index_alone(tmp_path, monkeypatch):
    written(tmp_path, 4)
    before = sorted(entry.name for entry in tmp_path.iterdir())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kcars.gallery.store.write_photos", full)
    with pytest.raises(OSError, match="No space"):
        written(tmp_path, 6)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    assert len(Gallery.open(tmp_path).photos) == 4


def test_a_reader_that_a_writer_overtakes_reads_the_new_generation(tmp_path, monkeypatch):
    written(tmp_path, 4)
    read = VectorIndex.read

    def overtaken(*arguments):
        monkeypatch.undo()
        written(tmp_path, 6)
        return read(*arguments)

    monkeypatch.setattr(VectorIndex, "read", overtaken)
    assert len(Gallery.open(tmp_path).photos) == 6


def test_two_writers_exclude_each_other(tmp_path):
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(KcarsError, match="another process is writing it"),
        locked(tmp_path),
    ):
        pass


def test_what_does_not_fit_together_is_one_line(tmp_path):
    index = tmp_path / "index"
    written(index, 4)

    def broken(file, content):
        place = tmp_path / "broken"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(index, place)
        (place / file).unlink() if content is None else (place / file).write_bytes(content)
        return place

    table = (index / "photos-1.csv").read_bytes()
    facts = json.loads((index / "index.json").read_text())
    del facts["content_sha256"], facts["sha256"]  # As an earlier kcars wrote it.
    (index / "index.json").write_text(json.dumps(facts))
    for file, content, told in (
        ("index.json", None, "is not an index"),
        ("index.json", b"{", "is not valid JSON"),
        ("index.json", b'{"format": 9}', "format 9; this kcars reads 1"),
        ("index.json", b'{"format": 1}', "lacks model"),
        ("index.json", json.dumps(facts | {"model": {}}).encode(), r"lacks model\.place"),
        ("index.json", json.dumps(facts | {"model": 5}).encode(), "model is 5: should be"),
        (
            "index.json",
            json.dumps(facts | {"files": {"vectors": "../v", "photos": "p"}}).encode(),
            r"files\.vectors is '\.\./v': String should match",
        ),
        ("index.json", json.dumps(facts | {"count": 5}).encode(), "has 4 vectors, not 5"),
        ("photos-1.csv", table[: table.rindex(b"/photos")], "are inconsistent"),
        ("photos-1.csv", table + b"half a line", "cannot be read"),
        ("photos-1.csv", b"a,b\n", "cannot be read"),
        ("vectors-1.faiss", b"x", "is damaged or not an index of kcars: it is"),
    ):
        with pytest.raises(KcarsError, match=told):
            Gallery.open(broken(file, content))
    with pytest.raises(KcarsError, match="does not exist"):
        Gallery.open(tmp_path / "nowhere")


def test_another_model_and_a_classifier_are_refused(tmp_path):
    written(tmp_path, 2)
    gallery = Gallery.open(tmp_path)
    gallery.refuse_other_model(CARD)
    with pytest.raises(KcarsError, match=r"is not the model that built .*fingerprint other, not abc"):
        gallery.refuse_other_model(colour_model("other").card)
    with pytest.raises(KcarsError, match="has no embedding for search"):
        gallery.refuse_other_model(colour_model(task="classify").card)
    with pytest.raises(KcarsError, match="export again"):
        gallery.refuse_other_model(colour_model(None).card)


def test_only_an_index_is_replaced(tmp_path):
    check_place(tmp_path / "new", force=False)
    written(tmp_path / "index", 2)
    with pytest.raises(KcarsError, match="kcars index add adds to it"):
        check_place(tmp_path / "index", force=False)
    check_place(tmp_path / "index", force=True)
    (tmp_path / "index" / "index.json").write_text("damaged")
    check_place(tmp_path / "index", force=True)
    written(tmp_path / "index", 3)
    assert len(Gallery.open(tmp_path / "index").photos) == 3
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.json").write_text("{}")
    with pytest.raises(KcarsError, match=r"has index\.json, which is not part"):
        check_place(tmp_path / "other", force=True)
    (tmp_path / "index" / "letter.txt").write_text("keep me")
    with pytest.raises(KcarsError, match=r"has letter\.txt"):
        check_place(tmp_path / "index", force=True)
    with pytest.raises(KcarsError, match="is a file"):
        check_place(tmp_path / "index" / "letter.txt", force=True)


def test_any_path_and_box_comes_back(tmp_path):
    strange = os.fsdecode(b'/photos/\xff, "quoted"\nand broken.jpg')
    photos = [Kept(strange, "0", "Citroën", "", (0.1, 1 / 3, 20, 30)), Kept("/b.jpg", "1")]
    write_photos(tmp_path / "photos.csv", photos)
    assert read_photos(tmp_path / "photos.csv", 2) == photos


def test_names_are_of_what_the_model_tells_apart():
    photo = Kept("/a.jpg", "0", "Audi", "A4")
    assert (photo.name("model"), photo.name("make")) == ("Audi A4", "Audi")
    enrolled = Kept("/a.jpg", "0", "", "Fiat 127")
    assert (enrolled.name("model"), enrolled.name("make")) == ("Fiat 127", "Fiat 127")
    assert Kept("/a.jpg", "0").name("model") == ""
