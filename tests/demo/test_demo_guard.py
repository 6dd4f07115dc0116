"""The parts before Gradio: names of hosts, the folder of photos."""

import os
import socket
import time

import pytest
from support.commands import kcars

from kcars.core.errors import KcarsError
from kcars.demo.folder import Folder, own_folder
from kcars.demo.hosts import Hosts


@pytest.mark.parametrize(
    ("bound", "host", "known"),
    [
        ("127.0.0.1", "localhost:7860", True),
        ("127.0.0.1", "[::1]:7860", True),
        ("127.0.0.1", "192.168.1.5", False),
        ("127.0.0.1", "evil.example", False),
        ("0.0.0.0", "192.168.1.5:7860", True),
        ("0.0.0.0", f"{socket.gethostname()}:7860", True),
        ("0.0.0.0", "evil.example", False),
        ("garage", "GARAGE.:80", True),
        ("garage", "127.0.0.1", True),
        ("127.0.0.1", "", False),
    ],
)
def test_names_that_the_page_answers_to(bound, host, known):
    assert Hosts(bound).known(host) is known


def test_a_name_may_be_added_and_its_pages_may_ask():
    hosts = Hosts("127.0.0.1", ("Cars.example.org",))
    assert hosts.known("cars.example.org:443")
    assert hosts.same_site("https://cars.example.org", "127.0.0.1:7860")
    assert not hosts.same_site("https://localhost:7860", "127.0.0.1:7860")
    assert not hosts.same_site("null", "127.0.0.1:7860")


@pytest.mark.parametrize("name", ["https://cars.example.org", "cars.example.org:80", "*", ""])
def test_what_is_no_name_is_refused(name):
    pytest.importorskip("gradio")
    assert "a host name without scheme and port is expected" in kcars("demo", "--allow-host", name, code=2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KCARS_LIMITS", "uploads=2 uploads_total_mib=1 upload_minutes=1")
    return Folder(tmp_path.resolve())


def sent(folder: Folder, size: int, kept: bool = True):
    with folder.incoming("car.png") as photo:
        photo.write(b"x" * size)
        photo.kept = kept
    return photo.path


def test_a_photo_that_did_not_come_whole_is_removed(folder):
    whole, part = sent(folder, 10), sent(folder, 10, kept=False)
    assert whole.is_file() and not part.parent.exists()
    assert folder.holds(str(whole)) and not folder.holds(f"{whole.parent}/../x")


def test_photos_that_are_being_sent_may_not_take_all_the_room(folder):
    old = sent(folder, 10)
    with folder.incoming("a") as one, folder.incoming("b") as other:
        one.write(b"x" * 2**19)
        other.write(b"x" * 2**19)
        assert not old.exists()
        with pytest.raises(KcarsError, match="has reached its limit of photos"):
            other.write(b"x")
    assert sent(folder, 2**20).is_file()


def test_old_photos_go(folder, monkeypatch):
    photo = sent(folder, 10)
    assert 0 < folder.expire() <= 60
    monkeypatch.setenv("KCARS_LIMITS", "upload_minutes=2")
    later = time.monotonic() + 200
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert folder.expire() is None and not photo.exists()


def test_a_folder_that_others_may_enter_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with own_folder() as own:
        base = own.root.parent
        assert not base.stat().st_mode & 0o077
    assert not own.root.exists()
    os.chmod(base, 0o755)
    with pytest.raises(KcarsError, match="is not private to this user"), own_folder():
        pass
