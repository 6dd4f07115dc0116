"""The folder of an export: what may lie in it, and how a new one takes the place of an old one, whole at any kill."""

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.core.files import umask
from kcars.inference.predictor import CARD, ONNX, SAVED_MODEL
from kcars.untrusted import saved_model

LITERT, README = "model.tflite", "README.md"
FORSAKEN_SECONDS = 3600
_AT_FDCWD, _EXCHANGE = -100, 2  # Of Linux' renameat2.
_FILES = "|".join(map(re.escape, (CARD, README, ONNX, LITERT)))
_FOLDERS = {Path(SAVED_MODEL).parts[0], SAVED_MODEL, f"{SAVED_MODEL}/variables", f"{SAVED_MODEL}/assets"}
_OWN = re.compile(rf"{_FILES}|{re.escape(SAVED_MODEL)}/({saved_model.FILES})")
_HALF = re.compile(
    rf"(.+/)?(\.({re.escape(CARD)}|{re.escape(README)})\.\w{{8}}|variables_temp|part-[\w.-]+|variables\.[\w.-]+)"
)


def check_place(out: Path, force: bool) -> None:
    """KcarsError where an export cannot be written: something else lies there, or an export and `force` is not given."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / CARD).is_file():
        raise KcarsError(f"--out {out}: holds something that is no export; choose another folder")
    if other := _foreign(out):
        raise KcarsError(f"--out {out}: holds {other} beside an export; choose another folder, or move that away")
    if not force:
        raise KcarsError(f"{out}: holds an export already; --out names another folder, or add --force")


def _foreign(folder: Path, half: bool = False) -> str:
    """The first entry below a folder that no export writes, such as a link, "" where there is none.

    half: what an export that was killed leaves is allowed too.
    """
    for entry in sorted(folder.rglob("*")):
        name, mode = entry.relative_to(folder).as_posix(), entry.lstat().st_mode
        own = name in _FOLDERS if stat.S_ISDIR(mode) else stat.S_ISREG(mode) and _OWN.fullmatch(name)
        if not own and not (half and _HALF.fullmatch(name) and not stat.S_ISLNK(mode)):
            return name
    return ""


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` to fill, which takes its place when the block ends well; what lay there goes only then.

    Killed at any moment, `out` is the old export or the new one, whole; what else is left of it goes at the next export to `out`.
    """
    with _locked(out.parent):
        _recover(out)
        _forget_halves(out)
        place = Path(tempfile.mkdtemp(dir=out.parent, prefix=_prefix(out)))
        handle = os.open(place, os.O_RDONLY)
        _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Says that somebody writes there, until the end of this process.
    try:
        yield place
        check_place(out, force=True)  # Somebody may have put something there meanwhile.
        os.chmod(place, 0o777 & ~umask())
        put(place, out)
    finally:
        os.close(handle)
        shutil.rmtree(place, ignore_errors=True)


def put(place: Path, out: Path) -> None:
    """Give a whole folder its name, and the folder that has the name now, where there is one, the other; that is then deleted.

    Where the system cannot exchange two names, `out` has none for a moment: `recover` mends what a kill leaves then.
    """
    if not out.exists():
        os.replace(place, out)
        return
    if exchange(place, out):
        shutil.rmtree(place, ignore_errors=True)  # It is the old one now.
        return
    aside = _aside(out)
    with _locked(out.parent):
        os.replace(out, aside)
        try:
            os.replace(place, out)
        except BaseException:
            os.replace(aside, out)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def recover(out: Path) -> None:
    """Bring an export back that a kill in the middle of `put` has left without its name; one that has a successor goes."""
    if _aside(out).exists():
        with _locked(out.parent):
            _recover(out)


def _recover(out: Path) -> None:
    aside = _aside(out)
    if aside.is_symlink() or not aside.is_dir() or _foreign(aside):
        return
    if not out.exists():
        os.replace(aside, out)
    else:
        shutil.rmtree(aside, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders of one disk exchange their names at once; False where this system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _aside(out: Path) -> Path:
    return out.with_name(f".{out.name}.kcars-old")


def _prefix(out: Path) -> str:
    return f".{out.name}.kcars-new."


def _forget_halves(out: Path) -> None:
    """Delete what exports to this place left when they were killed, unless somebody writes there or it holds something else.

    An earlier kcars took no lock: its folders, which have another name, go when they are an hour old.
    """
    for half in out.parent.glob(f".{glob.escape(out.name)}.*"):
        name = half.name.removeprefix(f".{out.name}.")
        ours, earlier = re.fullmatch(r"kcars-new\.\w{8}", name), re.fullmatch(r"[a-z0-9_]{8}", name)
        if not (ours or earlier) or half.is_symlink() or not half.is_dir():
            continue
        with contextlib.suppress(OSError):
            old = time.time() - half.stat().st_mtime > FORSAKEN_SECONDS
            if (old if earlier else not _is_locked(half)) and not _foreign(half, half=True):
                shutil.rmtree(half, ignore_errors=True)


def _is_locked(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        return not _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Inside the block no other export looks for what was left in the folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, how: int) -> bool:
    """Whether an open folder could be locked; a disk that knows no locks counts as locked by another."""
    try:
        fcntl.flock(handle, how)
    except OSError:
        return False
    return True
