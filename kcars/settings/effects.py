"""Lists settings by what they affect: a setting's `affects`, or that of its section by default."""

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from kcars.core.base_settings import Settings
from kcars.settings.renamed import RENAMED
from kcars.settings.whole import Strategy


def names_that_affect(*what: str) -> frozenset[str]:
    """Names of the settings and sections, such as `train.epochs`, that affect one of EFFECTS, with former names.

    The settings of a loss, which depend on its name, are not included: they affect the weights.
    """
    found = {name for name, effect in _effects().items() if effect in what}
    return frozenset(found | {old for old, new in RENAMED.items() if new in found})


def effect_of(name: str) -> str:
    """Return the effect of a setting or section; settings that only a loss has change the weights."""
    return _effects().get(name, "training")


@cache
def defaults_added_later() -> dict[str, Any]:
    """Names and defaults of the settings that the first version lacked, such as `train.method`; sections are not included."""
    found: dict[str, Any] = {}
    for section, field in Strategy.model_fields.items():
        for one in _classes(field.annotation):
            if issubclass(one, Settings):
                for name, setting in one.model_fields.items():
                    extra: Any = setting.json_schema_extra or {}
                    if extra.get("added_later"):
                        found[f"{section}.{name}"] = setting.default
    return found


@cache
def _effects() -> dict[str, str]:
    return dict(_below(Strategy, "", "training"))


def _below(section: type[Settings], prefix: str, inherited: str) -> Iterator[tuple[str, str]]:
    for name, field in section.model_fields.items():
        extra: Any = field.json_schema_extra or {}
        effect = extra.get("affects", inherited)
        yield prefix + name, effect
        for one in _classes(field.annotation):
            if issubclass(one, Settings):
                yield from _below(one, f"{prefix}{name}.", effect)


def _classes(annotation: Any) -> list[type]:
    """The classes in an annotation, such as both of `PlateauSettings | None`."""
    return (
        [annotation]
        if isinstance(annotation, type)
        else [one for part in get_args(annotation) for one in _classes(part)]
    )
