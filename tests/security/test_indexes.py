"""Index folders that a stranger made: what their files may make FAISS do, and what is noticed of damage."""

import json
import os
import shutil
import struct

import faiss
import numpy as np
import pytest
from support.colours import colour_model

from kcars.core.errors import KcarsError
from kcars.gallery import ingest, vector_index
from kcars.gallery.described import Named
from kcars.gallery.photos import Kept
from kcars.gallery.search import nearest
from kcars.gallery.store import Gallery, check_place, locked, model_place, read_facts, write
from kcars.gallery.vector_index import VectorIndex
from kcars.inference.photo_source import Photo

CARD, COUNT = colour_model().card, 60
VECTORS = np.random.default_rng(0).normal(size=(COUNT, 3)).astype(np.float32)


@pytest.fixture(params=["exact", "ivf_flat"])
def index(request, tmp_path, monkeypatch):
    """An index of 60 photos, whose vectors lie in lists or not."""
    if request.param == "ivf_flat":
        monkeypatch.setattr(vector_index, "EXACT_UP_TO", 10)
    kept = [Kept(f"/photos/{number}.jpg", f"{number:032}", "Fiat", str(number % 6)) for number in range(COUNT)]
    write(tmp_path / "index", CARD, kept, VectorIndex.build(VECTORS))
    assert read_facts(tmp_path / "index")["vector_index"]["kind"] == request.param
    return tmp_path / "index"


def changed(index, **changes) -> None:
    """index.json as an earlier kcars, or a stranger, wrote it: without digests."""
    facts = json.loads((index / "index.json").read_text())
    facts.pop("content_sha256", None)
    facts.pop("sha256", None)
    (index / "index.json").write_text(json.dumps(facts | changes))


def refused(index, told: str) -> None:
    with pytest.raises(KcarsError, match=told) as error:
        Gallery.open(index)
    assert "\n" not in str(error.value)


# ---- FAISS files ----


def on_disk_lists(index, victim) -> None:
    """What is read maps the victim's file for writing; `index add` then wrote vectors into it."""
    quantizer = faiss.IndexFlatL2(3)
    made = faiss.IndexIVFFlat(quantizer, 3, 4)
    made.train(VECTORS)
    made.add(VECTORS)
    lists = faiss.OnDiskInvertedLists(4, made.code_size, str(victim))
    lists.merge_from(made.invlists, 0)
    made.replace_invlists(lists)
    faiss.write_index(made, str(index / "vectors-1.faiss"))


def test_lists_that_map_a_file_of_the_user_are_refused(tmp_path):
    write(tmp_path / "index", CARD, [Kept(f"/{n}.jpg", str(n)) for n in range(COUNT)], VectorIndex.build(VECTORS))
    on_disk_lists(tmp_path / "index", tmp_path / "letter.txt")
    (tmp_path / "letter.txt").write_bytes(b"mine " * 2000)
    lists = {
        "kind": "ivf_flat",
        "forced": False,
        "lists": 4,
        "learned_from": COUNT,
        "probes": 4,
        "recall@10": 1.0,
        "recall_queries": 9,
    }
    changed(tmp_path / "index", vector_index=lists)
    photo = Named(Photo("red", np.full((9, 9, 3), (200, 0, 0), np.uint8)))
    with pytest.raises(KcarsError, match="has lists of kind 'ilod'; kcars stores them in the file, 'ilar'"):
        ingest.add(colour_model(), [photo], tmp_path / "index", print)
    assert (tmp_path / "letter.txt").read_bytes() == b"mine " * 2000


@pytest.mark.parametrize("kind", ["HNSW8,Flat", "PQ1x4np", "IDMap2,Flat", "PCA2,Flat", "IVF4,PQ1x4np", "SQ8"])
def test_other_kinds_of_faiss_are_refused(tmp_path, kind):
    write(tmp_path, CARD, [Kept(f"/{n}.jpg", str(n)) for n in range(COUNT)], VectorIndex.build(VECTORS))
    other = faiss.index_factory(3, kind)
    other.train(VECTORS)
    other.add_with_ids(VECTORS, np.arange(COUNT)) if kind.startswith("IDMap") else other.add(VECTORS)
    faiss.write_index(other, str(tmp_path / "vectors-1.faiss"))
    changed(tmp_path)
    refused(tmp_path, "vectors-1.faiss: is damaged or not an index of kcars: it (is of kind|has)")


