"""Merges class names that differ only in spelling, and finds listed files in another spelling.

Unicode has two forms of "é", composed (NFC) and decomposed (NFD, as in old file names of macOS).
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize

from kcars.core.errors import KcarsError
from kcars.core.plain_text import warn

Label = tuple[str, str]  # Make and model, "" for none.
_NAMED = 3  # Maximum number of names in a message.
_MOST_ALIKE = 16  # Nested folders in two forms double the candidates at each level.


def plain(name: str) -> str:
    """A name in the form for comparison: composed, without case, with single spaces."""
    return normalize("NFC", " ".join(normalize("NFC", name).casefold().split()))


def one_spelling(labels: Sequence[Label], source: str) -> list[Label]:
    """Labels in NFC, stripped; labels with equal `plain` form get the most frequent spelling.

    Merged names are reported once on standard error. Raises KcarsError for a blank name.
    """
    distinct = Counter(labels)
    makes, models = {}, {}
    for (make, model), count in distinct.items():
        if (make and not make.strip()) or (model and not model.strip()):
            raise KcarsError(f"{source}: make {make!r}, model {model!r}: a name must not be blank")
        makes.setdefault(plain(make), Counter())[make] += count
        models.setdefault((plain(make), plain(model)), Counter())[model] += count
    joined = {label: _joined(label, makes, models) for label in distinct}
    variants = [*map(list, makes.values()), *map(list, models.values())]
    if several := tuple(tuple(sorted(names)) for names in variants if len(names) > 1):
        _warn_of_joined(source, several)
    return [joined[label] for label in labels]


def _joined(label: Label, makes: dict, models: dict) -> Label:
    make, model = map(plain, label)
    return _chosen(makes[make]), _chosen(models[make, model])


def _chosen(spellings: Counter) -> str:
    tidy = Counter()
    for name, count in spellings.items():
        tidy[normalize("NFC", name.strip())] += count
    return min(tidy, key=lambda name: (-tidy[name], name))


@lru_cache(maxsize=64)
def _warn_of_joined(source: str, variants: tuple[tuple[str, ...], ...]) -> None:
    """Warn once per dataset."""
    names = "; ".join(" and ".join(map(ascii, spellings)) for spellings in variants[:_NAMED])
    more = f" and {len(variants) - _NAMED} more" if len(variants) > _NAMED else ""
    warn(f"warning: {source}: names that differ in case, spaces or Unicode form are merged: {names}{more}")


class Disk:
    """Finds files below a folder in another spelling; lists each folder once, and does not follow links to folders."""

    def __init__(self, root: Path):
        self._root, self._folders = root, {}

    def path_of(self, path: str) -> str:
        """The path of the file, or of the only file in another Unicode form; the unchanged path if there is none."""
        return path if os.path.lexists(os.path.join(self._root, path)) else self.spelled(path) or path

    def spelled(self, path: str) -> str | None:
        """The path of the only file with this name in another Unicode form, or None."""
        found = self._alike(path, _composed)
        return found[0] if len(found) == 1 else None

    def in_other_case(self, path: str) -> str | None:
        """The path of a file whose name differs only in case, spaces or Unicode form, or None."""
        return next(iter(self._alike(path, plain)), None)

    def _alike(self, path: str, form: Callable[[str], str]) -> list[str]:
        """Paths of files that equal this one in a form; none if more than `_MOST_ALIKE` begin like it."""
        paths = [""]
        for part in path.split("/"):
            wanted = form(part)
            paths = [
                os.path.join(parent, name) for parent in paths for name in self._names(parent, form).get(wanted, ())
            ]
            if len(paths) > _MOST_ALIKE:
                return []
        return paths

    def _names(self, folder: str, form: Callable[[str], str]) -> dict[str, list[str]]:
        """Names in a folder by their form; empty if the folder does not exist."""
        if (folder, form) not in self._folders:
            names = self._folders[folder, form] = {}
            with contextlib.suppress(OSError, ValueError):
                for entry in os.scandir(os.path.join(self._root, folder)):
                    if not (entry.is_symlink() and os.path.isdir(entry.path)):
                        names.setdefault(form(entry.name), []).append(entry.name)
        return self._folders[folder, form]


def _composed(name: str) -> str:
    return normalize("NFC", name)


def why_missing(root: Path, paths: Sequence[str]) -> str:
    """The probable reason for missing paths, their case or backslashes; "" if there is none."""
    disk = Disk(root)
    for path in paths[:100]:
        if "\\" in path:
            return f"{path!r} has backslashes; write / between folders"
        if other := disk.in_other_case(path):
            return f"{other!r} exists, which differs from {path!r} in upper and lower case"
    return ""
