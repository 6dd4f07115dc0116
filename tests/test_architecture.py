"""The packages as a test: imports go downwards only, the page about them is that of the code, and what must not need TensorFlow
does not."""

import subprocess
import sys

import pytest
from support.runs import load_tool

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
