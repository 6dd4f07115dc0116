"""Names that would clear a screen, forge a line or turn the direction of writing: they are shown as text, and no more."""

import ast
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.compcars_tree import write_photo
from support.hostile_names import HOSTILE, assert_shown, run

import kcars
from kcars.cli import main
from kcars.core.plain_text import echo, echo_lines, in_figure, json_line, printable
from kcars.training.tensorboard import drawings

CLASSES = (f"make{HOSTILE}", "$\\frac$")


def hostile_cars(root: Path) -> Path:
    for make, colour in zip(CLASSES, ((200, 30, 10), (20, 40, 220)), strict=True):
        for number in range(4):
            plain = root / f"{make[:4]}{number}.jpg"
            write_photo(plain, tuple(min(255, one + 9 * number) for one in colour))
            (root / make / f"model{HOSTILE}").mkdir(parents=True, exist_ok=True)
            plain.rename(root / make / f"model{HOSTILE}" / f"{number}{HOSTILE}.jpg")
    return root


def test_controls_are_shown_and_letters_stay():
    assert printable("a\x1b[2J\r\n\x07\x9b\u202e\udcff\u2028\U000e0041") == (
        "a\\x1b[2J\\r\\n\\x07\\x9b\\u202e\\xff\\u2028\\U000e0041"
    )
    letters = "Škoda Ćuk Лада 比亚迪 현대 سيارة می\u200cخواهم हिन्दी רכב e\u0301 👩\u200d👧 \\ $"
    assert printable(letters) == letters


def test_json_for_a_terminal_reads_back_the_same():
    value = {"name": HOSTILE + "\udcff\U000e0041\u2028é汉", "numbers": [1, 0.5, None]}
    line = json_line(value)
    assert json.loads(line) == value
    assert_shown(line)
    assert "é汉" in line


def test_a_line_stays_a_line_and_lines_stay_lines(capsys):
    echo(f"one {HOSTILE}")
    echo_lines(f"two\nthree \x1b {printable(HOSTILE)}")
    text = capsys.readouterr().out
    assert_shown(text)
    assert len(text.splitlines()) == 3


def test_what_is_wrong_is_told_in_a_line_of_bounded_length(tmp_path):
    """An index.json whose format was a text of megabytes filled the terminal with it."""
    (tmp_path / "index.json").write_text(json.dumps({"format": "\x1b" * 3_000_000}))
    result = CliRunner().invoke(main, ["index", "check", str(tmp_path)])
    assert result.exit_code == 2
    assert_shown(result.output)
    (line,) = result.output.splitlines()
    assert line.startswith("kcars: ")
    assert line.endswith("this kcars reads 1")
    assert len(line) < 100_000


