"""Writes scores.json together with metric.npz or head.npz; `file_of` returns which of these files the scores belong to.

Two files cannot be replaced atomically. During the replacement the second file has another name, which scores.json contains:
a run killed at any moment predicts with the earlier scoring or the new one, never with a mixture.
"""

from kcars.core.errors import KcarsError
from kcars.untrusted.run_folder import RunFolder

SCORES = "scores.json"
NAMES = {"metric": ("metric.npz", "metric.other.npz"), "head": ("head.npz", "head.other.npz")}


def file_of(kind: str, scores: dict) -> str:
    """Return the name of the file of a kind that belongs to the content of scores.json."""
    return scores.get("files", {}).get(kind, NAMES[kind][0])


def replace(files: RunFolder, found: dict, contents: dict[str, bytes], before: dict | None) -> None:
    """Write scores.json with the content `found`, and the files that belong to it.

    contents: contents of these files by kind; a run has at most one kind. before: the current content of scores.json, None
    if it cannot be read.
    """
    for kind, content in contents.items():
        if before is not None and _stands(files, kind, content, before):
            other = NAMES[kind][1]
            files.write_bytes(other, content)
            files.write_json(SCORES, found | {"files": {kind: other}})
        files.write_bytes(NAMES[kind][0], content)
    files.write_json(SCORES, found)
    for _, other in NAMES.values():
        files.remove(other)


def _stands(files: RunFolder, kind: str, content: bytes, before: dict) -> bool:
    """Return whether the current scores belong to the file with the usual name, and it differs from the new one."""
    usual = NAMES[kind][0]
    if file_of(kind, before) != usual or not files.has(usual):
        return False
    try:
        return files.read_bytes(usual, len(content)) != content
    except KcarsError:  # The file is larger, or has changed since it was written.
        return True
