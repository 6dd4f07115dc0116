"""No command looks up a host or reaches another machine."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

SUPPORT = ROOT / "tests/support"


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Of a process whose look-ups are noted: by a library where there is a C compiler, and by Python itself."""
    folder = tmp_path_factory.mktemp("noted")
    found = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "DO_NOT_TRACK")}
    found["LOOKED_UP"] = str(folder / "hosts.txt")
    if compiler := shutil.which("cc") or shutil.which("gcc"):
        library = folder / "looked_up.so"
        command = [compiler, "-shared", "-fPIC", "-O1", str(SUPPORT / "looked_up.c"), "-o", str(library), "-ldl"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            found["LD_PRELOAD"] = str(library)
    return found


def hosts(environment) -> list[str]:
    file = Path(environment["LOOKED_UP"])
    found = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return str(opened.getsockname()[1])


@pytest.mark.parametrize("how", ["python", "c"])
def test_a_look_up_would_be_noted(environment, how):
    if how == "c" and "LD_PRELOAD" not in environment:
        pytest.skip("no C compiler: what libraries in C and C++ look up cannot be noted")
    look_up = {
        "python": "from support.commands_noted import note; sys.addaudithook(note); socket.getaddrinfo('example.invalid', 80)",
        "c": "ctypes.CDLL(None).getaddrinfo(b'example.invalid', None, None, ctypes.byref(ctypes.c_void_p()))",
    }[how]
    program = f"import ctypes, socket, sys; sys.path.insert(0, {str(SUPPORT.parent)!r}); {look_up}"
    subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert "example.invalid" in hosts(environment)


def commands(runs, exports, drawn, folder: Path) -> list[list]:
    """Each command once, on small things; those that use a model by a run, by ONNX and by a SavedModel."""
    photos = sorted((drawn / "image").rglob("*.jpg"))[:6]
    cars, index, out = folder / "cars", folder / "index", folder / "out"
    for number, photo in enumerate(photos):
        (cars / f"car{number % 3}").mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, cars / f"car{number % 3}" / photo.name)
    out.mkdir()
    smallest = [
        f"--set={name}"
        for name in (
            "data.size_px=32",
            "model.width=0.0625",
            "train.epochs=1",
            "train.batch=16",
            "evaluate.resamples=100",
        )
    ]
    named, compared = runs["classify"], runs["verify"]
    return [
        ["train", "--strategy", "scratch/classify", "--data", drawn, "--out", folder / "trained", *smallest, "--set=evaluate.folds=0"],
        ["evaluate", named],
        ["report", named, compared, "--out", out / "report.html"],
        ["table", named, compared],
        ["predict", photos[0], "--model", named],
        ["predict", photos[0], "--model", exports["classify"] / "model.onnx"],
        ["predict", photos[0], "--model", exports["classify"] / "saved_model/1"],
        ["compare", photos[0], photos[1], "--model", exports["verify"]],
        ["explain", named, photos[0], "--out", out / "why.png"],
        ["export", named, "--out", out / "export", "--format", "onnx", "--photos", 4],
        ["index", "build", cars, "--model", exports["verify"], "--out", index],
        ["index", "add", index, photos[0]],
        ["index", "search", index, photos[0]],
        ["index", "enroll", index, "Fiat 127", photos[1]],
        ["index", "cluster", index, "--out", out / "clusters", "--sure", 0.5],
        ["predict", photos[0], "--index", index],
        ["data", "check", "--data", drawn, "--out", out / "check"],
        ["data", "stats", "--data", drawn],
        ["data", "init", cars],
        ["strategies"],
        ["strategies", "show", "scratch/verify"],
        ["tune", "--strategy", "scratch/classify", "--data", drawn, "--out", out / "tune", *smallest, "--steps", 20],
        ["demo", exports["classify"], exports["verify"], "--index", index, "--port", free_port()],
    ]  # fmt: skip


def test_no_command_looks_up_a_host(environment, small_runs, exports, drawn, tmp_path):
    runs = {task: shutil.copytree(run, tmp_path / task) for task, run in small_runs.items()}
    (tmp_path / "commands.json").write_text(json.dumps(commands(runs, exports, drawn, tmp_path), default=str))
    program = [
        sys.executable,
        str(SUPPORT / "commands_noted.py"),
        str(tmp_path / "commands.json"),
        str(tmp_path / "answers.json"),
    ]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False, timeout=560)
    assert done.returncode == 0, done.stderr[-2000:]
    failed = [
        (command, told)
        for command, code, told in json.loads((tmp_path / "answers.json").read_text())
        if code not in ((0, 130) if command[0] == "demo" else (0,))
    ]
    assert not failed
    assert hosts(environment) == []