def test_nothing_prints_but_the_one_module():
    """`print`, `click.echo` and the streams are used nowhere else: what is printed there would be raw."""
    allowed = {"plain_text.py", "matlab.py", "reload.py"}  # The latter two are programs of their own, read by kcars.
    found = []
    for file in Path(kcars.__file__).parent.rglob("*.py"):
        if file.name in allowed:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"):
                    found.append(f"{file.name}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize("command", [["data", "stats"], ["data", "check"], ["data", "sample"], ["train"]])
def test_commands_on_a_hostile_dataset(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    cars = hostile_cars(tmp_path / f"cars{HOSTILE}")
    out = tmp_path / f"out{HOSTILE}"
    more = {"sample": [out], "train": ["--task", "classify", "--out", cars]}.get(command[-1], ["--out", out])
    code, out, err = run(*command, "--data", cars, *more)
    assert code == (2 if command == ["train"] else code)  # Its --out holds something.
    assert_shown(out)
    assert_shown(err)
    assert "\\u202e" in out


def test_hostile_photos_beside_the_class_folders(tmp_path):
    cars = hostile_cars(tmp_path / "cars")
    write_photo(tmp_path / "0.jpg")
    (tmp_path / "0.jpg").rename(cars / f"0{HOSTILE}.jpg")
    code, out, err = run("data", "stats", "--data", cars)
    assert code == 0
    assert_shown(out + err)
    assert "1 photo is next to the class folders" in err


def test_a_hostile_photo_for_which_memory_is_short(tmp_path, monkeypatch):
    def short(*_):
        raise MemoryError(f"{tmp_path / HOSTILE}: memory is too short to decode it")

    monkeypatch.setattr("kcars.doctor.stats.pixel_statistics", short)
    code, out, err = run("data", "stats", "--pixels", "--data", hostile_cars(tmp_path / "cars"))
    assert code == 2
    assert_shown(out + err)
    assert "end other programs" in err


def test_a_mistake_in_a_hostile_dataset_is_one_line(tmp_path):
    cars = hostile_cars(tmp_path / "cars")
    write_photo(tmp_path / "0.jpg")
    (tmp_path / "0.jpg").rename(cars / CLASSES[0] / f"0{HOSTILE}.jpg")
    code, _, err = run("data", "stats", "--data", cars)
    assert code == 2
    assert_shown(err)
    assert len(err.splitlines()) == 1


def test_the_page_of_a_check_shows_them(tmp_path):
    cars = hostile_cars(tmp_path / "cars")
    (cars / CLASSES[0] / f"model{HOSTILE}" / f"none{HOSTILE}.jpg").write_bytes(b"no photo")
    run("data", "check", "--data", cars, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "findings.html").read_text(encoding="utf-8")
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\\u202e" in page
    assert f"none{HOSTILE}.jpg".encode() in (tmp_path / "out" / "findings.csv").read_bytes()


def test_a_manifest_that_is_written_names_the_same_files(tmp_path):
    cars = hostile_cars(tmp_path / "cars")
    code, out, _ = run("data", "init", cars)
    assert code == 0
    assert_shown(out)
    from kcars.data.photo_files import walk
    from kcars.data.readers import manifest

    assert sorted(photo.path for photo in manifest.described(cars / "photos.csv")) == walk(cars)


def test_answers_about_hostile_names(small_runs, tmp_path):
    cars = hostile_cars(tmp_path / "cars")
    (cars / f"none{HOSTILE}.jpg").write_bytes(b"no photo")
    model = ["--model", small_runs["classify"]]
    for kind in ((), ("--json",)):
        code, out, err = run("predict", cars, *model, *kind)
        assert code == 0
        assert_shown(out)
        assert_shown(err)
    assert HOSTILE in json.loads(out.splitlines()[0])["photo"]
    one = next(path for path in cars.rglob("0*.jpg"))
    for command in (
        ["compare", one, one, "--model", small_runs["verify"]],
        ["explain", small_runs["classify"], one, "--json"],
        ["explain", small_runs["classify"], one, "--out", tmp_path / "why.png"],
        ["index", "build", cars, "--model", small_runs["verify"], "--out", tmp_path / "cars.index"],
        ["index", "search", tmp_path / "cars.index", one],
        ["index", "search", tmp_path / "cars.index", one, "--json"],
        ["predict", one, "--index", tmp_path / "cars.index"],
        ["predict", one, "--boxes", cars / f"none{HOSTILE}.csv"],
        ["evaluate", tmp_path / f"none{HOSTILE}"],
        ["predict", one, "--detector", cars / f"none{HOSTILE}.onnx"],
    ):
        _, out, err = run(*command)
        assert_shown(out)
        assert_shown(err)


def test_a_wrong_option_is_told_without_its_controls():
    for arguments in ([HOSTILE], ["train", "--task", HOSTILE], [f"--{HOSTILE}"]):
        code, out, err = run(*arguments)
        assert code == 2
        assert_shown(out + err)


def test_dollar_signs_are_no_mathematics():
    names = ["$\\frac$", f"a{HOSTILE}", "5$ to 6$", "x" * 60 + "$\\nothing{$"]
    figure = drawings.confusion_matrix(np.eye(4, dtype=int), names, None, "title")
    assert drawings.pixels(figure).shape[2] == 3
    photos = np.zeros((4, 8, 8, 3), np.uint8)
    assert drawings.pixels(drawings.photo_grid(photos, names, 2, "$\\frac$")).any()
    assert in_figure("5$ to 6$") == "5\\$ to 6\\$"


# ---- names that are not UTF-8 ----


@pytest.fixture
def latin_cars(tmp_path):
    """Class folders in which one photo's name is in Latin-1."""
    for number in range(3):
        for model in ("a", "b"):
            write_photo(tmp_path / "cars" / model / f"{number}.jpg", (10 * number, 200, 40))
    os.rename(os.fsencode(tmp_path / "cars/a/0.jpg"), os.fsencode(tmp_path) + b"/cars/a/caf\xe9.jpg")
    return tmp_path / "cars"


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--task", "verify", "--out", "run"],
        ["data", "check", "--out", "run"],
        ["data", "stats", "--out", "run"],
        ["data", "sample", "run"],
    ],
)
def test_a_dataset_with_a_name_that_is_not_utf_8_is_refused_before_anything_is_written(
    latin_cars, tmp_path, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*command, "--data", latin_cars)
    assert code == 2
    assert "caf\\xe9.jpg: this name is not UTF-8" in err
    assert_shown(out + err)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "runs").exists()


def test_a_manifest_of_it_is_refused_too(latin_cars):
    code, _, err = run("data", "init", latin_cars)
    assert code == 2
    assert "caf\\xe9.jpg: this name is not UTF-8" in err
    assert not (latin_cars / "photos.csv").exists()


def test_a_dataset_folder_of_such_a_name_is_refused(latin_cars, tmp_path):
    place = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    latin_cars.rename(place)
    code, _, err = run("data", "stats", "--data", place)
    assert code == 2
    assert "caf\\xe9: this name is not UTF-8" in err


def test_a_model_answers_about_photos_of_such_names(small_runs, latin_cars, tmp_path):
    code, out, err = run("predict", latin_cars / "a", "--model", small_runs["classify"], "--json")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert_shown(out + err)
    code, out, err = run(
        "index", "build", latin_cars, "--model", small_runs["verify"], "--out", tmp_path / "cars.index"
    )
    assert code == 0
    assert_shown(out + err)


def test_a_folder_of_such_a_name_can_be_written_to(tmp_path):
    """What names it, such as run.json, holds an escape that JSON reads back."""
    from kcars.core.files import write_json

    place = os.fsdecode(b"caf\xe9")
    write_json(tmp_path / "a.json", {"place": place})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"place": place}
