"""Reads the YAML of strategy files: `1e-3` is a number, `on` and `off` are texts, keys are unique, sizes are limited."""

import re
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import yaml

from kcars.core.limits import limits

_PREFIX = "tag:yaml.org,2002:"


class TooMuch(yaml.constructor.ConstructorError):
    """Raised for a text that exceeds the limits of length, depth or, with aliases expanded, size."""


class _Loader(yaml.SafeLoader):
    """Counts values while reading, and stops before too many are built.

    `1:30` and `010` are texts, not numbers in base 60 or 8.
    """

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern) for tag, pattern in resolvers if tag.removeprefix(_PREFIX) not in ("bool", "int", "float")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    if TYPE_CHECKING:  # The types are missing from the stubs of PyYAML.

        def peek_event(self) -> yaml.Event: ...
        def check_event(self, *choices: type[yaml.Event]) -> bool: ...
        def get_mark(self) -> yaml.Mark: ...
        def dispose(self) -> None: ...
        @classmethod
        def add_implicit_resolver(cls, tag: str, regexp: re.Pattern[str], first: list[str]) -> None: ...

    def __init__(self, text: str):
        super().__init__(text)
        self._depth, self._count = 0, 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As in PyYAML; an alias counts as the whole value that it refers to."""
        mark = self.peek_event().start_mark
        if self._depth >= limits().yaml_depth:
            raise TooMuch(None, None, f"is nested deeper than {limits().yaml_depth} levels (yaml_depth)", mark)
        self._depth, self._count = self._depth + 1, self._count + 1
        if self._count > limits().yaml_nodes:
            self._refuse_more(mark)
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if alias and id(node) not in self._sizes:  # The value that it refers to is still being read.
            raise TooMuch(None, None, "a value contains itself", mark)
        if not alias:
            self._sizes[id(node)] = 1 + sum(self._sizes[id(part)] for part in _parts(node))
        if self._sizes[id(node)] > limits().yaml_nodes:
            self._refuse_more(mark)
        return node

    def _refuse_more(self, mark: yaml.Mark) -> None:
        raise TooMuch(
            None, None, f"contains more than {limits().yaml_nodes:,} values, with aliases expanded (yaml_nodes)", mark
        )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is not a text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parts(node: yaml.Node | None) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


for _tag, _pattern, _first in (
    ("bool", "true|false", "tf"),
    ("int", "[-+]?(0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
        "-+0123456789.",
    ),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
):
    _Loader.add_implicit_resolver(_PREFIX + _tag, re.compile(f"^(?:{_pattern})$"), list(_first))


def load_yaml(text: str) -> Any:
    """The content of a text; raises yaml.YAMLError or ValueError if it is not YAML, TooMuch if it exceeds the limits."""
    if len(text) > limits().yaml_kib * 1024:
        raise TooMuch(None, None, f"is longer than {limits().yaml_kib:,} KiB (yaml_kib)")
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except (
        LookupError,
        AttributeError,
        ArithmeticError,
        TypeError,
    ) as error:  # Raised by PyYAML for a wrong tag or escape.
        message = f"a value does not match its tag ({error})"
        raise yaml.constructor.ConstructorError(None, None, message, loader.get_mark()) from None
    finally:
        loader.dispose()
