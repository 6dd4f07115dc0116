"""Stores a digest of a JSON file's content in the file, to detect damage. It does not authenticate the writer."""

import hashlib
import json

from kcars.core.errors import KcarsError
from kcars.core.files import json_text

KEY = "content_sha256"


def sealed(value: dict) -> dict:
    """A copy of the value with a digest of its content."""
    plain = json.loads(json_text(value))
    plain.pop(KEY, None)
    return plain | {KEY: _digest(plain)}


def refuse_changed(value: dict, where, remedy: str) -> None:
    """Raises KcarsError if the content does not match its digest; files of earlier versions have none and pass."""
    if KEY not in value:
        return
    try:
        found = _digest({name: part for name, part in value.items() if name != KEY})
    except RecursionError:
        raise KcarsError(f"{where}: is nested too deeply; {remedy}") from None
    if value[KEY] != found:
        raise KcarsError(f"{where}: is damaged: its content is not what was written ({KEY}); {remedy}")


def _digest(value: dict) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
