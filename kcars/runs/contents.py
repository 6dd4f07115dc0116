"""Names of the files that kcars writes into a run folder, the only ones that it deletes."""

import os
import re
from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.untrusted.run_folder import DIGESTS, LOCK

STATES = ("state.npz", "state.previous.npz", "state.unusable.npz")
THUMBNAIL = r"[0-9a-f]{16}\.jpg"
EVENTS = r"events\.out\.tfevents\.\d+\..+"
_TABLES = "photos|classes|pairs|tested_photos|reliability|coverage|maps"
_AT_ONCE = rf"({_TABLES})\.csv|scores\.json"  # Files of a scoring, in the run folder and in on-...
_RUN = (
    rf"{_AT_ONCE}|run\.json|settings\.yaml|classes\.json|history\.csv|class_recall\.csv|roc\.csv|learned_photos\.csv"
    r"|photo_checksums\.npy|learning_rate\.png|best\.weights\.h5|(metric|head)(\.other)?\.npz|report\.html"
    rf"|{re.escape(DIGESTS)}|{'|'.join(map(re.escape, STATES))}|{re.escape(LOCK)}"
)
_THUMBNAILS = {"thumbnails": (THUMBNAIL, {})}
_EXPORT = (
    r"card\.json|README\.md|model\.onnx|model\.tflite",
    {"saved_model": (r"(?!)", {"1": (r"(saved_model|fingerprint)\.pb", {
        "variables": (r"variables\.(index|data-\d+-of-\d+)", {}), "assets": (r"(?!)", {})})})},
)  # fmt: skip
_BOARD = (rf"{EVENTS}|projector_config\.pbtxt", {"projector": (r"vectors\.tsv|photos\.tsv|sprite\.jpg", {})})
_PART = {**_THUMBNAILS, "tensorboard": _BOARD}
OWN = (
    _RUN,
    {**_PART, r"on-[0-9a-f]{16}": (_AT_ONCE, _THUMBNAILS), r"fold-\d+": (_RUN, _PART), "export": _EXPORT},
)
"""Contents of a run folder: a pattern of its file names, and its subfolders by patterns of their names, recursively."""

# Names that `written_whole` and the savers of weights and states use for incomplete files.
HALF_WRITTEN = r"\.best\.weights\.h5|\.state\.previous\.npz|\.(?P<whole>.+)\.\w{8}"
LEFT_ALONE = {".DS_Store", "Thumbs.db", "desktop.ini"}  # Written by file browsers.

Contents = tuple[str, dict]


def own_files(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Return (kcars' files, incomplete files, files that kcars did not write) in a run folder, without kcars' folders.

    Links, pipes and devices are never kcars' files.
    """
    own: list[Path] = []
    halves: list[Path] = []
    foreign: list[Path] = []
    _sort(Path(folder), OWN, own, halves, foreign)
    return own, halves, foreign


def _sort(folder: Path, contents: Contents, own: list, halves: list, foreign: list) -> None:
    pattern, folders = contents
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path = folder / entry.name
            below = next((inner for name, inner in folders.items() if re.fullmatch(name, entry.name)), None)
            if entry.is_dir(follow_symlinks=False) and below:
                _sort(path, below, own, halves, foreign)
            elif entry.is_file(follow_symlinks=False) and re.fullmatch(pattern, entry.name):
                own.append(path)
            elif entry.is_file(follow_symlinks=False) and _is_half(entry.name, pattern):
                halves.append(path)
            elif entry.name not in LEFT_ALONE:
                foreign.append(path)


def _is_half(name: str, pattern: str) -> bool:
    found = re.fullmatch(HALF_WRITTEN, name)
    return bool(found and (found["whole"] is None or re.fullmatch(pattern, found["whole"])))


def refuse_odd(folder: Path) -> None:
    """Raise KcarsError if a link, a pipe or a device has the name of a file or folder that kcars writes."""
    for path in own_files(folder)[2]:
        kind = "a link" if path.is_symlink() else "not a regular file" if not path.is_dir() else ""
        contents = _contents_at(path.parent, Path(folder))
        if kind and contents and any(re.fullmatch(name, path.name) for name in (contents[0], *contents[1])):
            raise KcarsError(f"{path}: is {kind}, but kcars writes a file of this name; move it")


def _contents_at(place: Path, folder: Path) -> Contents | None:
    """Return the contents that kcars writes into a subfolder of a run folder."""
    contents: Contents | None = OWN
    for part in place.relative_to(folder).parts:
        contents = contents and next((inner for name, inner in contents[1].items() if re.fullmatch(name, part)), None)
    return contents


def refuse_foreign(folder: Path, what: str) -> None:
    """Raise KcarsError, which begins with `what`, if a run folder has files that kcars did not write."""
    if foreign := own_files(folder)[2]:
        more = f" and {len(foreign) - 1} more" if foreign[1:] else ""
        raise KcarsError(
            f"{what}: {foreign[0]}{more} is not a file that kcars writes there; move it, or choose another folder"
        )


def empty(folder: Path) -> None:
    """Delete a run, run.json last, so that a partly deleted run can still be replaced.

    Digests are deleted first, because files without digests are not checked. Raises KcarsError for files that kcars did not
    write.
    """
    refuse_foreign(folder, "--force")
    own, halves, _ = own_files(folder)
    lock, facts = folder / LOCK, folder / "run.json"
    order = [path for path in own if path not in (lock, facts)]
    for path in sorted(order, key=lambda one: one != folder / DIGESTS) + halves:
        path.unlink()
    _remove_empty(folder)
    facts.unlink()


def _remove_empty(folder: Path) -> None:
    """Delete the empty subfolders of a folder."""
    for place, _, _ in os.walk(folder, topdown=False):
        if Path(place) != folder and not os.listdir(place):
            os.rmdir(place)
