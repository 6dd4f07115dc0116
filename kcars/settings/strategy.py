"""Loads strategies by name or file: strict YAML with overrides, and names as in the paper."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from kcars.backbones.catalogue import BACKBONES
from kcars.core.base_settings import is_mapping
from kcars.core.errors import KcarsError, one_of
from kcars.core.limits import limits
from kcars.core.plain_text import warn
from kcars.losses.catalogue import LOSSES
from kcars.settings import Strategy
from kcars.settings.renamed import RENAMED, former_names, with_present_names
from kcars.settings.strategy_yaml import TooMuch, load_yaml
from kcars.untrusted.reading import read_bytes

SHOWN = 200  # Maximum characters of a value in a message.
WHAT = "a strategy"


def json_schema() -> str:
    """The JSON schema of strategy files, as shipped in configs/strategy.schema.json."""
    return json.dumps(Strategy.model_json_schema(), indent=1) + "\n"


def configs_folder() -> Path:
    """The folder of the strategies: inside the installed package, or next to it in a checkout."""
    package = Path(__file__).parents[1]
    return package / "configs" if (package / "configs").is_dir() else package.parent / "configs"


def strategy_files() -> dict[str, Path]:
    """Name -> file of every shipped strategy; those of the paper are named by their acronym alone."""
    files = sorted(configs_folder().glob("*/*.yaml"))
    own = {"demo", "quick", "start", "best", "scratch"}
    return {f"{file.parent.name}/{file.stem}" if file.parent.name in own else file.stem: file for file in files}


def load_strategy(name: str, overrides: Sequence[str] = (), **fixed: str | None) -> Strategy:
    """The strategy of a shipped name or a YAML file, with `key.sub=value` overrides.

    `fixed` (task, target, difficulty) come from the command line and apply where the file sets none. Raises KcarsError
    with file, key and value, also for a file of another task or target and for a difficulty with task classify.
    """
    path = _find(name)
    settings = read_yaml(path, WHAT, _keys(()))
    settings = _renamed(settings, str(path))
    for key, value in fixed.items():
        if value is None:
            continue
        if key != "difficulty" and settings.get(key, value) != value:
            raise KcarsError(f"--{key} {value}: strategy {name} is for {key} {settings[key]}; choose another strategy")
        settings[key] = value
    override(settings, overrides)
    strategy = check(
        settings, where=(name if name in strategy_files() else str(path)) + (" with --set" if overrides else "")
    )
    task = cast("dict[str, Any]", Strategy.model_fields["difficulty"].json_schema_extra)["task"]
    if fixed.get("difficulty") and strategy.task != task:
        raise KcarsError(f"--difficulty {fixed['difficulty']}: only task {task} has a difficulty")
    return strategy


def changed_name(name: str, overrides: Sequence[str]) -> str:
    """The name that a run reports: with the keys of any `key.sub=value` overrides."""
    changed = ", ".join(dict.fromkeys(text.partition("=")[0] for text in overrides))
    return name + (f" (changed: {changed})" if changed else "")


def strategy_in(text: str, path: Path) -> Strategy:
    """The Strategy in a file's text; raises KcarsError if there is none."""
    return check(mapping_in(text, path, WHAT, _keys(())), str(path))


