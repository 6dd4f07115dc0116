"""What the documentation names exists: links, files, commands with their options, settings; and the README stays short."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from support.paths import ROOT
from support.runs import load_tool

from kcars.cli.app import main
from kcars.runs.resume import MAY_CHANGE
from kcars.settings.renamed import RENAMED

documentation = load_tool("documentation")
SETTINGS = documentation.setting_names()
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#[^)\s]*)?\)")
FILE = re.compile(r"(?<![\w/.-])(?:kcars|tools|tests|docs|configs|\.ci)/[\w./-]*\w\.\w+")
CODE = re.compile(r"`([^`\n]+)`")
SHORT_FILE = re.compile(r"^[\w/]+/\w+\.py$")  # `models/residual.py` stands for kcars/models/residual.py.
BLOCK = re.compile(r"^ *```(?:sh|bash)\n(.*?)^ *```", re.M | re.S)
WAITING = (click.Choice, click.IntRange, click.FloatRange)  # Values that can be checked without a file.
OPTION = re.compile(r"^--[a-z][\w-]*")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*")


def files_named(text: str) -> set[str]:
    """Paths of files of the project that a text names, from the checkout's root or from kcars/."""
    short = {f"kcars/{code}" for code in CODE.findall(text) if SHORT_FILE.match(code) and not FILE.match(code)}
    return set(FILE.findall(text)) | short


def missing_files(text: str) -> list[str]:
    """Those that are neither there nor, of a short name such as `augment/chain.py`, in a package of kcars."""
    return sorted(
        path
        for path in files_named(text)
        if not (ROOT / path).exists() and not any((ROOT / "kcars").glob(f"*/{path.removeprefix('kcars/')}"))
    )


def broken_links(text: str, folder: Path) -> list[str]:
    return [target for target in LINK.findall(text) if target and not (folder / target).exists()]


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of each `kcars` command in the blocks of shell of a text, and in its code within lines."""
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    lines += [code for code in CODE.findall(text) if code.startswith("kcars ")]
    for line in lines:
        for command in _commands(line):
            words = [word for word in command if not re.match(r"^[A-Z_]+=", word)]
            if words[:1] == ["kcars"] and words[1:] not in ([], ["..."]):
                yield words[1:]


def _commands(line: str) -> Iterator[list[str]]:
    """The commands of a line of shell: what `&&`, `;`, pipes, redirections and `do` part."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="&;|<>")
    reader.whitespace_split, reader.commenters = True, "#"
    command: list[str] = []
    for word in reader:
        if word in ("do", "done", "...") or set(word) <= set("&;|<>"):
            yield command
            command = []
        else:
            command.append(word)
    yield command


