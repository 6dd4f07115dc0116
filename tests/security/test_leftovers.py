"""What killed processes leave: half-written files go at the next writing, workers within seconds. What lives is let be."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.paths import ROOT

from kcars.cli import run_names
from kcars.core import unfinished
from kcars.core.errors import KcarsError
from kcars.core.files import folder_written_whole, write_text, written_whole
from kcars.core.unfinished import forget_all_leftovers

PATIENCE = 60  # Seconds that a loaded machine may take for what takes one.


def begun(program: str, *arguments) -> subprocess.Popen:
    """A process that has printed its first line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    process.first = process.stdout.readline().strip()
    return process


def killed(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    process.stdout.close()
    unfinished._leftovers.cache_clear()  # As in a process that begins now.


WRITES = """
import sys, time
from pathlib import Path
from kcars.core.files import {how} as how
with how(Path(sys.argv[1])):
    print("begun", flush=True)
    time.sleep(600)
"""


def hidden(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("."))


@pytest.mark.parametrize("how", ["written_whole", "folder_written_whole"])
def test_what_a_killed_writer_left_goes_at_the_next_writing_of_the_name(tmp_path, how):
    process = begun(WRITES.format(how=how), tmp_path / "a.json")
    assert len(hidden(tmp_path)) == 1
    unfinished._leftovers.cache_clear()
    write_text(tmp_path / "a.json", "other")  # The writer lives: its file stays.
    assert len(hidden(tmp_path)) == 1
    killed(process)
    write_text(tmp_path / "b.json", "{}")
    assert len(hidden(tmp_path)) == 1
    write_text(tmp_path / "a.json", "{}")
    assert hidden(tmp_path) == []
    assert (tmp_path / "a.json").read_text() == "{}"


def test_a_folder_takes_its_place_and_leaves_nothing(tmp_path):
    process = begun(WRITES.format(how="folder_written_whole"), tmp_path / "new")
    killed(process)
    with folder_written_whole(tmp_path / "new") as place:
        (place / "file").write_text("x")
    assert os.listdir(tmp_path) == ["new"]
    assert os.listdir(tmp_path / "new") == ["file"]


def test_what_only_looks_like_it_stays(tmp_path):
    """Other names of eight letters, links, and what links lead to."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "file").write_text("mine")
    for name in (".a.json.original", ".a.json.20240101", ".a.json.settings", ".b.json.1f3a5b7c", "a.json.1f3a5b7c"):
        (tmp_path / name).write_text("mine")
    (tmp_path / ".a.json.1f3a5b7d").symlink_to(tmp_path / "private")
    (tmp_path / ".a.json.1f3a5b7e").symlink_to(tmp_path / "private" / "file")
    os.mkfifo(tmp_path / ".a.json.1f3a5b7f")
    before = sorted(os.listdir(tmp_path))
    write_text(tmp_path / "a.json", "{}")
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "a.json"])
    assert (tmp_path / "private" / "file").read_text() == "mine"


def test_links_in_a_folder_that_was_left_are_not_followed(tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "file").write_text("mine")
    (tmp_path / ".a.1f3a5b7c").mkdir()
    (tmp_path / ".a.1f3a5b7c" / "link").symlink_to(tmp_path / "private")
    write_text(tmp_path / "a", "{}")
    assert sorted(os.listdir(tmp_path)) == ["a", "private"]
    assert (tmp_path / "private" / "file").read_text() == "mine"


def test_a_folder_that_is_too_deep_to_be_deleted_is_no_hindrance(tmp_path):
    """Python 3.11 and 3.12 delete by functions that call themselves. A stranger's dataset may have such a folder."""
    (tmp_path / ".out.json.1f3a5b7c").mkdir()
    place = os.open(tmp_path / ".out.json.1f3a5b7c", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=place)
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    try:
        write_text(tmp_path / "out.json", "{}")
        assert (tmp_path / "out.json").read_text() == "{}"
    finally:
        subprocess.run(["rm", "-rf", tmp_path / ".out.json.1f3a5b7c"], check=True)  # pytest could not.


def test_where_there_are_no_locks_age_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "fcntl", None)
    for name, age in ((".a.1f3a5b7c", 0), (".a.1f3a5b7d", 2 * unfinished.FORSAKEN_SECONDS)):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    write_text(tmp_path / "a", "{}")
    assert hidden(tmp_path) == [".a.1f3a5b7c"]


def test_a_writer_whose_file_is_taken_before_it_is_locked_takes_another(tmp_path, monkeypatch):
    taken = []

    def flock(handle, how):
        if not taken:
            taken.append(hidden(tmp_path)[0])
            (tmp_path / taken[0]).unlink()

    monkeypatch.setattr(unfinished.fcntl, "flock", flock)
    with written_whole(tmp_path / "a") as file:
        file.write("whole")
        assert hidden(tmp_path) != taken
    assert (tmp_path / "a").read_text() == "whole"


def test_a_folder_of_ours_is_cleared_of_every_name(tmp_path):
    (tmp_path / ".1f.npz.1f3a5b7c").write_text("half")
    forget_all_leftovers(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_name_of_the_largest_length_can_be_written(tmp_path):
    write_text(tmp_path / ("n" * 255), "x")
    assert os.listdir(tmp_path) == ["n" * 255]


# ---- run folders that nobody named ----

CLAIM = """
import sys
from kcars.cli.run_names import next_run
with next_run("demo/verify") as folder:
    (folder / "run.json").touch()
    print(folder, flush=True)
"""


def test_trainings_that_begin_at_once_take_folders_of_their_own(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CLAIM]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) for _ in range(3)
    ]
    found = sorted(process.communicate(timeout=10 * PATIENCE)[0].strip() for process in started)
    assert found == [f"runs/demo-verify-{number}" for number in (1, 2, 3)]


def test_a_training_that_is_refused_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KcarsError, match="refused"), run_names.next_run("demo/verify") as folder:
        assert folder.is_dir()
        raise KcarsError("refused")
    assert os.listdir(tmp_path) == []
    (tmp_path / "runs").symlink_to("nowhere")
    with (
        pytest.raises(KcarsError, match=r"runs: cannot be written .*; name another folder with --out"),
        run_names.next_run("demo/verify"),
    ):
        pass


# ---- workers ----

WORKS = """
import os, time
from kcars.core.workers import each
print(*set(each(work, [(number,) for number in range(4)], 2)), flush=True)
time.sleep(600)
"""
WORK = "import os, time\ndef work(number):\n    time.sleep(0.2)\n    return os.getpid()\n"


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="processes are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_process_that_started_them(tmp_path, number):
    (tmp_path / "worked.py").write_text(WORK)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom worked import work\n{WORKS}"
    process = begun(program)
    workers = process.first.split()
    assert workers
    assert all(os.path.exists(f"/proc/{worker}") for worker in workers)
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    end = time.monotonic() + PATIENCE
    while any(_lives(worker) for worker in workers):
        assert time.monotonic() < end, "a worker lives on"
        time.sleep(0.1)


def _lives(process: str) -> bool:
    """Whether it runs; where nobody waits for it, its entry may stay."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_one_worker_works_too():
    from kcars.core.workers import each

    assert list(each(abs, [(-1,), (-2,)], 1)) == [1, 2]