def check(settings: dict[str, Any], where: str) -> Strategy:
    """A Strategy from plain settings; raises KcarsError `where: key: what is wrong (value)`."""
    try:
        return Strategy.model_validate(settings)
    except ValidationError as error:
        unknown_first = sorted(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise KcarsError(f"{where}: {_explain(unknown_first[0])}") from None


def _find(name: str) -> Path:
    shipped = strategy_files()
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path
        raise KcarsError(f"strategy {name}: there is no such file")
    raise one_of("strategy", name, shipped)


def read_yaml(path: Path, what: str, keys: Sequence[str]) -> dict[str, Any]:
    """The mapping in a file; raises KcarsError with `what` and `keys` if the file holds something else."""
    try:
        text = read_bytes(path, limits().yaml_kib * 1024).decode()
    except UnicodeDecodeError as error:
        raise KcarsError(f"{path}: cannot be read ({error})") from None
    return mapping_in(text, path, what, keys)


def mapping_in(text: str, path: Path, what: str, keys: Sequence[str]) -> dict[str, Any]:
    """As `read_yaml`, from a file's text."""
    settings = parse_yaml(text, path)
    if not is_mapping(settings):
        kind = "nothing" if settings is None else f"a {type(settings).__name__}"
        raise KcarsError(f"{path}: contains {kind}; {what} is a mapping of {', '.join(keys)}")
    return settings


def parse_yaml(text: str, path: Path) -> Any:
    """The content of a YAML text; raises KcarsError with the line if it is not YAML or exceeds the limits."""
    try:
        return load_yaml(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an invalid date or number.
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise KcarsError(f"{path}{line}: not valid YAML: {problem}") from None


def override(settings: dict[str, Any], overrides: Sequence[str]) -> None:
    """Puts `key.sub=value` texts into plain settings; raises KcarsError for other texts."""
    for text in overrides:
        _override(settings, text)


def _renamed(settings: dict[str, Any], where: str) -> dict[str, Any]:
    """Settings with their present names; warns of each former name."""
    for name in former_names(settings):
        warn(f"{where}: {name} is now called {RENAMED[name]}; the former name is deprecated")
    return with_present_names(settings)


def _override(settings: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise KcarsError(f"--set {text}: expected key=value, such as train.epochs=3")
    if key in RENAMED:
        warn(f"--set {text}: {key} is now called {RENAMED[key]}; the former name is deprecated")
    put(settings, RENAMED.get(key, key), value_of(value), f"--set {text}")


def put(settings: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Puts a value into plain settings at `key.sub`; raises KcarsError `where: ...` if a part of the key is not a section."""
    *sections, last = key.split(".")
    at = settings
    for section in sections:
        if at.get(section) is None:
            at[section] = {}
        at = at[section]
        if not is_mapping(at):
            raise KcarsError(f"{where}: {section} is a single value, not a section")
    at[last] = value


def value_of(text: str) -> Any:
    """The value of a text in a strategy file, or the text itself if it is not YAML; raises KcarsError beyond the limits."""
    try:
        return load_yaml(text)
    except TooMuch as error:
        raise KcarsError(f"{text[:20]}...: {error.problem}") from None
    except (yaml.YAMLError, ValueError):
        return text


def _explain(error: ErrorDetails) -> str:
    location = [
        part for number, part in enumerate(error["loc"]) if not _is_tag(error["loc"], number)
    ]  # pydantic's location includes the name of the loss.
    place = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        loss = next((part for number, part in enumerate(error["loc"]) if _is_tag(error["loc"], number)), "")
        # Setting the name alone keeps the settings of the previous loss.
        of, hint = (f" of {loss}", "; --set 'loss={name: NAME}' replaces the whole loss") if loss else ("", "")
        return f"{place}: unknown setting{of}; choose one of {', '.join(_keys(error['loc'][:-1]))}{hint}"
    if error["type"] == "missing":
        return f"{place}: required, but missing"
    if error["type"].startswith("union_tag"):
        found = error["input"].get("name") if is_mapping(error["input"]) else error["input"]
        # A second loss accepts only some losses.
        allowed = error.get("ctx", {}).get("expected_tags", ", ".join(LOSSES)).replace("'", "")
        return f"{place}.name: {_shown(found)} is not known; choose one of {allowed}"
    taken = _field(error["loc"])
    unset = f"; --set {place}=null unsets it" if taken is not None and taken.default is None else ""
    if error["type"] in ("model_type", "model_attributes_type"):
        given, found = error["input"], "nothing" if error["input"] is None else _shown(error["input"])
        example = _SECTIONS.get(str(location[-1]), "").format(given if str(given) in LOSSES else "NAME")
        such = f", such as {example}" if example else ""
        return f"{place}: expected a section of settings{such}, not a single value (found {found}){unset}"
    if error["type"] in ("string_type", "string_too_short") and not error["input"]:
        if taken is not None and taken.default:
            return f"{place}: expected a text (found nothing); the default is {taken.default}: --set {place}={taken.default}"
        return f"""{place}: expected a text (found nothing); for an empty text use --set '{place}=""'"""
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message} (found {_shown(error['input'])}){unset}" if place else message


def _is_tag(location: tuple[int | str, ...], number: int) -> bool:
    """Whether a part of a location is not a key but the name of a loss, before its settings."""
    return number > 0 and location[number - 1] == "loss" and location[number] in LOSSES


def _shown(value: Any) -> str:
    """A value as shown in a message, truncated to SHOWN characters."""
    try:
        text = repr(value)
    except ValueError:  # An integer of thousands of digits.
        return "a long number"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


# Examples of sections that are mistaken for single values.
_SECTIONS = {"loss": "{{name: {}}}", "second_loss": "{{weight: 0.5, loss: {{name: multi_similarity}}}}"}


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """Setting names allowed at a place such as ("train", "plateau") or ("loss", "arcface")."""
    return list(_section(location).model_fields)


def _section(location: tuple[int | str, ...]) -> Any:
    model: Any = Strategy
    for number, part in enumerate(cast("tuple[str, ...]", location)):
        model = LOSSES[part].settings if _is_tag(location, number) else settings_of(model, part)
    return model


def _field(location: tuple[int | str, ...]) -> FieldInfo | None:
    """The settings field at a location; None for a location inside a value, such as a list's."""
    try:
        return _section(location[:-1]).model_fields[location[-1]]
    except (AttributeError, KeyError, IndexError):
        return None


def settings_of(model: type[BaseModel], part: str) -> Any:
    """The settings class of the section `part`; for a loss, whose class depends on its name, the first one."""
    annotation = model.model_fields[part].annotation
    choices = getattr(annotation, "__args__", ())  # of an optional section, such as PlateauSettings | None
    return next((choice for choice in choices if choice is not type(None)), annotation)


_SHORT_TARGET = {"make": "Mk", "model": "Md"}


_ACRONYMS = {"classify": "{target}_{backbone}_{loss}_B{batch}", "verify": "Vr_{backbone}_{loss}_B{batch}"}


def acronym(strategy: Strategy) -> str:
    """The paper's name for a strategy, without the suffixes that distinguish its Table IV rows and SCR."""
    return _ACRONYMS[strategy.task].format(
        target=_SHORT_TARGET[strategy.target],
        backbone=BACKBONES[strategy.model.backbone].short[strategy.task],
        loss=LOSSES[strategy.loss.name].short,
        batch=strategy.train.batch,
    )


def to_yaml(strategy: Strategy) -> str:
    """Every setting, defaults filled in, as YAML that loads again."""
    return yaml.safe_dump(strategy.model_dump(), sort_keys=False, allow_unicode=True, width=100)
