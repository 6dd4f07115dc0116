"""The folder of an export: its allowed files, and atomic replacement by a new export."""

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
_AT_FDCWD, _EXCHANGE = -100, 2  # Constants of Linux' renameat2.
_FILES = "|".join(map(re.escape, (CARD, README, ONNX, LITERT)))
_FOLDERS = {Path(SAVED_MODEL).parts[0], SAVED_MODEL, f"{SAVED_MODEL}/variables", f"{SAVED_MODEL}/assets"}
_OWN = re.compile(rf"{_FILES}|{re.escape(SAVED_MODEL)}/({saved_model.FILES})")
_HALF = re.compile(
    rf"(.+/)?(\.({re.escape(CARD)}|{re.escape(README)})\.\w{{8}}|variables_temp|part-[\w.-]+|variables\.[\w.-]+)"
)


def check_place(out: Path, force: bool) -> None:
    """Raise KcarsError if the folder has other files, or an export and `force` is not given."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / CARD).is_file():
        raise KcarsError(f"--out {out}: has files that are not an export; choose another folder")
    if other := _foreign(out):
        raise KcarsError(f"--out {out}: has {other} next to an export; choose another folder, or move it")
    if not force:
        raise KcarsError(f"{out}: has an export; name another folder with --out, or add --force")


def _foreign(folder: Path, half: bool = False) -> str:
    """Return the first entry in a folder that no export writes, such as a link, "" if there is none.

    half: whether to allow files of a killed export.
    """
    for entry in sorted(folder.rglob("*")):
        name, mode = entry.relative_to(folder).as_posix(), entry.lstat().st_mode
        own = name in _FOLDERS if stat.S_ISDIR(mode) else stat.S_ISREG(mode) and _OWN.fullmatch(name)
        if not own and not (half and _HALF.fullmatch(name) and not stat.S_ISLNK(mode)):
            return name
    return ""


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Create a folder next to `out` that replaces it when the block succeeds; only then is the old one deleted.

    If killed at any point, `out` is either the old or the new export, complete; the next export to `out` deletes the rest.
    """
    with _locked(out.parent):
        _recover(out)
        _forget_halves(out)
        place = Path(tempfile.mkdtemp(dir=out.parent, prefix=_prefix(out)))
        handle = os.open(place, os.O_RDONLY)
        _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Held until the end of this process.
    try:
        yield place
        check_place(out, force=True)  # The folder may have changed meanwhile.
        os.chmod(place, 0o777 & ~umask())
        put(place, out)
    finally:
        os.close(handle)
        shutil.rmtree(place, ignore_errors=True)


def put(place: Path, out: Path) -> None:
    """Move a complete folder to `out`, exchanging it with an existing one, which is then deleted.

    If the system cannot exchange two names, `out` is missing for a moment; `recover` repairs the result of a kill.
    """
    if not out.exists():
        os.replace(place, out)
        return
    if exchange(place, out):
        shutil.rmtree(place, ignore_errors=True)  # Now the old export.
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
    """Restore an export that a kill during `put` left under another name, or delete it if it was replaced."""
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
    """Exchange the names of two folders on one disk atomically; return False if unsupported."""
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
    """Delete the remains of killed exports to this folder, unless they are locked or have other files.

    Folders of earlier versions, which had another name and no lock, are deleted after an hour.
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
    """Lock the folder against the clean-up of other exports within the block."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, how: int) -> bool:
    """Lock an open folder and return the success; a disk without locks counts as locked by another process."""
    try:
        fcntl.flock(handle, how)
    except OSError:
        return False
    return True
