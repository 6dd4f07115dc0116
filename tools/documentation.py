"""Parts of the documentation site that are written from the code while it is built: a hook of MkDocs (`mkdocs.yml`).

A line `<!-- generated: NAME -->` of a page is replaced by what `GENERATED[NAME]` returns: the commands with their options,
the settings of a strategy, the limits on files and requests, the scores, the shipped strategies, the notebook, SECURITY.md, CHANGELOG.md and CONTRIBUTING.md.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # MkDocs runs a hook without the folder of the project in its path.

from kcars.cli.app import SECTIONS, main  # noqa: E402
from kcars.core.base_settings import EFFECTS  # noqa: E402
from kcars.core.limits import Limits  # noqa: E402
from kcars.losses.catalogue import LOSSES  # noqa: E402
from kcars.metrics.catalogue import SCORES  # noqa: E402
from kcars.settings import Strategy  # noqa: E402
from kcars.settings.effects import effect_of  # noqa: E402
from kcars.settings.loss import LossByName  # noqa: E402
from kcars.settings.strategy import load_strategy, strategy_files  # noqa: E402

MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.M)


# Commands


def commands() -> str:
    """A section for `kcars`, then one for each command and each command of a group, in the order of the help."""
    top = click.Context(main, info_name="kcars", **main.context_settings)
    lines = ["## kcars { #kcars data-toc-label='kcars' }", "", *_help(main, top)]
    for title, names in SECTIONS.items():
        lines += [f"**{title}**", "", "| command | what it does |", "| --- | --- |"]
        lines += [f"| [`kcars {name}`](#kcars-{name}) | {summary} |" for name, (_, summary) in names.items()] + [""]
    for names in SECTIONS.values():
        for name in names:
            lines += _command(main.get_command(top, name), name, top, 2)
    return "\n".join(lines)


def _command(command: click.Command, name: str, parent: click.Context, level: int) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    path = context.command_path
    yield f"{'#' * level} {path} {{ #{path.replace(' ', '-')} data-toc-label='{path.removeprefix('kcars ')}' }}"
    yield ""
    yield from _help(command, context)
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        yield from _command(command.get_command(context, name), name, context, level + 1)


def _help(command: click.Command, context: click.Context) -> Iterator[str]:
    """Description, examples, usage and a table of the options."""
    for paragraph in inspect.cleandoc(command.help or "").replace("\f", "").split("\n\n"):
        kept = paragraph.startswith("\b\n")
        text = paragraph.removeprefix("\b\n")
        if kept and text.startswith("Example"):
            yield from ("```sh", inspect.cleandoc(text.partition("\n")[2]), "```", "")
        else:
            yield from (("```text", text, "```", "") if kept else (_plain(text), ""))
    usage = [context.command_path, *command.collect_usage_pieces(context)]
    yield from ("```text", "Usage: " + " ".join(usage), "```", "")
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    records = [found for one in options if (found := one.get_help_record(context))]
    yield from ("| option | meaning |", "| --- | --- |")
    for names, told in records:
        yield f"| `{names}` | {_plain(told)} |"  # A bar within code parts no cells.
    yield ""


def _plain(text: str) -> str:
    """Text of a help or a description, with nothing that Markdown takes for its own."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(p if p.startswith("`") else re.sub(r"([*_\[\]<>|#])", r"\\\1", p) for p in parts)


# Settings


def settings() -> str:
    """A section for each section of a strategy, with a table of its settings."""
    effects = [f"- `{name}`: {meaning}" for name, meaning in EFFECTS.items()]
    lines = [
        "The last column says what a setting can change:",
        "",
        *effects,
        "",
        "## Top level",
        "",
        *_table(Strategy, ""),
    ]
    for name, field in Strategy.model_fields.items():
        if name == "loss":
            lines += [*_losses()]
        elif model := _model(field.annotation):
            lines += [*_section(model, name, 2)]
    return "\n".join(lines)


def setting_names() -> set[str]:
    """Every key that `--set` takes, such as train.epochs, of whatever loss."""
    return {name for name, _ in _keys(Strategy, "")}


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        key = prefix + name
        yield key, field
        if choice := _choice(field):
            for loss in choice.classes():
                yield from _keys(loss, f"{key}.")
        elif inner := _model(field.annotation):
            yield from _keys(inner, f"{key}.")


def _section(model: type[BaseModel], key: str, level: int) -> Iterator[str]:
    yield from (f"{'#' * level} {key}", "")
    if model.__doc__ and "__doc__" in vars(model):
        yield from (_plain(model.__doc__), "")
    yield from _table(model, f"{key}.")
    for name, field in model.model_fields.items():
        if not _choice(field) and (inner := _model(field.annotation)):
            yield from _section(inner, f"{key}.{name}", level + 1)


def _losses() -> Iterator[str]:
    yield from ("## loss", "", "`loss.name` chooses the loss; each loss has settings of its own.", "")
    for name, model in ((name, loss.settings) for name, loss in LOSSES.items()):
        rows = [field for field in model.model_fields if field != "name"]
        yield from (f"### {name}", "")
        yield from _table(model, "loss.", ("name",)) if rows else ("It has no settings.", "")


def _table(model: type[BaseModel], prefix: str, without: tuple[str, ...] = ()) -> Iterator[str]:
    yield from ("| setting | values | default | meaning | affects |", "| --- | --- | --- | --- | --- |")
    for name, field in model.model_fields.items():
        if name not in without:
            yield f"| `{prefix}{name}` | {_values(prefix + name, field)} | {_default(field)} | {_plain(field.description or '')} | {effect_of(prefix + name)} |"
    yield ""


def _choice(field: Any) -> LossByName | None:
    """What chooses among losses in a section; None in others."""
    return next((one for one in field.metadata if isinstance(one, LossByName)), None)


def _model(annotation: Any) -> type[BaseModel] | None:
    """The settings that an annotation such as `PlateauSettings | None` holds; None where it holds none."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _values(key: str, field: Any) -> str:
    """What a setting takes, in words."""
    if choice := _choice(field):
        names = [get_args(model.model_fields["name"].annotation)[0] for model in choice.classes()]
        return f"a section of [a loss](#loss): {', '.join(f'`{name}`' for name in names)}"
    if _model(field.annotation):
        return f"[a section](#{key.replace('.', '').replace(' ', '-')})"
    return _kind(field.annotation) + _range(field.metadata)


def _kind(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bare = _kind(parts[0])
        return bare + _range(parts[1:])
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in (Union, UnionType):
        return " or ".join(_kind(part) for part in parts if part is not type(None))
    if origin is list:
        return f"list ({_kind(parts[0])})"
    return {int: "whole number", float: "number", bool: "`true`, `false`", str: "text"}[annotation]


def _range(metadata: Any) -> str:
    signs = {"gt": "above", "ge": "from", "lt": "below", "le": "to"}
    found = []
    for bound in metadata:
        for part in getattr(bound, "metadata", None) or (
            bound,
        ):  # pydantic keeps the bounds of a type within its field.
            found += [f"{told} {_number(getattr(part, sign))}" for sign, told in signs.items() if hasattr(part, sign)]
    return f" {' '.join(found)}" if found else ""


def _number(value: float) -> str:
    return "2^32" if value == 2**32 else f"{value:g}" if isinstance(value, float) else f"{value:,}"


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "required" if field.default_factory is None else "see its section"
    if field.default is None:
        return "none"
    return (
        {True: "`true`", False: "`false`", "": '`""`'}.get(field.default, f"`{field.default}`")
        if not isinstance(field.default, (int, float)) or isinstance(field.default, bool)
        else f"`{field.default:g}`"
    )


# Other tables and files


def limits() -> str:
    """Every limit of `KCARS_LIMITS`, with its default and what it bounds."""
    rows = [
        f"| `{name}` | {field.default} | {_plain(field.description)} |" for name, field in Limits.model_fields.items()
    ]
    return "\n".join(["| limit | default | bounds |", "| --- | --- | --- |", *rows])


def scores() -> str:
    """Every score, with its column's head and what it is."""
    tasks = {"photos": "classify", "pairs": "verify", "search": "verify, as a search"}
    rows = []
    for name, score in SCORES.items():
        of = [told for kind, told in tasks.items() if getattr(score, kind)] or ["probabilities"]
        better = "higher" if score.higher_is_better else "lower"
        rows.append(f"| `{name}` | {score.head or name} | {'; '.join(of)} | {better} | {_plain(score.explained)} |")
    return "\n".join(
        ["| key in `scores.json` | column | task | better | meaning |", "| --- | --- | --- | --- | --- |", *rows]
    )


def strategies() -> str:
    """The shipped strategies, a line each."""
    rows = []
    for name in strategy_files():
        one = load_strategy(name)
        rows.append(
            f"| `{name}` | {one.task} | {one.target} | `{one.model.backbone}` | `{one.loss.name}` | {one.data.size_px} | {_plain(one.about)} |"
        )
    return "\n".join(
        [
            "| strategy | task | target | backbone | loss | px | about |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
        ]
    )


def notebook() -> str:
    """docs/python_api.ipynb as text and code."""
    parts = []
    for cell in json.loads((ROOT / "docs/python_api.ipynb").read_text())["cells"]:
        source = "".join(cell["source"])
        parts.append(
            f"```python\n{source}\n```" if cell["cell_type"] == "code" else re.sub(r"^#", "##", source, flags=re.M)
        )
    return "\n\n".join(parts)


def _file(name: str) -> str:
    """A Markdown file of the project without its title, its links made those of a page in docs/."""
    text = (ROOT / name).read_text().partition("\n")[2]
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(r"\]\(([A-Z]+\.md)", lambda found: f"]({found[1].lower()}", text)


GENERATED = {
    "commands": commands,
    "settings": settings,
    "limits": limits,
    "scores": scores,
    "strategies": strategies,
    "notebook": notebook,
    "security": lambda: _file("SECURITY.md"),
    "changelog": lambda: _file("CHANGELOG.md"),
    "contributing": lambda: _file("CONTRIBUTING.md"),
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What MkDocs calls for each page; a name that GENERATED has not is a KeyError, which ends the build."""
    whole = MARK.sub(lambda found: GENERATED[found[1]](), markdown)
    # On GitHub a bar within code parts cells and is escaped; here it does not, and the escape would show.
    return re.sub(r"`[^`\n]+`", lambda code: code[0].replace("\\|", "|"), whole)