def test_no_size_in_the_file_is_believed(index):
    """A count at each place of eight bytes that asks for an exabyte, or for less than there is."""
    file = index / "vectors-1.faiss"
    whole = file.read_bytes()
    changed(index)
    heads = len(whole) if len(whole) < 900 else 400
    for place in [*range(4, heads, 4), *range(max(heads, len(whole) - 60), len(whole), 4)]:
        for number in (2**60, 2**31, 0, 2**64 - 1):
            damaged = bytearray(whole)
            damaged[place : place + 8] = struct.pack("<Q", number)
            file.write_bytes(damaged[: len(whole)])
            try:
                gallery = Gallery.open(index)
            except KcarsError as error:
                assert "vectors-1.faiss" in str(error) and "\n" not in str(error)
            else:  # A vector's own number, or a place without a meaning.
                found = nearest(gallery, CARD["decision"], Photo("one", b""), VECTORS[0], 5)
                assert len(found.matches) == 5
    for size in (0, 3, 4, 30, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        refused(index, "it is truncated")
    file.write_bytes(whole + b"\0")
    refused(index, "has data after the index")


def test_a_vector_that_is_not_finite_is_refused(index):
    file = index / "vectors-1.faiss"
    whole = file.read_bytes()
    changed(index)
    first = 98 if whole.startswith(b"IwFl") else 45  # Behind the heads, of the centres where there are any.
    for place in (whole.rindex(VECTORS[7].tobytes()), first):
        file.write_bytes(whole[:place] + struct.pack("<f", float("nan")) + whole[place + 4 :])
        refused(index, "has a number that is not finite")


def test_lists_name_each_row_once(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_index, "EXACT_UP_TO", 10)
    write(tmp_path, CARD, [Kept(f"/{n}.jpg", str(n)) for n in range(COUNT)], VectorIndex.build(VECTORS))
    changed(tmp_path)
    file = tmp_path / "vectors-1.faiss"
    whole = file.read_bytes()
    for number, told in (
        (10**6, "has row numbers out of range"),
        (-1, "has row numbers out of range"),
        (COUNT, "row numbers"),
    ):
        file.write_bytes(whole[:-8] + struct.pack("<q", number))  # The last row of the last list.
        refused(tmp_path, told)
    other = 0 if struct.unpack("<q", whole[-8:])[0] else 1
    file.write_bytes(whole[:-8] + struct.pack("<q", other))
    refused(tmp_path, "has duplicate row numbers")


# ---- rot ----


@pytest.mark.parametrize("name", ["vectors-1.faiss", "photos-1.csv"])
def test_a_flipped_bit_is_noticed(index, name):
    content = bytearray((index / name).read_bytes())
    content[-40] ^= 1
    (index / name).write_bytes(content)
    refused(index, f"{name}: .*has changed since it was written")


def test_a_flipped_bit_of_index_json_is_noticed(index):
    text = (index / "index.json").read_text()
    (index / "index.json").write_text(text.replace('"threshold": -50', '"threshold": -58'))
    refused(index, "index.json: is damaged: its content is not what was written")


def test_an_index_of_an_earlier_kcars_is_read_and_gets_digests(index):
    changed(index)
    assert len(Gallery.open(index).photos) == COUNT
    photo = Named(Photo("red", np.full((9, 9, 3), (200, 0, 0), np.uint8)))
    ingest.add(colour_model(), [photo], index, print)
    assert set(read_facts(index)["sha256"]) == {"vectors", "photos"}
    assert len(Gallery.open(index).photos) == COUNT + 1


# ---- index.json and the table ----


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": "60"}, "count is '60': should be a valid integer"),
        ({"count": -1}, "count is -1"),
        ({"count": 10**12}, "count is 1000000000000"),
        ({"dimensions": 0}, "dimensions is 0"),
        ({"dimensions": 10**9}, "dimensions is 1000000000"),
        ({"dimensions": 4}, "has vectors of 3 numbers, not 4"),
        ({"count": 61}, "has 60 vectors, not 61"),
        ({"decision": {"threshold": None, "scale": 1, "offset": 1}}, "decision.threshold is None"),
        ({"decision": {"threshold": float("nan"), "scale": 1, "offset": 1}}, "NaN is no number of JSON"),
        ({"decision": {"threshold": -1, "scale": -1, "offset": 1}}, "decision.scale is -1"),
        ({"open_set": {"threshold": "x"}}, "open_set.threshold is 'x'"),
        ({"open_set": 5}, "open_set is 5"),
        ({"model": {"place": 5}}, "model.place is 5"),
        ({"model": None}, "model is None"),
        ({"vector_index": {"kind": "ivf_pq", "forced": False}}, "vector_index.kind is 'ivf_pq'"),
        ({"vector_index": {"kind": "ivf_flat", "forced": False}}, "lacks lists"),
        ({"files": {"vectors": "../../x", "photos": "photos-1.csv"}}, "files.vectors is '../../x'"),
        ({"files": {"vectors": "vectors-1.faiss\n", "photos": "photos-1.csv"}}, "files.vectors"),
        ({"files": []}, "files is "),
        ({"generation": "1"}, "generation is '1'"),
        ({"names": None}, "names is None"),
        ({"sha256": {"vectors": 5, "photos": "x"}}, "sha256.vectors is 5"),
    ],
)  # fmt: skip
def test_an_index_json_that_cannot_be_used_is_one_line(index, change, told):
    changed(index, **change)
    refused(index, told)


