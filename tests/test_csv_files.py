"""Names of any kind in the tables that kcars writes: they come back by kcars, by csv and by pandas, and no cell is a formula."""

import csv
import io
import os
from pathlib import Path

import pandas
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kcars.answer_lines import writer
from kcars.answers import Prediction
from kcars.csv_files import csv_row, csv_text, neutral, restored
from kcars.data import manifest
from kcars.data.check import write_csv
from kcars.data.faults import Fault
from kcars.gallery.photos import Kept, read_photos, write_photos
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
        return float(cell) != float(cell)  # A number is none.
    except ValueError:
        return cell[:1] in ("=", "+", "-", "@", "\t", "\r")


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
