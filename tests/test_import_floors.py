"""The architecture picture as a test: imports go downwards only, and what must not need TensorFlow does not."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kcars

PACKAGE = Path(kcars.__file__).parent
FLOORS = [
    [
        "errors",
        "csv_files",
        "files",
        "keys",
        "machine",
        "bounds",
        "limits",
        "plain_text",
        "unfinished",
        "untrusted",
        "workers",
        "telemetry",
        "wire",
        "schemas",
        "sealed",
        "onnx_file",
        "run_folder",
        "run_contents",
        "beside_scores",
    ],
    [
        "settings",
        "strategy",
        "search_space",
        "published",
        "metrics",
        "rare_classes",
        "schedules",
        "drawings",
        "growth",
        "rate_curve",
        "data.spelling",
        "data.index",
        "data.faults",
    ],
    [
        "data.photos",
        "data.matlab",
        "data.index_cache",
        "data.split",
        "intervals",
        "calibration",
        "retrieval",
        "curves",
        "baselines",
        "picks",
        "linear_metric",
        "adjusted_head",
    ],
    ["data.compcars", "data.own", "data.drawn"],
    ["data.folders", "data.surveillance", "data.synthetic"],
    ["data.manifest"],
    ["data.source", "answers"],
    ["answer_lines"],
    [
        "images.beyond_limit",
        "images.boxes",
        "images.jpeg_damage",
        "images.jpeg_header",
        "images.png_header",
        "images.formats",
        "images.room",
        "images.decode",
        "images.video",
        "images.augment",
        "images.lean_transforms",
        "images.rand_augment",
        "images.mix",
        "images.examine",
        "images.store",
        "images.thumbnail",
        "images.heat",
        "images.pixels",
        "saved_model",
        "stream",
        "embed",
        "grad_cam",
        "deletion",
        "models",
        "batch_losses",
        "losses",
        "balanced",
        "optimizer",
        "average",
        "fine_tune",
        "tf_data",
        "batches",
        "photos_in",
        "photo_input",
    ],
    ["tasks", "runtime"],
    [
        "run",
        "callbacks",
        "history",
        "keep_best",
        "state",
        "interrupt",
        "tensorboard",
        "pictures",
        "cost",
        "data.check",
        "data.sample",
        "data.stats",
    ],
    ["restore", "learned", "projector", "card", "shown_maps"],
    ["initial_weights"],
    ["resume", "save_state"],
    ["learn"],
    ["train", "evaluate", "table", "listing", "predict", "explain"],
    ["elsewhere", "report", "export", "gallery", "rate_test", "search_record", "search"],
    ["reproduce", "demo"],
    ["cli"],
]
WITHOUT_TENSORFLOW = ["cli", "explain", "grad_cam", "shown_maps", "strategy", "metrics", "intervals", "baselines", "stream", "table", "run", "resume", "state", "data.compcars", "rate_curve", "rate_test", "search",
                      "data.synthetic", "images.store", "images.augment", "tasks.classify", "tasks.verify", "report.figures", "report.table_files", "gallery.ingest", "gallery.naming", "gallery.clusters", "demo.answers", "demo.shown", "demo.examples"]  # fmt: skip


def floor_of(module: str) -> int | None:
    for number, modules in enumerate(FLOORS):
        if any(module == name or module.startswith((name + ".", name + "_")) for name in modules):
            return number
    return None


def imports(file: Path):
    """Every kcars module that a file imports at its top level or within a function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kcars"):
            base = node.module.removeprefix("kcars").lstrip(".")
            for alias in node.names:
                below = ".".join(filter(None, [base, alias.name]))
                yield below if (PACKAGE / (below.replace(".", "/") + ".py")).is_file() else base
        elif isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("kcars.") for alias in node.names if alias.name.startswith("kcars."))


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_downwards(file):
    module = ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    if module == "__init__":
        return
    own = floor_of(module)
    package_doc = file.name == "__init__.py"
    assert own is not None or package_doc, f"{module} stands on no floor: add it to FLOORS and to the README's picture"
    for used in imports(file):
        if used and floor_of(used) is not None and own is not None:
            assert floor_of(used) <= own, f"{module} imports {used}, which stands above it"


def test_light_modules_bring_no_tensorflow():
    names = ", ".join(f"kcars.{module}" for module in WITHOUT_TENSORFLOW)
    heavy = ("tensorflow", "keras", "torch", "faiss")
    program = f"import sys, {names}; print(sorted(m for m in {heavy} if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
