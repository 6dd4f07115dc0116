"""The paper's figures: what their axes hold, that nothing stands over data, and what is said of those left out."""

import csv
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image
from support.commands import kcars

from kcars.core.csv_files import csv_text
from kcars.core.errors import KcarsError
from kcars.core.files import write_json
from kcars.paper import figures
from kcars.paper.figures_pairs import _spread_epochs
from kcars.paper.figures_runs import LeftOut, names
from kcars.paper.figures_style import LOOKS, in_style
from kcars.report.read import Reported
from kcars.runs.run import FORMAT
from kcars.settings.strategy import load_strategy

SCORES = (
    "accuracy",
    "balanced_accuracy",
    "top5",
    "macro_f1",
    "roc_auc",
    "f1",
    "precision",
    "recall",
    "eer",
    "tar_at_far_1e-2",
    "tar_at_far_1e-3",
)


def write_run(
    folder, strategy, *changes, value=0.5, data="data1", best=2, seconds=10.0, parameters=11_000_000, epochs=6
):
    """A run folder as `kcars train` would leave it, of chosen figures: every score is `value` +- 0.1."""
    settings = load_strategy(strategy, changes)
    verify = settings.task == "verify"
    folder.mkdir(parents=True)
    counts = {"fingerprint": data, "source": "nowhere", "test_photos": 40, "test_photos_of_unknown_classes": 0}
    counts |= {"missing_photos": 0, "bad_photos": []}
    cost = {"size_px": 64, "multiply_adds": 10**9, "photos_per_epoch": 100, "epochs": epochs}
    facts = {
        "format": FORMAT,
        "strategy": strategy,
        "settings": settings.model_dump(),
        "data": counts,
        "finished": True,
    }
    facts |= {"versions": {}, "machine": {}, "planned": {"epochs": epochs, "steps_per_epoch": 3}}
    write_json(folder / "run.json", facts)
    splits = ["easy", "medium", "hard"] if verify else ["test"]
    entry = {"value": value, "low": value - 0.1, "high": value + 0.1}
    found = {key: facts[key] for key in ("strategy", "finished")} | {
        "protocol": settings.evaluate.protocol,
        "task": settings.task,
        "target": settings.target,
        "difficulty": settings.difficulty if verify else None,
        "deciding": settings.monitored_difficulty if verify else None,
        "data_fingerprint": data,
        "best_epoch": best,
        "decision": {"threshold": -0.7} if verify else {},
        "counts": counts,
        "cost": {**cost, "parameters": parameters, "seconds_per_epoch": seconds},
        "baselines": {},
        "scores": {f"{split}/{name}": entry for split in splits for name in SCORES},
    }  # fmt: skip
    write_json(folder / "scores.json", found)
    steps = range(1, epochs + 1)
    history = {"epoch": steps, "loss": [3 / step for step in steps], "val_loss": [4 / step for step in steps]}
    write_table(folder / "history.csv", history | {"val_easy_roc_auc": [0.5 + step / 100 for step in steps]})
    if verify:
        write_table(folder / "pairs.csv", pairs())
    else:
        columns = {"id": [1, 2, 3], "name": "abc", "training_photos": [5, 50, 10], "test_photos": [0, 20, 4]}
        write_table(folder / "classes.csv", columns | {"recall": [0.5] * 3, "precision": [0.5] * 3})
    return folder


def write_table(path, columns):
    path.write_text(csv_text(columns))


def pairs():
    """Per difficulty four pairs: same ones at 0.2 and 0.4, different ones at 0.3 and 1.0: ROC-AUC 3/4."""
    kinds = [name for name in ("easy", "medium", "hard") for _ in range(4)]
    photos = {side: [f"{side}{place}" for place in range(12)] for side in ("left", "right")}
    found = {"difficulty": kinds, **photos, "same": [1, 1, 0, 0] * 3, "distance": [0.2, 0.4, 0.3, 1.0] * 3}
    return found | {"decided_same": [1, 1, 1, 0] * 3}


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    """Both losses for makes and models, one of them from scratch, by the paper's names; ours without a paper's row."""
    tmp_path = tmp_path_factory.mktemp("classifiers")
    made = {
        "mk-ce": write_run(tmp_path / "mk-ce", "Mk_SRes_CE_B256", value=0.6, seconds=50),
        "mk-fo": write_run(tmp_path / "mk-fo", "Mk_SRes_FO_B256", value=0.5, seconds=52),
        "mk-res": write_run(tmp_path / "mk-res", "Mk_Res18_CE_B256", value=0.8, seconds=54),
        "md-ce": write_run(tmp_path / "md-ce", "Md_SRes_CE_B256", value=0.4, parameters=500_000),
        "ours": write_run(tmp_path / "ours", "scratch/classify", value=0.3),
    }
    return list(made.values())


