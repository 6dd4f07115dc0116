"""The packages as a test: imports go downwards only, the page about them is that of the code, and what must not need TensorFlow
does not."""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.runs import load_tool

from kcars.settings import TASKS

architecture = load_tool("architecture")
WITHOUT_TENSORFLOW = (
    "cli.app",
    "cli.data",
    "cli.demo",
    "cli.explain",
    "cli.index",
    "cli.limits",
    "cli.load",
    "cli.photos",
    "cli.report",
    "cli.run_names",
    "cli.strategies",
    "cli.train",
    "cli.tune",
    "cli.types",
    "cli.use",
    "data.readers.compcars",
    "demo.answers",
    "demo.examples",
    "demo.shown",
    "drawn.synthetic",
    "evaluation.heat_maps",
    "evaluation.score_table",
    "gallery.clusters",
    "gallery.ingest",
    "gallery.naming",
    "images.pixel_store",
    "inference.explain",
    "input.augment.chain",
    "input.stream",
    "metrics.baselines",
    "metrics.bootstrap",
    "metrics.scores",
    "models.grad_cam",
    "paper.figures",
    "paper.table_files",
    "runs.resume",
    "runs.run",
    "runs.state_file",
    "settings.strategy",
    "tasks.classify",
    "tasks.verify",
    "tuning.rate_curve",
    "tuning.rate_test",
    "tuning.search",
)


def test_imports_go_downwards_and_in_no_circle():
    assert architecture.faults(architecture.graph(architecture.modules())) == []


def test_nothing_but_the_package_itself_and_its_version_stands_outside_of_the_packages():
    assert sorted(file.name for file in architecture.PACKAGE.glob("*.py")) == ["__init__.py", "version.py"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"core/errors.py": "", "cli/app.py": "from kcars.core import errors"}, []),
        ({"core/errors.py": "import kcars.cli.app", "cli/app.py": ""}, ["core.errors: imports cli.app"]),
        (
            {"core/errors.py": "def f():\n    from kcars.cli.app import main", "cli/app.py": ""},
            ["core.errors: imports cli.app"],
        ),
        (
            {"core/errors.py": "from kcars.core import files", "core/files.py": "from kcars.core.errors import f"},
            ["import one another: core.errors, core.files"],
        ),
        ({"engine/motor.py": ""}, ["engine.motor: is in none of the packages core, "]),
        ({"core/errors.py": "from kcars import load"}, ["core.errors: imports kcars itself"]),
    ],
)
def test_what_goes_upwards_or_in_circles_is_found(tmp_path, files, told):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "__init__.py").touch()
    found = architecture.faults(architecture.graph(architecture.modules(tmp_path)))
    assert len(found) == len(told) and all(line.startswith(begin) for line, begin in zip(found, told, strict=True))


def test_the_page_and_its_picture_are_those_of_the_code(tmp_path):
    known = architecture.modules()
    used = architecture.used_packages(architecture.graph(known))
    page = architecture.PAGE.read_text()
    assert page == architecture.page(page, architecture.table(known, used)), "python tools/architecture.py writes it"
    picture = architecture.picture(architecture.floors(used), used)
    assert architecture.PICTURE.read_text() == picture, "python tools/architecture.py draws it"
    assert all(f">{name}</text>" in picture for name in architecture.ORDER)
    known["core.another"] = known["core.errors"]
    assert page != architecture.page(page, architecture.table(known, used))


def test_every_package_and_file_says_what_it_is_for():
    assert [name for name, file in architecture.modules().items() if not architecture.docstring(file)] == []


def test_light_modules_bring_no_tensorflow():
    names = ", ".join(f"kcars.{module}" for module in WITHOUT_TENSORFLOW)
    heavy = ("tensorflow", "keras", "torch", "faiss")
    program = f"import sys, {names}; print(sorted(m for m in {heavy} if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


# ---- sizes, and where a task's name decides ----

MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS, MOST_BRANCHES = 300, 45, 7, 10


def trees() -> dict[str, ast.Module]:
    return {name: ast.parse(file.read_text()) for name, file in architecture.modules().items()}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function is a click command, whose parameters are its options."""
    return any("command" in ast.unparse(one) for one in function.decorator_list)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_files_and_functions_fit_on_a_screen_or_three():
    files = {name: len(file.read_text().splitlines()) for name, file in architecture.modules().items()}
    assert {name: lines for name, lines in files.items() if lines > MOST_LINES} == {}
    sizes = {
        f"{name}.{one.name}": (one.end_lineno or one.lineno) - one.lineno + 1
        for name, tree in trees().items()
        for one in functions(tree)
    }
    assert {name: lines for name, lines in sizes.items() if lines > MOST_LINES_OF_A_FUNCTION} == {}


def test_functions_take_few_parameters():
    found = {
        f"{name}.{one.name}": parameters(one)
        for name, tree in trees().items()
        for one in functions(tree)
        if not is_command(one)
    }
    assert {name: count for name, count in found.items() if count > MOST_PARAMETERS} == {}


def test_the_name_of_a_task_decides_in_few_places_outside_of_the_tasks():
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees().items()
        if not name.startswith("tasks.")
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(c, ast.Constant) and c.value in TASKS for c in (node.left, *node.comparators))
    ]
    assert len(found) <= MOST_BRANCHES, found
