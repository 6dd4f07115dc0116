"""Which files in a run folder are kcars' own: they alone are ever deleted."""

import os
import re
from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.untrusted.run_folder import DIGESTS, LOCK

STATES = ("state.npz", "state.previous.npz", "state.unusable.npz")
THUMBNAIL = r"[0-9a-f]{16}\.jpg"
EVENTS = r"events\.out\.tfevents\.\d+\..+"
_TABLES = "photos|classes|pairs|tested_photos|reliability|coverage|maps"
_AT_ONCE = rf"({_TABLES})\.csv|scores\.json"  # Of a scoring, in the run folder and below on-...
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
"""Of a run folder: a pattern of its files, and by patterns of their names its folders, each the same way."""

# As `written_whole` and the savers of weights and states name a file before it is whole.
HALF_WRITTEN = r"\.best\.weights\.h5|\.state\.previous\.npz|\.(?P<whole>.+)\.\w{8}"
LEFT_ALONE = {".DS_Store", "Thumbs.db", "desktop.ini"}  # A file browser's, wherever it looks.

Contents = tuple[str, dict]


def own_files(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """(kcars' own files, their halves, what kcars did not write) in a run folder; own files' folders are not listed.

    Links, pipes and devices are none of kcars', whatever their names.
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
    """KcarsError where a link, a pipe or a device lies at the place of a file or folder that kcars writes."""
    for path in own_files(folder)[2]:
        kind = "a link" if path.is_symlink() else "no regular file" if not path.is_dir() else ""
        contents = _contents_at(path.parent, Path(folder))
        if kind and contents and any(re.fullmatch(name, path.name) for name in (contents[0], *contents[1])):
            raise KcarsError(f"{path}: is {kind}, where kcars writes its own; move it away")


def _contents_at(place: Path, folder: Path) -> Contents | None:
    """What kcars writes into a folder within a run folder."""
    contents: Contents | None = OWN
    for part in place.relative_to(folder).parts:
        contents = contents and next((inner for name, inner in contents[1].items() if re.fullmatch(name, part)), None)
    return contents


def refuse_foreign(folder: Path, what: str) -> None:
    """KcarsError, which begins with `what`, where a run folder holds something that kcars did not write."""
    if foreign := own_files(folder)[2]:
        more = f" and {len(foreign) - 1} more" if foreign[1:] else ""
        raise KcarsError(
            f"{what}: {foreign[0]}{more} is not a file that kcars writes there; move it, or choose another folder"
        )


def empty(folder: Path) -> None:
    """Delete a run, run.json last: killed on the way, what is left is still a run, and can be replaced.

    Digests go first, as files without any are read as they are. Raises KcarsError where something is not kcars'.
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
    """Delete the folders in a folder that hold nothing."""
    for place, _, _ in os.walk(folder, topdown=False):
        if Path(place) != folder and not os.listdir(place):
            os.rmdir(place)