@pytest.fixture
def verifiers(tmp_path):
    return written_verifiers(tmp_path)


def written_verifiers(tmp_path):
    name = "Vr_SRes18_CT_B128_SCR"
    return [write_run(tmp_path / "ct", name), write_run(tmp_path / "sf", name, "loss={name: sigmoid_focal}", value=0.6)]


def drawn(number, folders):
    """[(end of the file name, figure)] of a figure, laid out."""
    with in_style():
        found = list(figures.FIGURES[number][1]([Reported(folder) for folder in folders]))
        for _, figure in found:
            figure.draw_without_rendering()
    return found


def panels(figure):
    return [axes for part in figure.subfigs for axes in part.axes]


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text"))]


def legends(figure):
    found = [legend for part in figure.subfigs for legend in part.legends]
    return found + [axes.get_legend() for axes in panels(figure) if axes.get_legend()]


def series(panel, look):
    """Points drawn with a look's marker and colour, as (x, y)."""
    one = LOOKS[look]
    lines = [
        line
        for line in panel.lines
        if line.get_marker() == one.marker and to_hex(line.get_color()) == one.colour.lower()
    ]
    return [tuple(point) for line in lines for point in np.column_stack(line.get_data())]


def test_class_distribution_is_sorted_and_counts_both_splits(classifiers):
    ((end, figure),) = drawn(2, classifiers)
    make, model = panels(figure)
    assert end == "" and "makes" in make.get_title() and "models" in model.get_title()
    assert [bar.get_height() for bar in make.patches] == [50, 10, 5]
    assert [line.get_ydata().tolist() for line in make.lines] == [[20, 4]]  # A class without test photos has no point.
    assert (
        make.get_yscale() == "log"
        and "5 to 50 training photos" in make.get_title()
        and "ratio 10.0" in make.get_title()
    )


def test_accuracies_stand_with_intervals_and_the_papers_values(classifiers):
    ((_, figure),) = drawn(3, classifiers)
    make, model = panels(figure)
    assert [label.get_text() for label in make.get_yticklabels()] == ["mk-ce", "mk-fo", "mk-res"]
    assert [x for x, _ in series(make, 0)] == [0.6, 0.5, 0.8]  # accuracy of ours
    hollow = [line.get_xdata()[0] for line in make.lines if to_hex(line.get_markerfacecolor()) == "#ffffff"]
    assert hollow == [0.856, 0.833, 0.808, 0.795, 0.962, 0.93]
    bars = [segment for part in make.collections for segment in part.get_segments()]
    assert sorted({round(float(np.ptp(bar[:, 0])), 6) for bar in bars}) == [0.2]
    assert (
        len([line for line in model.lines if to_hex(line.get_markerfacecolor()) == "#ffffff"]) == 2
    )  # `ours` has none.


def test_losses_of_every_run_with_the_kept_epoch(classifiers):
    ((_, figure),) = drawn(4, classifiers)
    assert len(panels(figure)) == len(classifiers)
    first = panels(figure)[0]
    training, validation, line, star = first.lines
    assert training.get_ydata().tolist() == pytest.approx([3 / step for step in range(1, 7)])
    assert validation.get_ydata().tolist() == pytest.approx([4 / step for step in range(1, 7)])
    assert line.get_xdata() == [2, 2] and (star.get_xdata()[0], star.get_ydata()[0]) == (2, 2.0)


def test_only_backbones_with_both_losses_are_compared(classifiers, verifiers):
    ((_, figure),) = drawn(5, classifiers + verifiers)
    make, pair = panels(figure)
    assert [label.get_text() for label in make.get_xticklabels()] == ["simple_resnet\nfrom scratch"]
    assert [bar.get_height() for bar in make.patches] == [0.6, 0.5]
    assert (make.get_ylabel(), pair.get_ylabel()) == ("balanced accuracy", "ROC-AUC")
    assert [bar.get_height() for bar in pair.patches] == [0.5, 0.6]
    assert any("differ also in" in text for text in texts(figure)) is False
    hatches = [bar.get_hatch() for bar in make.patches]
    assert len(set(hatches)) == 2


def test_what_else_differs_is_told(tmp_path):
    runs = [write_run(tmp_path / "ce", "Mk_SResL_CE_B256"), write_run(tmp_path / "fo", "Mk_SResL_FO_B256")]
    ((_, figure),) = drawn(5, runs)
    assert any(
        text.startswith("one bar per run") and "differ also in train.epochs, train.learning_rate\n" in text
        for text in texts(figure)
    )