def fault_of(words: list[str]) -> str:
    """What is wrong with a command's words, parsed and not run; "" where nothing is."""
    command, context = main, click.Context(main, info_name="kcars", **main.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        if PLACEHOLDER.fullmatch(name):
            return ""
        command = command.get_command(context, name)
        if command is None:
            return f"{context.command_path} has no command {name}"
        context = click.Context(command, info_name=name, parent=context, **command.context_settings)
    try:
        given, _, _ = command.make_parser(context).parse_args([*words, *_value_left_out(words, command)])
        for parameter in command.params:
            for value in _values(given.get(parameter.name)):
                if isinstance(parameter.type, WAITING) and not PLACEHOLDER.fullmatch(value):
                    parameter.type.convert(value, parameter, context)
    except click.UsageError as error:
        return f"{context.command_path}: {error.format_message()}"
    keys = [value.partition("=")[0] for option in ("overrides", "searched") for value in _values(given.get(option))]
    return ", ".join(
        f"there is no setting {key}" for key in keys if not PLACEHOLDER.fullmatch(key) and key not in SETTINGS
    )


def _value_left_out(words: list[str], command: click.Command) -> list[str]:
    """A value for the last word where that is an option with none, as text names options: `kcars predict --index`."""
    wanting = {name for one in command.params if isinstance(one, click.Option) and not one.is_flag for name in one.opts}
    return ["VALUE"] if words and words[-1] in wanting else []


@cache
def options() -> set[str]:
    """Every long option of a command of kcars or of a tool."""
    found, waiting = {"--help"}, [main]
    while waiting:
        command = waiting.pop()
        found.update(name for one in command.params for name in (*one.opts, *one.secondary_opts))
        if isinstance(command, click.Group):
            context = click.Context(command)
            waiting += [command.get_command(context, name) for name in command.list_commands(context)]
    for tool in (ROOT / "tools").glob("*.py"):
        found.update(re.findall(r"\"(--[\w-]+)\"", tool.read_text(encoding="utf-8")))
    return found


def unknown_options(text: str) -> list[str]:
    """Options named alone within lines, such as `--risk 0.2`, that no command and no tool has."""
    named = [found[0] for code in CODE.findall(text) if (found := OPTION.match(code))]
    return [name for name in named if name not in options()]


def _values(given) -> list[str]:
    return [one for one in (given if isinstance(given, (list, tuple)) else [given]) if isinstance(one, str)]


def faults(text: str, folder: Path) -> list[str]:
    """Everything in a page that does not exist."""
    return [
        *(f"link to {target}" for target in broken_links(text, folder)),
        *(f"file {path}" for path in missing_files(text)),
        *(found for words in commands_in(text) if (found := fault_of(words))),
        *(f"option {name}" for name in unknown_options(text)),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page):
    assert faults(page.read_text(encoding="utf-8"), page.parent) == []


def test_the_readme_is_short_and_names_the_test_commands():
    text = (ROOT / "README.md").read_bytes()
    assert len(text) < 8 * 1024
    assert b"\nmake test " in text and b"\nmake test-fast " in text


def test_pages_hold_commands_to_check():
    found = [words for page in PAGES for words in commands_in(page.read_text(encoding="utf-8"))]
    assert len(found) > 100
    assert {words[0] for words in found} >= set(main.list_commands(None))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[here](nowhere.md)", ["link to nowhere.md"]),
        ("[here](README.md#anchor) and [there](https://example.org/nowhere.md)", []),
        ("see `tools/nothing.py` and docs/none.md", ["file docs/none.md", "file tools/nothing.py"]),
        ("see `models/nothing.py`, `models/networks.py` and `augment/chain.py`", ["file kcars/models/nothing.py"]),
        ("```sh\nkcars foretell car.jpg\n```", ["kcars has no command foretell"]),
        ("`kcars index seek`", ["kcars index has no command seek"]),
        ("```sh\nkcars predict car.jpg --top 3 --tip 3   # --tap\n```", ["kcars predict: No such option '--tip'."]),
        (
            "```sh\nA=1 kcars train --task guess \\\n  --dry-run && kcars limits\n```",
            ["kcars train: Invalid value for '--task': 'guess'"],
        ),
        (
            "```sh\nfor n in 1 2; do kcars predict car.jpg --top 0; done\n```",
            ["kcars predict: Invalid value for '--top': 0 is not"],
        ),
        ("```sh\nkcars train --set train.epoch=3 --set loss.margin=1\n```", ["there is no setting train.epoch"]),
        ("`--risk 0.2`, `--kills 20` and `--riks 0.2`", ["option --riks"]),
        ("`kcars tune --search`, `kcars tune --search data.size=1,2`", ["there is no setting data.size"]),
        ("```sh\nkcars predict photos --csv > names.csv | sort --reverse\n```", []),
    ],
)
def test_what_does_not_exist_is_found(text, told):
    found = faults(text, ROOT)
    assert len(found) == len(told)
    assert all(line.startswith(begin) for line, begin in zip(found, told, strict=True))


def test_every_mark_of_a_page_has_its_part_and_every_part_its_page():
    marks = [mark for page in PAGES for mark in documentation.MARK.findall(page.read_text(encoding="utf-8"))]
    assert sorted(marks) == sorted(documentation.GENERATED)


def test_parts_that_are_written_from_the_code_hold_what_it_has():
    commands, settings = documentation.commands(), documentation.settings()
    assert "### kcars index search {" in commands and "`--resume RUN`" in commands
    own = {key.removeprefix("second_loss.") for key in SETTINGS} - {
        "loss.name",
        "weight",
    }  # A second loss is one of the losses.
    assert [key for key in own if f"| `{key}` |" not in settings] == []
    assert (
        "| `data.size_px` | whole number from 32 to 1,024 | required | side of the square input photo in pixels"
        in settings
    )
    assert "| `loss.margin` | number from 0 below 1.57 | `0.2` |" in settings


def test_the_page_on_training_lists_what_may_change_in_a_resumed_run():
    page = (ROOT / "docs/train.md").read_text()
    table = page[page.index("may change these settings") : page.index("For any other setting")]
    assert set(re.findall(r"`((?:data|train|evaluate)\.\w+)`", table.split("condition |")[1])) - WITHOUT_RESUME == (
        MAY_CHANGE - RENAMED.keys()
    )


WITHOUT_RESUME = {"train.schedule", "train.max_minutes", "data.first_px"}
"""Settings that the table names as conditions."""
