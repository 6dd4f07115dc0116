"""YAML as strategy files are written: `1e-3` is a number, `on` and `off` are words, a key stands once, and a small file is a small thing."""

import re

import yaml

from kcars.core.limits import limits

_PREFIX = "tag:yaml.org,2002:"


class TooMuch(yaml.constructor.ConstructorError):
    """A text that is longer, deeper, or with its aliases written out larger, than the limits allow."""


class _Loader(yaml.SafeLoader):
    """Counts values while it reads, so that nothing is made of too many.

    `1:30` is a text and no number of minutes, as is `010`, which would be 8.
    """

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern) for tag, pattern in resolvers if tag.removeprefix(_PREFIX) not in ("bool", "int", "float")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str):
        super().__init__(text)
        self._depth, self._count, self._sizes = 0, 0, {}

    def compose_node(self, parent, index):
        """As PyYAML's; an alias counts as all that it stands for."""
        mark = self.peek_event().start_mark
        if self._depth >= limits().yaml_depth:
            raise TooMuch(None, None, f"is nested deeper than {limits().yaml_depth} levels (yaml_depth)", mark)
        self._depth, self._count = self._depth + 1, self._count + 1
        if self._count > limits().yaml_nodes:
            self._refuse_more(mark)
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if alias and id(node) not in self._sizes:  # What it names is not yet whole.
            raise TooMuch(None, None, "a value stands within itself", mark)
        if not alias:
            self._sizes[id(node)] = 1 + sum(self._sizes[id(part)] for part in _parts(node))
        if self._sizes[id(node)] > limits().yaml_nodes:
            self._refuse_more(mark)
        return node

    def _refuse_more(self, mark) -> None:
        raise TooMuch(
            None, None, f"holds more than {limits().yaml_nodes:,} values, aliases written out (yaml_nodes)", mark
        )

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parts(node) -> list:
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


def load_yaml(text: str):
    """What a text holds; yaml.YAMLError or ValueError where it is no YAML, TooMuch where it is beyond the limits."""
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
    ) as error:  # PyYAML's, of a tag or escape that lies.
        told = f"a value is not what it says that it is ({error})"
        raise yaml.constructor.ConstructorError(None, None, told, loader.get_mark()) from None
    finally:
        loader.dispose()
