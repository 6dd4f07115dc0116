"""The packages of kcars, and who imports whom: checks, and docs/architecture.md with its picture.

python tools/architecture.py          writes both anew
python tools/architecture.py --check  exit code 1 where they are not what the code says, or imports go upwards
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kcars"
PAGE, PICTURE = ROOT / "docs/architecture.md", ROOT / "docs/architecture.svg"
BEGIN, END = "<!-- Written by tools/architecture.py -->\n", "<!-- As far as here -->\n"
# From the lowest to the highest: a package imports itself and those before it, at the top of a file as within a function.
ORDER = (
    *(
        "core",
        "schemas",
        "untrusted",
        "backbones",
        "losses",
        "settings",
        "metrics",
        "drawn",
        "data",
        "images",
        "doctor",
    ),
    *("input", "posthoc", "models", "objectives", "tasks", "runs", "evaluation", "training", "inference", "gallery"),
    *("export", "report", "tuning", "paper", "demo", "cli"),
)
BESIDE = ("", "version")  # Beside the packages: kcars/__init__.py, which may import all, and what all may import.
WIDTH, ROW, GAP, LETTER = 640, 58, 12, 7.4  # Pixels of the picture; LETTER: of a letter of its names.


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Files by dotted name below the package: "" for its own __init__.py, "core" for that of core."""
    found = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Every module of the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kcars":
            base = node.module.removeprefix("kcars").lstrip(".")
            for alias in node.names:
                below = f"{base}.{alias.name}".lstrip(".")
                yield below if below in known else base
        elif isinstance(node, ast.Import):
            yield from (one.name.removeprefix("kcars.") for one in node.names if one.name.startswith("kcars."))


def graph(known: dict[str, Path]) -> dict[str, set[str]]:
    """Which modules each imports, itself left out."""
    return {name: set(imports(file, known)) - {name} for name, file in known.items()}


def faults(found: dict[str, set[str]], order: tuple[str, ...] = ORDER) -> list[str]:
    """A line for each module of no package, each import that goes upwards, and each circle of modules."""
    told, place = [], {name: number for number, name in enumerate(order)}
    for name, used in found.items():
        package = name.split(".")[0]
        if name in BESIDE:
            continue
        if package not in place:
            told.append(f"{name}: is in none of the packages {', '.join(order)}")
            continue
        for other in sorted(used):
            above = other.split(".")[0]
            if other == "":
                told.append(f"{name}: imports kcars itself, which may import everything")
            elif above in place and place[above] > place[package]:
                told.append(f"{name}: imports {other}, whose package stands above it")
    return told + [f"import one another: {', '.join(circle)}" for circle in circles(found)]


def circles(found: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which imports all others by some way."""
    reached = {name: _reached(name, found) for name in found}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ()))) for name in found if name
    }
    return sorted(list(group) for group in groups if len(group) > 1)


def _reached(name: str, found: dict[str, set[str]]) -> set[str]:
    seen, waiting = set(), [name]
    while waiting:
        for other in found.get(waiting.pop(), ()):
            if other and other not in seen:  # What kcars itself imports, it imports when it is asked to.
                seen.add(other)
                waiting.append(other)
    return seen


def used_packages(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Which packages each package imports."""
    used: dict[str, set[str]] = {name: set() for name in ORDER}
    for name, others in found.items():
        if (package := name.split(".")[0]) in used:
            used[package] |= {other.split(".")[0] for other in others} & set(ORDER) - {package}
    return used


def floors(used: dict[str, set[str]]) -> list[list[str]]:
    """Packages by floor, the lowest first: each one floor above the highest that it imports."""
    level: dict[str, int] = {}
    for name in ORDER:
        level[name] = 1 + max((level[other] for other in used[name]), default=-1)
    return [[name for name in ORDER if level[name] == number] for number in range(max(level.values()) + 1)]


def docstring(file: Path) -> str:
    """The first sentence that a file says of itself."""
    return (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].replace("\n", " ")


def picture(storeys: list[list[str]], used: dict[str, set[str]]) -> str:
    """An SVG file: a box for each package, the lowest floor at the bottom, and a line for each import of the floor below."""
    height = len(storeys) * ROW + GAP
    centre, parts = {}, []
    for number, names in enumerate(storeys):
        top = height - (number + 1) * ROW
        widths = [len(name) * LETTER + 28 for name in names]
        left = (WIDTH - sum(widths) - GAP * (len(names) - 1)) / 2
        for name, width in zip(names, widths, strict=True):
            parts.append(f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="34" rx="6"/>')
            parts.append(f'<text x="{left + width / 2:.0f}" y="{top + 22}">{escape(name)}</text>')
            centre[name] = (left + width / 2, top)
            left += width + GAP
    lines = []
    for number, names in enumerate(storeys[1:], start=1):
        for name in names:
            for other in sorted(used[name] & set(storeys[number - 1])):
                (x, y), (to_x, to_y) = centre[name], centre[other]
                lines.append(f'<line x1="{x:.0f}" y1="{y + 34}" x2="{to_x:.0f}" y2="{to_y}"/>')
    style = (
        "text{font:13px monospace;text-anchor:middle;fill:#123} rect{fill:#e8f0fa;stroke:#47719f} "
        "line{stroke:#9bb3cf} svg{background:#fff}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Packages of kcars by floor"><style>{style}</style>\n' + "\n".join([*lines, *parts]) + "\n</svg>\n"
    )


def table(known: dict[str, Path], used: dict[str, set[str]]) -> str:
    """What docs/architecture.md lists: each package from the highest to the lowest, with its files."""
    lines = []
    for package in reversed(ORDER):
        below = ", ".join(f"`{name}`" for name in ORDER if name in used[package]) or "nothing"
        lines += [f"### `kcars/{package}/`", "", f"{docstring(known[package])} Imports {below}.", ""]
        lines += ["| file | what it does |", "| --- | --- |"]
        for name, file in known.items():
            if name.startswith(package + "."):
                told = docstring(file).replace("|", "\\|")
                lines.append(f"| `{file.relative_to(PACKAGE / package)}` | {told} |")
        lines.append("")
    return "\n".join(lines)


def page(before: str, listed: str) -> str:
    """The page with the list put in the place of the earlier one."""
    head, rest = before.split(BEGIN)
    return head + BEGIN + "\n" + listed + "\n" + END + rest.split(END)[1]


def main() -> None:
    """Write both, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where something is wrong")
    check = parser.parse_args().check
    known = modules()
    found = graph(known)
    used = used_packages(found)
    wrong = faults(found)
    for file, text in ((PAGE, page(PAGE.read_text(), table(known, used))), (PICTURE, picture(floors(used), used))):
        if check and (not file.is_file() or file.read_text() != text):
            wrong.append(f"{file.relative_to(ROOT)}: is not what the code says; python tools/architecture.py writes it")
        elif not check:
            file.write_text(text)
    print("\n".join(wrong) or "as it should be")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
