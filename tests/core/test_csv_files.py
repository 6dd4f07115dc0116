"""Names of any kind in the tables that kcars writes: they come back by kcars, by csv and by pandas, and no cell is a formula."""

import csv
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.compcars_tree import write_photo

from kcars.core.csv_files import csv_row, csv_text, neutral, restored
from kcars.data.faults import Fault
from kcars.data.readers import manifest
from kcars.doctor.check import write_csv
from kcars.gallery.photos import Kept, read_photos, write_photos
from kcars.inference.photo_source import read_boxes
from kcars.inference.predictions import Prediction
from kcars.inference.writers import writer
from kcars.schemas.tables import columns_in

EXAMPLES = int(os.environ.get("KCARS_EXAMPLES", "60"))
SIGNS = "=+-@\t\r\n'\",; a1.é\u0301\u2028\x85\x0b\x1b汉"
NAMES = st.lists(
    st.one_of(
        st.text(st.sampled_from(SIGNS), min_size=1, max_size=8),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=6,
)
tried = settings(max_examples=EXAMPLES, deadline=None)
HARD = ["a\rb", "a\nb", "\r", "=1+1", "'=1", "-5", "-x", "@SUM(A1)", "+1 2", "\tx", "''+a", 'a,b"c', " x ", "NA"]


def with_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def with_pandas(text: str) -> list[list[str]]:
    """Head and rows; the csv module's defaults are those of pandas' parser too."""
    found = pandas.read_csv(io.BytesIO(text.encode()), keep_default_na=False, dtype=str)
    return [list(found.columns), *found.to_numpy().tolist()]


def is_formula(cell: str) -> bool:
    try:
        if math.isfinite(float(cell)):  # A number is none.
            return False
    except ValueError:
        pass
    return cell[:1] in ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize(
    ("cell", "formula"), [("-1.5", False), ("NAN", False), ("-nan", True), ("+inf", True), ("=1", True), ("a", False)]
)
def test_what_counts_as_a_formula_here(cell, formula):
    assert is_formula(cell) == formula


@tried
@example(HARD)
@given(NAMES)
def test_any_name_survives_every_reader(names):
    text = csv_text({"name": names, "number": [*range(len(names))]})
    assert columns_in(text, Path("names.csv"), "")["name"] == names
    for read in (with_csv, with_pandas):
        cells = [row[0] for row in read(text)[1:]]
        assert [restored(cell) for cell in cells] == names
        assert not any(map(is_formula, cells))


@tried
@example(HARD)
@given(NAMES)
def test_answers_as_csv_survive(names):
    show = writer("csv")
    told = [Prediction(name, ((name, 0.5),), (), name) for name in names]
    text = "\n".join(line for one in told for line in show(one)) + "\n"
    head, *rows = with_csv(text)
    assert with_pandas(text) == [head, *rows]
    for column in ("photo", "answer", "name"):
        assert [restored(row[head.index(column)]) for row in rows] == names
    assert not any(is_formula(cell) for row in rows for cell in row)


@tried
@example(HARD)
@given(NAMES)
def test_the_photos_of_an_index_survive(tmp_path_factory, names):
    file = tmp_path_factory.mktemp("index") / "photos-1.csv"
    photos = [Kept(f"/cars/{name}.jpg", "0" * 32, name, f"{name}\udce9", (0.0, 1.0, 2.5, 3.0)) for name in names]
    write_photos(file, photos)
    assert read_photos(file, len(photos)) == photos


@tried
@example(HARD)
@given(NAMES)
def test_findings_survive(tmp_path_factory, names):
    file = tmp_path_factory.mktemp("check") / "findings.csv"
    write_csv(file, [Fault("missing", name, name, name) for name in names])
    text = file.read_bytes().decode()
    for read in (with_csv, with_pandas):
        assert [[restored(row[place]) for place in (2, 3, 4)] for row in read(text)[1:]] == [
            [name] * 3 for name in names
        ]


@tried
@example(HARD)
@given(NAMES)
def test_a_manifest_reads_back_the_paths_and_names_that_kcars_writes(tmp_path_factory, names):
    file = tmp_path_factory.mktemp("cars") / manifest.PHOTOS
    paths = [f"{number}{name.replace('/', '-')}.jpg" for number, name in enumerate(names)]
    groups = [f"x{name}x" for name in names]
    columns = {"path": paths, "make": ["a"] * len(names), "group": groups}
    file.write_bytes(csv_text(columns).encode())
    found = manifest.described(file)
    assert [(one.path, one.group) for one in found] == list(zip(paths, groups, strict=True))


@pytest.mark.parametrize(
    ("cell", "written"), [("=1", "'=1"), ("'=1", "''=1"), ("'90s", "'90s"), ("-1.5e3", "-1.5e3"), (-1, -1), ("-", "'-")]
)
def test_what_is_neutralised(cell, written):
    assert neutral(cell) == written
    assert restored(str(written)) == str(cell)


def test_a_row_is_one_row():
    assert csv_row(["a\rb", "=x", 1, 0.5, None, ""]) == '"a\rb",\'=x,1,0.5,,'


ALL_LETTERS = "Škoda 比亚迪 😀 é"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_lines_for_programs_are_utf_8_and_those_for_people_are_escaped(encoding):
    program = (
        "from kcars.core import plain_text\n"
        "from kcars.core.csv_files import csv_row\n"
        "plain_text.prepare_streams()\n"
        f"name = {ascii(ALL_LETTERS)}\n"
        "plain_text.echo(name)\n"
        "plain_text.echo_exact(csv_row([name, '=1']))\n"
        "plain_text.echo_exact(plain_text.json_line({'name': name}))\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=True)
    people, row, line = done.stdout.splitlines()
    own = "utf-8" if encoding == "ascii" else encoding  # Click takes ASCII for a mistake.
    assert people.decode(own) == ALL_LETTERS.encode(own, "backslashreplace").decode(own)
    assert with_csv(row.decode("utf-8"))[0] == [ALL_LETTERS, "'=1"]
    assert json.loads(line.decode("utf-8")) == {"name": ALL_LETTERS}


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_lists_of_boxes_take_the_separators_of_spreadsheets(tmp_path, sign):
    lines = ["path,left,top,right,bottom", "'=a b.jpg,1,2,30,40", " c.jpg ,5,6,70,50", '"x\ry.jpg",1,2,3,4']
    (tmp_path / "boxes.csv").write_bytes("\r\n".join(lines).replace(",", sign).encode("utf-8-sig"))
    assert read_boxes(tmp_path / "boxes.csv") == {
        tmp_path / "=a b.jpg": [(1, 2, 30, 40)],
        tmp_path / "c.jpg": [(5, 6, 70, 50)],
        tmp_path / "x\ry.jpg": [(1, 2, 3, 4)],
    }


FORMULA = ("=HYPERLINK(1)", "+1-2", "@x", "-make")


def test_a_manifest_of_names_that_are_formulas_reads_back(tmp_path):
    for make in FORMULA:
        write_photo(tmp_path / make / "=model\r\nx" / "1.jpg")
    manifest.write(tmp_path)
    text = (tmp_path / manifest.PHOTOS).read_bytes().decode()
    assert not any(is_formula(cell) for row in with_csv(text) for cell in row)
    found = manifest.described(tmp_path / manifest.PHOTOS)
    assert sorted((one.make, one.model) for one in found) == sorted((make, "=model\r\nx") for make in FORMULA)
    assert all((tmp_path / one.path).is_file() for one in found)
