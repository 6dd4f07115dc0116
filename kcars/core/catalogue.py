"""Catalogues of named records: those of kcars, and those that installed packages add by entry points."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from kcars.core.errors import KcarsError

if TYPE_CHECKING:  # Scores can be read without pydantic.
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import core_schema


class Named(Protocol):
    """A record of a catalogue."""

    @property
    def name(self) -> str:
        """The name of the record, its key."""
        ...


Entry = TypeVar("Entry", bound=Named)


class Catalogue(Mapping[str, Entry], Generic[Entry]):
    """Records by name, imported on first use.

    package, modules: modules of the package that register their records when imported, in the order of the records; group:
    entry points of other packages, each of them a record or a module that registers its own.
    """

    def __init__(self, what: str, package: str, modules: tuple[str, ...], group: str):
        self.what, self._group = what, group
        self._modules = [f"{package}.{module}" for module in modules]
        self._records: dict[str, Entry] = {}
        self._module_of: dict[str, str] = {}
        self._loaded = self._complete = False
        self._followers: list[Callable[[], object]] = []

    def register(self, record: Entry) -> Entry:
        """Add a record; raises KcarsError if another record has its name."""
        if self._records.get(record.name, record) is not record:
            first, second = self._module_of[record.name], _caller()
            raise KcarsError(f"{self.what} {record.name}: is registered by {first} and by {second}; rename one")
        self._records[record.name] = record
        self._module_of[record.name] = _caller()  # A module may be imported before the others.
        self._report_change()
        return record

    def forget(self, name: str) -> None:
        """Remove a record, for tests."""
        del self._records[name]
        self._report_change()

    def when_changed(self, call: Callable[[], object]) -> None:
        """Register a function to be called after each change of the complete catalogue, to rebuild what depends on it."""
        self._followers.append(call)

    def _report_change(self) -> None:
        if self._complete:
            for call in self._followers:
                call()

    def __getitem__(self, name: str) -> Entry:
        return self.records()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.records())

    def __len__(self) -> int:
        return len(self.records())

    def records(self) -> dict[str, Entry]:
        """All records by name."""
        if not self._loaded:
            self._loaded = True
            for module in self._modules:
                import_module(module)
            order = {module: number for number, module in enumerate(self._modules)}
            found = sorted(self._records, key=lambda name: order.get(self._module_of[name], len(order)))
            self._records = {name: self._records[name] for name in found}
            for entry in entry_points(group=self._group):
                self._add(entry)
            self._complete = True
        return self._records

    def _add(self, entry: EntryPoint) -> None:
        """Add a record of another package; an error names the package if it cannot be loaded."""
        try:
            found = entry.load()
        except Exception as error:  # noqa: BLE001  Other packages may raise anything.
            where = f"{entry.value} ({self._group})"
            raise KcarsError(f"{self.what} {entry.name}: {where} cannot be loaded ({error})") from None
        if hasattr(found, "name"):
            self.register(found)


def _caller() -> str:
    """The name of the module that called the caller."""
    frame = inspect.currentframe()
    outer = frame and frame.f_back and frame.f_back.f_back
    return outer.f_globals["__name__"] if outer else ""


class OneOf:
    """Annotation of a text in a pydantic model that must be a name in a catalogue or mapping when it is checked."""

    def __init__(self, names: Callable[[], Mapping[str, Any]] | Mapping[str, Any]):
        self._names = names if callable(names) else lambda: names

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "core_schema.CoreSchema":
        """The schema of a text, followed by the check."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: "core_schema.CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        """The JSON schema, with the names as `enum`."""
        return {**handler(schema), "enum": list(self._names())}

    def _check(self, value: str) -> str:
        names = self._names()
        if value not in names:
            raise ValueError(f"is not known; choose one of {', '.join(names)}, or install the package that adds it")
        return value
