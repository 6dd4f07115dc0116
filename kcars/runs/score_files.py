"""Writes scores.json, and metric.npz or head.npz with it; `file_of` returns which of these files the scores belong to.

Two files cannot be replaced at one moment. While one is, it has a second name, which scores.json tells: killed at any moment,
a run answers by the earlier scoring or by the new one, never by the numbers of both.
"""

from kcars.core.errors import KcarsError
from kcars.untrusted.run_folder import RunFolder

SCORES = "scores.json"
NAMES = {"metric": ("metric.npz", "metric.other.npz"), "head": ("head.npz", "head.other.npz")}


def file_of(kind: str, scores: dict) -> str:
    """The file of a kind that the content of scores.json goes by."""
    return scores.get("files", {}).get(kind, NAMES[kind][0])


def replace(files: RunFolder, found: dict, contents: dict[str, bytes], before: dict | None) -> None:
    """Write scores.json with the content `found`, and the files that it goes by.

    contents: of these files, by kind; a run has one kind at most. before: the present content of scores.json, None where
    none can be read.
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
    """Whether the present scores go by the file of the usual name, and it is another than the new one."""
    usual = NAMES[kind][0]
    if file_of(kind, before) != usual or not files.has(usual):
        return False
    try:
        return files.read_bytes(usual, len(content)) != content
    except KcarsError:  # It is larger, or has changed since it was written.
        return True