def test_a_changed_strategy_is_marked_beside_the_papers_values(tmp_path):
    folder = write_run(tmp_path / "run", "Mk_SRes_CE_B256")
    scores = json.loads((folder / "scores.json").read_text())
    write_json(folder / "scores.json", scores | {"strategy": "Mk_SRes_CE_B256 (changed: train.epochs)"})
    ((_, figure),) = drawn(3, [folder])
    assert panels(figure)[0].get_yticklabels()[0].get_text() == "run *"
    assert any("*: settings differ from the paper's" in text for text in texts(figure))


def test_another_protocol_or_dataset_is_not_compared(tmp_path):
    one = write_run(tmp_path / "a", "Mk_SRes_CE_B256")
    others = [
        write_run(tmp_path / "b", "Mk_SRes_FO_B256", "evaluate.protocol=paper"),
        write_run(tmp_path / "c", "Mk_SRes_FO_B256", data="data2"),
    ]
    with pytest.raises(LeftOut, match="same data and protocol"):
        drawn(5, [one, *others])
    ((_, figure),) = drawn(3, [one, *others])
    assert [panel.get_title() for panel in panels(figure)] == [
        "makes, honest protocol\ndata data1",
        "makes, paper protocol\ndata data1",
        "makes, honest protocol\ndata data2",
    ]


def test_cost_tells_size_by_area_and_start_by_colour_and_shape(classifiers, tmp_path):
    ((_, figure),) = drawn(6, classifiers)
    make, model = panels(figure)
    assert series(make, 0) == [(50, 0.6), (52, 0.5)] and series(make, 1) == [(54, 0.8)]
    sizes = {line.get_xdata()[0]: line.get_markersize() for line in model.lines if line.get_marker() == "o"}
    assert len(sizes) == 1 or len(set(sizes.values())) > 1
    told = [text.get_text() for text in legends(figure)[0].get_texts()]
    assert told == ["from scratch", "ImageNet weights", "0.5 M parameters", "20 M parameters"]
    assert {text.get_text() for text in make.texts} == {"mk-ce", "mk-fo", "mk-res"}


def test_labels_beside_points_lie_apart(tmp_path):
    near = [
        write_run(tmp_path / f"a-run-{k}", "Mk_SRes_CE_B256", value=0.5 + k / 100, seconds=10 + k / 10)
        for k in range(6)
    ]
    ((_, figure),) = drawn(6, near)
    (panel,) = panels(figure)
    boxes = [Text.get_window_extent(text) for text in panel.texts]
    overlaps = [a for k, a in enumerate(boxes) for b in boxes[k + 1 :] if a.overlaps(b)]
    assert len(boxes) == 6 and not overlaps


def test_roc_by_epoch_and_by_difficulty(verifiers):
    grid = np.arange(101) / 100
    rows = [[epoch, name, *(grid ** (1 / epoch))] for epoch in range(1, 7) for name in ("easy", "medium", "hard")]
    with (verifiers[0] / "roc.csv").open("w") as file:
        csv.writer(file).writerows([["epoch", "difficulty", *(f"{rate:.2f}" for rate in grid)], *rows])
    (end, with_epochs), (_, without) = drawn(7, verifiers)
    by_epoch, by_difficulty = panels(with_epochs)
    assert end == "-ct"
    labels = [line.get_label() for line in by_epoch.lines]
    assert labels[:-1] == [
        f"epoch {epoch}{' (checkpoint)' * (epoch == 2)}, ROC-AUC {0.5 + epoch / 100:.3f}" for epoch in (1, 2, 4, 6)
    ]
    assert by_epoch.lines[2].get_ydata() == pytest.approx(grid ** (1 / 4))
    assert [line.get_label() for line in by_difficulty.lines][:3] == [
        f"{name}, ROC-AUC 0.750" for name in ("easy", "medium", "hard")
    ]
    assert len(panels(without)) == 1 and any("the run has no roc.csv" in text for text in texts(without))


@pytest.mark.parametrize(("best", "wanted"), [(1, [1, 10, 20]), (20, [1, 10, 20]), (5, [1, 5, 12, 20])])
def test_epochs_of_the_roc_are_spread(best, wanted):
    assert _spread_epochs(list(range(1, 21)), best) == wanted


def test_a_damaged_roc_is_named(verifiers):
    (verifiers[0] / "roc.csv").write_text("epoch,difficulty,0.00\n1,easy,high\n")
    with pytest.raises(KcarsError, match=r"roc\.csv: is damaged"):
        drawn(7, verifiers)


def test_distances_are_shares_of_their_kind_beside_the_threshold(verifiers):
    (_, figure), _ = drawn(8, verifiers)
    easy, *_ = panels(figure)
    assert [panel.get_title() for panel in panels(figure)] == [
        f"{name} pairs (4)" for name in ("easy", "medium", "hard")
    ]
    heights = [patch.get_height() for patch in easy.patches if hasattr(patch, "get_height")]
    assert sum(heights) == pytest.approx(1) and max(heights) == pytest.approx(0.5)
    assert easy.lines[0].get_xdata() == [0.7, 0.7]


