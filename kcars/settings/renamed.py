"""Settings that were renamed: files with former names can still be read."""

from typing import Any

from kcars.core.base_settings import is_mapping

RENAMED = {"evaluate.metric": "evaluate.distance"}
"""Former name -> present name of a setting."""


def with_present_names(settings: Any) -> Any:
    """Plain settings with former names replaced; a former name next to its present one is kept, and so is unknown."""
    for old, new in RENAMED.items():
        (section, before), (_, after) = old.split("."), new.split(".")
        values = settings.get(section) if is_mapping(settings) else None
        if is_mapping(values) and before in values and after not in values:
            renamed = {after if name == before else name: value for name, value in values.items()}
            settings = {**settings, section: renamed}
    return settings


def former_names(settings: Any) -> list[str]:
    """Former names that occur in plain settings."""
    found = (old.split(".") for old in RENAMED)
    sections = settings if is_mapping(settings) else {}
    return [f"{section}.{name}" for section, name in found if name in (sections.get(section) or ())]
