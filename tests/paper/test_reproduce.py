"""The paper's tables again: what is trained and what is not, what the three files say, what is suspect."""

import csv
import json
import re
import signal
import xml.etree.ElementTree as ElementTree

import pytest
from support.commands import kcars

from kcars.core.errors import Interrupted, KcarsError
from kcars.paper import reproduce, table_files, tables
from kcars.paper.published import published
from kcars.paper.suspects import ABOUT, WHOLE_ROW, columns, parse, suspects
from kcars.runs.run import Run
from kcars.training import fit

pytestmark = pytest.mark.usefixtures("lean")

CE, FOCAL = "Mk_SRes_CE_B256", "Mk_SRes_FO_B256"
CHANGES = ["data.size_px=32", "model.width=0.25", "train.batch=16", "evaluate.resamples=100"]
COMMAND = ["reproduce", "table-1", "--strategies", f"{CE},{FOCAL}", "--epochs", "1"]
COMMAND += [part for change in CHANGES for part in ("--set", change)]
RUNS = [f"{protocol}/{name}" for name in (CE, FOCAL) for protocol in ("honest", "paper")]


def read_rows(out):
    with (out / "table-1.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_run(folder):
    return (folder / "run.json").is_file()


@pytest.fixture(scope="module")
def made(lean, drawn, tmp_path_factory):
    """A table in three goes: the first is stopped while its second run trains, then all, then once more."""
    out = tmp_path_factory.mktemp("table") / "out"
    command = [*COMMAND, "--data", drawn, "--out", out]
    learned, calls = fit.learn, []

    def stopped(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise Interrupted(signal.SIGINT, "stopped, all saved")
        learned(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "learn", stopped)
        told = [kcars(*command, code=128 + signal.SIGINT)]
    begun = [name for name in RUNS if is_run(out / name)], len(read_rows(out))
    told.append(kcars(*command))
    weights = {name: (out / name / "best.weights.h5").stat().st_mtime_ns for name in RUNS}
    told.append(kcars(*command))
    assert weights == {name: (out / name / "best.weights.h5").stat().st_mtime_ns for name in RUNS}
    return out, told, begun


def test_a_stopped_table_goes_on_and_a_finished_one_trains_nothing(made):
    _, (stopped, whole, again), (begun, lines) = made
    assert f"stopped at {CE}, paper protocol; the same command continues" in stopped
    assert begun == RUNS[:2] and lines == 6
    assert f"{CE}, honest protocol (1 of 4): is done" in whole
    assert f"{CE}, paper protocol (2 of 4): is resumed" in whole
    assert whole.count(": trains") == 2
    assert again.count(": is done") == 4 and "trains" not in again


def test_every_strategy_has_three_lines(made):
    out, *_ = made
    found = read_rows(out)
    assert [(row["acronym"], row["source"]) for row in found] == [
        (name, source) for name in (CE, FOCAL) for source in ("ours, honest", "ours, paper protocol", "the paper")
    ]
    for row, folder in zip([row for row in found if row["run"]], RUNS, strict=True):
        scores = json.loads((out / folder / "scores.json").read_text())
        assert row["run"] == str(out / folder) and scores["protocol"] == folder.partition("/")[0]
        entry = scores["scores"]["test/macro_f1"]
        assert [row[name] for name in ("f1", "f1_low", "f1_high")] == [
            f"{entry[key]:.3f}" for key in ("value", "low", "high")
        ]
        cells = [row[name] for name in ("arch", "input_px", "batch", "epochs", "learning_rate")]
        assert cells == ["SRes", "32×32", "16", "1", "1e-3"]


def test_the_papers_lines_are_as_published(made):
    first, second = [row for row in read_rows(made[0]) if row["source"] == "the paper"]
    assert (first["loss"], second["loss"]) == ("CE", "Focal")
    names = ("arch", "params_m", "input_px", "batch", "epochs", "best_epoch", "learning_rate", "seconds_per_epoch")
    assert [first[name] for name in names] == ["SRes", "11.2", "224×224", "256", "45", "39", "1e-3", "52.0"]
    assert [first[name] for name in ("accuracy", "balanced_accuracy", "top5", "f1")] == [
        "0.856",
        "0.833",
        "0.817",
        "0.626",
    ]
    assert "identical figures" in second["suspect"] and "identical figures" not in first["suspect"]


def test_the_page_is_well_formed_and_marks_what_is_suspect(made):
    page = ElementTree.fromstring((made[0] / "table-1.html").read_text().removeprefix("<!DOCTYPE html>\n"))
    body = page.findall(".//tbody/tr")
    cells = ["".join(cell.itertext()) for cell in body[2]]
    assert cells[1] == "the paper" and cells[8] == "39b" and cells[-2:] == ["0.817a", "0.626a"]
    assert "".join(body[5][1].itertext()) == "the paperc"
    assert re.fullmatch(r"0\.\d{3}\[0\.\d{3}, 0\.\d{3}\]", "".join(body[0][-1].itertext()))
    assert "[" not in "".join(body[1].itertext())
    notes = ["".join(note.itertext()) for note in page.findall(".//p")]
    assert notes[2] == "c identical figures stand in Table I and Table II"
    caption = "".join(page.find(".//caption").itertext())
    facts = json.loads((made[0] / RUNS[0] / "run.json").read_text())
    assert facts["data"]["fingerprint"] in caption and facts["machine"]["processor"] in caption
    assert "Changed in all of our rows: train.epochs=1, data.size_px=32" in caption


def test_latex_is_balanced_and_escaped(made):
    text = (made[0] / "table-1.tex").read_text()
    opened, closed = re.findall(r"\\begin\{([a-z*]+)\}", text), re.findall(r"\\end\{([a-z*]+)\}", text)
    assert opened == closed[::-1] == ["table*", "tabular"]
    assert text.count("{") == text.count("}")
    outside = re.sub(r"\$[^$]*\$", "", text)
    assert not re.search(
        r"(?<!\\)[_%#^~]", re.sub(r"~(?=[a-z0-9])", "", outside).replace(r"\label{tab:kcars-table-1}", "")
    )
    rows = [line for line in text.splitlines() if re.search(r"\\\\( \\hline)?$", line)]
    assert len(rows) == 1 + 6 and {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {14}


@pytest.mark.parametrize(
    ("text", "shown"),
    [("50 % & a_b", r"50 \% \& a\_b"), (r"\~^{}#$", r"\textbackslash{}\textasciitilde{}\textasciicircum{}\{\}\#\$")],
)
def test_special_characters_of_latex(text, shown):
    assert table_files.plain(text) == shown


def test_a_run_of_a_table_is_that_of_kcars_train(made, drawn, tmp_path):
    settings = [
        part for change in (*CHANGES, "train.epochs=1", "evaluate.protocol=paper") for part in ("--set", change)
    ]
    kcars("train", "--strategy", FOCAL, "--data", drawn, "--out", tmp_path / "alone", *settings)
    one, other = (Run.open(folder).scores()["scores"] for folder in (tmp_path / "alone", made[0] / RUNS[3]))
    assert one == other


def test_a_run_that_lost_its_scores_is_scored_and_not_trained(made, drawn):
    out, *_ = made
    folder = out / RUNS[0]
    before = (folder / "scores.json").read_text(), (folder / "best.weights.h5").stat().st_mtime_ns
    (folder / "scores.json").unlink()
    assert "(1 of 4): is trained and now scored" in kcars(*COMMAND, "--data", drawn, "--out", out)
    assert before == ((folder / "scores.json").read_text(), (folder / "best.weights.h5").stat().st_mtime_ns)


def test_runs_of_other_settings_or_data_are_refused(made, drawn, tree):
    out, *_ = made
    told = kcars(*COMMAND, "--set", "train.seed=1", "--data", drawn, "--out", out, code=2)
    assert "was made with train.seed 0, but this table has 1" in told
    assert "trained on data" in kcars(*COMMAND, "--data", tree.root, "--out", out, code=2)


@pytest.mark.parametrize("name", ["honest", f"honest/{CE}"])
def test_a_link_in_place_of_runs_is_not_followed(drawn, tmp_path, name):
    (tmp_path / "other").mkdir()
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).symlink_to(tmp_path / "other")
    told = kcars(*COMMAND, "--data", drawn, "--out", tmp_path / "out", code=2)
    assert f"{tmp_path / 'out' / name}: is a link, which is not followed" in told
    assert not list((tmp_path / "other").iterdir())


def test_what_cannot_begin_is_named_and_passed_over(drawn, tmp_path):
    weights = tmp_path / "none.safetensors"
    command = ["reproduce", "table-3", "--strategies", "Vr_SRes18_CT_B128_SCR,Vr_SRes50_CT_B64", "--protocol", "honest"]
    told = kcars(*command, "--set", f"model.weights={weights}", "--data", drawn, "--out", tmp_path / "out", code=2)
    assert told.count("skipped: ") == 2 and f"{weights} does not exist" in told
    assert "table-3: 2 of 2 runs are missing" in told
    page = ElementTree.fromstring((tmp_path / "out/table-3.html").read_text().removeprefix("<!DOCTYPE html>\n"))
    assert len(page.findall(".//td[@class='why']")) == 2
    assert r"\multicolumn{15}{l}{\textit{model.weights:" in (tmp_path / "out/table-3.tex").read_text()


def test_unknown_strategies_and_protocols_are_refused(tmp_path):
    with pytest.raises(KcarsError, match="Vr_SRes50_CT_B64.*is not known; choose one of Mk_Inc_CE_B64"):
        reproduce.wanted("table-1", tmp_path, ["Vr_SRes50_CT_B64"])
    with pytest.raises(KcarsError, match="use --protocol"):
        reproduce.wanted("table-1", tmp_path, overrides=["evaluate.protocol=paper"])


def test_the_tables_have_the_papers_rows(tmp_path):
    sizes = {name: len(tables.rows_of(name)) for name in tables.NUMERALS}
    assert sizes == {"table-1": 8, "table-2": 8, "table-3": 4, "table-4": 6}
    assert len(reproduce.wanted("table-2", tmp_path)) == 16


@pytest.mark.parametrize("name", [name for name, row in published().items() if row.table])
def test_every_strategy_of_the_paper_has_suspect_figures(name):
    found = suspects(name)
    assert found and all("# " not in remark for remark in found)
    assert any("chosen on the test" in remark for remark in found)


def test_remarks_are_about_columns_that_the_tables_have():
    remarks = {remark for name, row in published().items() if row.table for remark in suspects(name)}
    for words, about in ABOUT.items():
        assert any(words in remark for remark in remarks)
        assert set(about) <= {*tables.HEADS, *tables.SCORE_HEADS["classify"]}
    assert columns("identical figures stand in Table I and Table II") == WHOLE_ROW


def test_remarks_end_where_the_header_ends():
    assert parse("# a\n# Suspect:\n#   one\n#   two\nabout: x\n#   three\n") == ["one", "two"]
    assert parse("# a\nabout: x\n") == []


@pytest.mark.parametrize(("value", "shown"), [(1e-3, "1e-3"), (5e-5, "5e-5"), (2.5e-4, "2.5e-4"), (1.0, "1e0")])
def test_rates_as_the_paper_writes_them(value, shown):
    assert tables.rate(value) == shown
