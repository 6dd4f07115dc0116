"""A digest of its own content in a JSON file, so that a changed bit is noticed when it is read. It tells rot, not who wrote the file."""

import hashlib
import json

from kcars.core.errors import KcarsError
from kcars.core.files import json_text

KEY = "content_sha256"


def sealed(value: dict) -> dict:
    """The same, with a digest of everything else in it."""
    plain = json.loads(json_text(value))
    plain.pop(KEY, None)
    return plain | {KEY: _digest(plain)}


def refuse_changed(value: dict, where, remedy: str) -> None:
    """Raises KcarsError if the content is not that of its digest; files of an earlier kcars have none and pass."""
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
