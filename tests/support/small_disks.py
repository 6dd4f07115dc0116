"""A program for a mount namespace of its own: trainings on disks that are full, and then have room. Prints what happened.

    unshare --map-root-user --mount python small_disks.py DATA OUT DISK BYTES SETTINGS...

DISK: an empty folder to mount on; BYTES: room for the weights and one state, not for two beside all else; OUT: where the run of a disk that was full, and then was not, is copied to.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1]))
from kcars.cli import main
from support.runs import shallow_networks, without_pictures


def mount(disk: Path, size: str, more: str = "") -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{more}size={size}", "tmpfs", disk], check=True)


def kcars(*arguments) -> dict:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return {"code": done.exit_code, "output": done.output + repr(done.exception)}


def no_room_for_the_store(train: list, run: Path, disk: Path) -> dict:
    mount(disk, "100k")
    cache, os.environ["KCARS_CACHE"] = os.environ["KCARS_CACHE"], str(disk / "cache")
    told = kcars(*train, "--out", run)
    os.environ["KCARS_CACHE"] = cache
    left = [file.name for file in disk.rglob("*") if file.is_file() and file.stat().st_size]
    return {**told, "left": left, "run": run.exists()}


def full_and_then_not(train: list, out: Path, disk: Path, room: str) -> dict:
    mount(disk, room)
    told = kcars(*train, "--out", disk / "run")
    mount(disk, "200m", "remount,")
    again = kcars("train", "--resume", disk / "run")
    shutil.copytree(disk / "run", out)
    return {**told, "again": again}


if __name__ == "__main__":
    data, out, disk, room, *settings = sys.argv[1:]
    train = ["train", "--strategy", "scratch/classify", "--data", data, *settings]
    with shallow_networks(), without_pictures():
        found = {"store": no_room_for_the_store(train, Path(out) / "none", Path(disk))}
        found["state"] = full_and_then_not(train, Path(out) / "run", Path(disk), room)
    print(json.dumps(found))