@pytest.mark.parametrize(
    "content", [b"[]", b"5", b"{", b"", b"\xff\xfe", b"null", b'{"a":' * 100_000, b'{"format": 1}']
)
def test_what_is_no_index_json_is_one_line(index, content):
    (index / "index.json").write_bytes(content)
    refused(index, "index.json: ")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"/a.jpg,1,,\n", "4 cells, not 8"),
        (b"/a.jpg,1,,,nan,0,1,1\n", "'nan,0,1,1' is not a box"),
        (b"/a.jpg,1,,,0,0,inf,1\n", "is not a box"),
        (b"/a.jpg,1,,,5,0,1,1\n", "is not a box"),
        (b"/a.jpg,1,,,a,b,c,d\n", "could not convert"),
        (b",1,,,,,,\n", "is not a path"),
        (b"/a\0.jpg,1,,,,,,\n", "line contains NUL|is not a path"),
        (b"/" + b"a" * 5000 + b",1,,,,,,\n", "is not a path"),
        (b"/a.jpg,1,," + b"x" * 200_000 + b",,,,\n", "field larger than field limit|more than 4096 characters"),
    ],
)  # fmt: skip
def test_a_line_of_the_table_that_cannot_be_is_told(index, line, told):
    changed(index)
    file = index / "photos-1.csv"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:-1], line]))
    refused(index, f"photos-1.csv: cannot be read .*({told})")


def test_a_table_of_more_photos_is_not_read_to_its_end(index):
    changed(index)
    file = index / "photos-1.csv"
    with file.open("ab") as table:
        table.write(b"/a.jpg,1,,,,,,\n" * 3)
    refused(index, "more photos, 60 in index.json")
    with file.open("ab") as table:
        table.truncate(2**30)  # Of zeros, without taking any disk.
    refused(index, "photos-1.csv: has 1,073,741,824 bytes; at most")


# ---- links, pipes and what others put there ----


def test_no_link_is_read_written_or_deleted(index, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name in ("index.json", "photos-1.csv", "vectors-1.faiss"):
        whole = index.parent / name
        (index / name).rename(whole)
        (index / name).symlink_to(whole)
        refused(index, f"{name}: is a link")
        with pytest.raises(KcarsError, match=f"has {name}"):
            check_place(index, force=True)
        (index / name).unlink()
        whole.rename(index / name)
    (index / ".lock").unlink(missing_ok=True)
    (index / ".lock").symlink_to(mine)
    with pytest.raises(KcarsError, match=r"\.lock: is a link"), locked(index):
        pass
    (index / ".lock").unlink()
    (index / "vectors-7.faiss").symlink_to(mine)
    (index / "photos-7.csv").mkdir()
    photo = Named(Photo("red", np.full((9, 9, 3), (200, 0, 0), np.uint8)))
    gallery = ingest.add(colour_model(), [photo], index, print)
    assert gallery.facts["files"]["vectors"] == "vectors-8.faiss"
    assert (index / "vectors-7.faiss").is_symlink() and (index / "photos-7.csv").is_dir()
    assert mine.read_text() == "mine"


def test_pipes_are_not_waited_for(index):
    for name, told in (
        ("photos-1.csv", "is a named pipe"),
        ("vectors-1.faiss", "is a named pipe"),
        ("index.json", "is not an index"),
    ):
        (index / name).rename(index.parent / name)
        os.mkfifo(index / name)
        refused(index, told)
        (index / name).unlink()
        (index.parent / name).rename(index / name)
    (index / ".lock").unlink(missing_ok=True)
    os.mkfifo(index / ".lock")
    with pytest.raises(KcarsError, match=r"\.lock: is a link, or not a regular file"), locked(index):
        pass


def test_the_model_of_an_index_may_lie_at_no_possible_place(index):
    for place in ("a" * 4000, "\0", "/dev/zero/x", str(index / "gone")):
        facts = read_facts(index)
        facts["model"]["place"] = place
        with pytest.raises(KcarsError, match="is missing"):
            model_place(index, facts)


def test_photos_that_an_index_names_are_opened_as_photos_or_not_at_all(tmp_path):
    """A stranger's index may name any file: what is no photo is a grey tile, and a pipe or a device is not waited for."""
    from kcars.gallery.contact_sheet import GREY, _tile

    (tmp_path / "secret").write_text("password")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "secret", tmp_path / "pipe", "/dev/zero", "/proc/self/mem", tmp_path, "/nowhere"):
        tile = _tile(Kept(str(path), "1"), 0.0)
        assert set(np.asarray(tile).reshape(-1, 3).ravel().tolist()) == {GREY[0]}


def test_a_copy_of_an_index_is_one(index, tmp_path):
    """Nothing in it depends on where it lies."""
    copy = shutil.copytree(index, tmp_path / "copy")
    assert len(Gallery.open(copy).photos) == COUNT
