"""The folder of an export while one is written: whole at any kill, and nothing of anybody else's is touched."""

import os
import sys
import time

import pytest

from kcars.core.errors import KcarsError
from kcars.export import place as places
from kcars.export.place import check_place, exchange, new_folder, recover


def write(folder, what: str) -> None:
    (folder / "saved_model/1/variables").mkdir(parents=True)
    for name in (
        "model.onnx",
        "README.md",
        "saved_model/1/saved_model.pb",
        "saved_model/1/variables/variables.index",
        "card.json",
    ):
        (folder / name).write_text(what)


def export(out, what: str) -> None:
    with new_folder(out) as place:
        write(place, what)


def holds(out) -> set[str]:
    """What the files of an export say; all five must be there."""
    found = [file.read_text() for file in out.rglob("*") if file.is_file()]
    assert len(found) == 5
    return set(found)


def killed_at(step: int, action) -> bool:
    """Run an action in a process that is killed just before its step-th call that names, makes or deletes something; whether it came so far."""
    events = {
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.mkdir",
        "os.chmod",
        "shutil.rmtree",
        "tempfile.mkdtemp",
        "exchange",
    }
    child = os.fork()
    if not child:
        count = [0]

        def hook(event, _):
            if event in events:
                count[0] += 1
                if count[0] == step:
                    os._exit(9)

        sys.addaudithook(hook)
        real = places.exchange

        def exchanged(*both):
            sys.audit("exchange")
            done = real(*both)
            sys.audit("exchange")
            return done

        places.exchange = exchanged
        action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("system", ["exchanges names", "cannot exchange names"])
def test_a_kill_at_any_step_leaves_the_old_export_or_the_new_one(tmp_path, monkeypatch, system):
    if system != "exchanges names":
        monkeypatch.setattr(places, "exchange", lambda one, other: False)
    elif not exchange_works(tmp_path):
        pytest.skip("the file system cannot exchange names")
    out, number, step = tmp_path / "out" / "export", 0, 1
    out.parent.mkdir()
    export(out, "0")
    nameless, came = 0, True
    while came:
        number += 1
        came = killed_at(step, lambda number=number: export(out, str(number)))
        if not out.exists():
            nameless += 1
            recover(out)
        found = holds(out)
        assert len(found) == 1 and found <= {str(number - 1), str(number)}
        export(out, str(number))
        assert sorted(os.listdir(out.parent)) == ["export"]  # What was left is gone at once.
        step += 1
    assert step > 10
    assert nameless <= (0 if system == "exchanges names" else 1)


def exchange_works(folder) -> bool:
    for name in ("one", "other"):
        (folder / name).mkdir()
    (folder / "one/file").touch()
    return exchange(folder / "one", folder / "other") and (folder / "other/file").exists()


def test_what_others_put_into_an_export_is_not_deleted(tmp_path):
    out = tmp_path / "export"
    export(out, "old")
    for name in (
        "notes.txt",
        "saved_model/2/saved_model.pb",
        "saved_model/1/notes.txt",
        "saved_model/1/variables/notes.txt",
    ):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
        with pytest.raises(KcarsError, match=f"has {name.removesuffix('/saved_model.pb')} next to an export"):
            check_place(out, force=True)
        (out / name).unlink()
        if "2" in name:
            (out / name).parent.rmdir()
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "mine.jpg").write_text("mine")
    for name in ("model.tflite", "saved_model/1/assets"):
        (out / name).symlink_to(pictures)
        with pytest.raises(KcarsError, match=f"has {name} next to"):
            check_place(out, force=True)
        (out / name).unlink()
    with pytest.raises(KcarsError, match=r"has late\.txt"), new_folder(out) as place:
        write(place, "new")
        (out / "late.txt").write_text("put there meanwhile")
    (out / "late.txt").unlink()
    assert holds(out) == {"old"}
    assert (pictures / "mine.jpg").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["export", "pictures"]


def test_what_another_export_is_writing_stays(tmp_path):
    out = tmp_path / "export"
    with new_folder(out) as place:
        write(place, "slow")
        export(out, "quick")
        assert place.is_dir()
    assert holds(out) == {"slow"}


def test_folders_that_look_like_halves_but_hold_something_else_stay(tmp_path):
    out, hour_ago = tmp_path / "export", time.time() - 4000
    for name in (".export.kcars-new.abcdefgh", ".export.settings", ".export.kcars-old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
        os.utime(tmp_path / name, (hour_ago, hour_ago))
    (tmp_path / ".export.kcars-new.linklink").symlink_to(tmp_path / ".export.settings")
    for name, when in (
        (".export.abcd1234", hour_ago),
        (".export.abcd5678", time.time()),
    ):  # As an earlier kcars left them.
        (tmp_path / name).mkdir()
        write(tmp_path / name, "half")
        os.utime(tmp_path / name, (when, when))
    export(out, "new")
    left = {".export.kcars-new.abcdefgh", ".export.settings", ".export.kcars-old", ".export.kcars-new.linklink"}
    assert set(os.listdir(tmp_path)) == {"export", ".export.abcd5678", *left}
    assert (tmp_path / ".export.settings/mine.txt").read_text() == "mine"
