"""Which settings change what: a setting's `affects`, or its section's where it says none."""

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from kcars.core.base_settings import Settings
from kcars.settings.renamed import RENAMED
from kcars.settings.whole import Strategy


def names_that_affect(*what: str) -> frozenset[str]:
    """Names of settings and sections, such as `train.epochs`, that change one of EFFECTS; former names too.

    Settings of a loss, which its name decides, are not among them: they change the weights.
    """
    found = {name for name, effect in _effects().items() if effect in what}
    return frozenset(found | {old for old, new in RENAMED.items() if new in found})


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