@pytest.fixture(scope="module")
def every_figure(classifiers, tmp_path_factory):
    """[(number, figure)] of all runs, drawn once: not to be changed by a test."""
    folders = classifiers + written_verifiers(tmp_path_factory.mktemp("verifiers"))
    return [(number, figure) for number in figures.FIGURES for _, figure in drawn(number, folders)]


def test_no_legend_stands_over_data(every_figure):
    assert {number for number, _ in every_figure} == set(figures.FIGURES)
    with in_style():
        for number, figure in every_figure:
            boxes = [axes.get_window_extent() for axes in panels(figure)]
            for legend in legends(figure):
                assert not any(legend.get_window_extent().overlaps(box) for box in boxes), number
            inside = figure.bbox.padded(1)
            labels = [part for axes in panels(figure) for part in (axes.title, axes.xaxis.label, axes.yaxis.label)]
            labels = [label for label in labels if label.get_text()]
            for text in [*labels, *legends(figure), *(text for part in figure.subfigs for text in part.texts)]:
                box = text.get_window_extent()
                assert inside.x0 <= box.x0 and box.x1 <= inside.x1, (number, text)
                assert inside.y0 <= box.y0 and box.y1 <= inside.y1, (number, text)


def test_every_figure_tells_protocol_and_data(every_figure):
    for number, figure in every_figure:
        assert any("protocol honest | data data1 | 40 test photos" in text for text in texts(figure)), number


def test_neighbouring_colours_differ_in_grey():
    grey = [np.dot([int(one.colour[k : k + 2], 16) for k in (1, 3, 5)], [0.299, 0.587, 0.114]) for one in LOOKS]
    assert all(abs(a - b) > 25 for a, b in zip(grey[:-1], grey[1:], strict=True))
    for part in ("marker", "line", "hatch"):
        assert len({getattr(one, part) for one in LOOKS}) == len(LOOKS)


def test_files_are_whole_and_equal_in_every_run(classifiers, verifiers, tmp_path):
    for out in ("one", "two"):
        told = kcars("figures", *classifiers[:2], verifiers[0], "--out", tmp_path / out)
        assert "left out" not in told
    first = sorted((tmp_path / "one").iterdir())
    assert {file.name.split("-")[1] for file in first} == {"2", "3", "4", "5", "6", "7", "8"} and len(first) == 3 * 7
    for file in first:
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
        if file.suffix == ".svg":
            assert ElementTree.parse(file).getroot().tag.endswith("svg")
        if file.suffix == ".png":
            assert Image.open(file).width > 800
        if file.suffix == ".pdf":
            assert file.read_bytes().startswith(b"%PDF")


def test_what_is_left_out_is_told(classifiers, tmp_path):
    told = kcars("figures", classifiers[0], "--out", tmp_path / "out")
    for number in (5, 7, 8):
        assert told.count(f"figure {number} is skipped: it ") == 1
    assert not list((tmp_path / "out").glob("figure-5*"))
    assert "is not a run folder" in kcars("figures", tmp_path, "--out", tmp_path / "out", code=2)


def test_scores_of_an_earlier_kcars_are_named(tmp_path):
    folder = write_run(tmp_path / "run", "Mk_SRes_CE_B256")
    scores = json.loads((folder / "scores.json").read_text())
    write_json(folder / "scores.json", {key: value for key, value in scores.items() if key != "cost"})
    told = kcars("figures", folder, "--out", tmp_path / "out", code=2)
    assert f"has no cost, because an earlier kcars wrote it; kcars evaluate {folder} writes it again" in told


def test_runs_of_one_name_are_told_apart(tmp_path):
    folders = [write_run(tmp_path / part / "run", "Mk_SRes_CE_B256") for part in ("honest", "paper")]
    other = write_run(tmp_path / "third", "Mk_SRes_CE_B256")
    assert list(names([Reported(folder) for folder in (*folders, other)]).values()) == [
        "honest/run",
        "paper/run",
        "third",
    ]


def test_the_epoch_that_is_kept_for_being_the_last_is_not_called_the_best(tmp_path):
    run = write_run(tmp_path / "last", "Mk_SRes_CE_B256", "train.keep=last", "train.early_stopping=null", best=6)
    best = write_run(tmp_path / "other", "Mk_SRes_CE_B256")
    for folders, labels in (([run], [6]), ([best, run], [2, 6])):
        ((_, figure),) = drawn(4, folders)
        wanted = [f"epoch (checkpoint: {kept}{', the last' * (kept == 6)})" for kept in labels]
        assert [panel.get_xlabel() for panel in panels(figure)] == wanted
        assert not any("best" in text for text in texts(figure))
    ((_, figure),) = drawn(4, [best])
    assert any("best" in text for text in texts(figure))
