"""A score is one file: what it registers is computed, written, shown and explained, with no other edit."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support import one_file
from support.commands import kcars, small
from support.paths import ROOT

from kcars.core.errors import KcarsError
from kcars.metrics import bootstrap, scores
from kcars.metrics.catalogue import SCORES, Score, columns, head, search_columns, those
from kcars.metrics.retrieval import retrieval_scores

EARLIER = ROOT / "tests/fixtures/earlier"
ONE_FILE = '''
"""Recall of the class that is recognised least."""

import numpy as np

from kcars.metrics.catalogue import SCORES, Score


def worst(photos):
    return np.where(np.isnan(photos.recall), np.inf, photos.recall).min(-1)


SCORE = SCORES.register(
    Score("worst_recall", "recall of the class that is recognised least", head="worst recall", photos=worst)
)
'''


@pytest.fixture
def worst_recall(tmp_path_factory):
    with one_file.registered(SCORES, "worst_recall", ONE_FILE, tmp_path_factory.mktemp("package")) as score:
        yield score


@pytest.fixture
def registered():
    """registered(score): it is known for the time of a test."""
    added = []

    def register(score):
        len(SCORES)
        added.append(SCORES.register(score))

    yield register
    for score in added:
        SCORES.forget(score.name)


def test_it_has_a_column_a_value_and_an_interval(worst_recall):
    assert columns("classify")[-1] == "worst_recall" and "worst_recall" not in columns("verify")
    assert columns("classify")[0] == "balanced_accuracy" and head("worst_recall") == "worst recall"
    logits, labels = np.eye(3)[[0, 0, 1, 0, 2, 2]], np.array([0, 0, 1, 1, 2, 2])
    assert scores.classification_scores(logits, labels, 3)["worst_recall"] == 0.5
    low, high = bootstrap.photo_intervals(logits, labels, 3, 100)["worst_recall"]
    assert 0 <= low < 0.5 < high <= 1


def test_scores_of_pairs_and_of_searches_are_registered_alike(registered):
    registered(Score("hits", "weight of the same pairs accepted", pairs=lambda pairs: pairs.accepted[1][..., -1]))
    registered(Score("first", "", search=lambda hits, others: hits[:, 6].astype(float), depth=7))
    assert columns("verify")[-1] == "hits" and search_columns()[-1] == "first"
    assert scores.pair_scores([1, 1, 0], [3.0, 2.0, 1.0], 1.5)["hits"] == 2
    assert "hits" in bootstrap.pair_intervals([1, 1, 0], [3.0, 2.0, 1.0], ([1, 2, 3], [2, 3, 1]), 1.5, 10)
    places = np.r_[0.0, 10 ** np.arange(7.0)][
        :, None
    ]  # The first and the last: each is the seventh nearest of the other.
    assert retrieval_scores(places, [1, 2, 3, 4, 5, 6, 7, 1])["first"] == 1


def test_a_score_may_have_no_interval_and_no_column(registered):
    registered(Score("photos", "", photos=lambda photos: photos.photos.sum(), interval=False, in_tables=False))
    logits, labels = np.eye(3), np.arange(3)
    assert scores.classification_scores(logits, labels, 3)["photos"] == 3
    assert "photos" not in bootstrap.photo_intervals(logits, labels, 3, 10) and "photos" not in columns("classify")


def test_those_of_kcars_stand_in_their_order():
    assert scores.photo_keys() == ("accuracy", "balanced_accuracy", "top5", "macro_f1")
    assert columns("classify") == ["balanced_accuracy", "accuracy", "top5", "macro_f1"]
    more = ["f1", "precision", "recall", "eer", "tar_at_far_1e-2", "tar_at_far_1e-3"]
    assert columns("verify") == ["roc_auc", "balanced_accuracy", "accuracy", *more]
    assert search_columns() == ["recall@1", "recall@5", "map@R"]
    assert those("probabilities") == ["nll", "nll_change", "calibration_error", "calibration_error_change"]
    assert all(score.explained for score in SCORES.values())
    with pytest.raises(KcarsError, match="score accuracy: is registered by .* and by .*; rename one"):
        SCORES.register(Score("accuracy", ""))


def test_a_run_that_was_scored_without_it_is_reported(worst_recall, tmp_path):
    run = shutil.copytree(EARLIER / "classify", tmp_path / "run")
    lines = kcars("table", run).splitlines()
    assert "worst recall" in lines[2] and lines[4].split()[-1] == "-"
    kcars("report", run, "--out", tmp_path / "page.html")
    assert '<td class="number">-<small></small></td>' in (tmp_path / "page.html").read_text()


@pytest.mark.slow
def test_it_is_written_shown_and_explained(worst_recall, drawn, tmp_path, lean):
    run, page = tmp_path / "run", tmp_path / "page.html"
    told = kcars("train", "--task", "classify", "--data", drawn, "--out", run, *small("train.epochs=1"))
    entry = json.loads((run / "scores.json").read_text())["scores"]["test/worst_recall"]
    assert 0 <= entry["low"] <= entry["value"] <= entry["high"] <= 1
    assert "worst recall" in told and f"{entry['value']:.3f}" in told
    assert "worst recall" in kcars("table", run)
    kcars("report", run, "--out", page)
    assert '<th scope="col" class="number">worst recall</th>' in page.read_text()
    assert "recall of the class that is recognised least" in page.read_text()
    SCORES.forget("worst_recall")  # A kcars that does not know it reads the run all the same.
    assert "worst recall" not in kcars("table", run)
    kcars("report", run, "--out", page)
    assert "worst recall" not in page.read_text()
    SCORES.register(worst_recall)


def test_scores_are_computed_by_numpy_alone():
    program = (
        "import sys, kcars.metrics.bootstrap, kcars.metrics.retrieval, kcars.metrics.catalogue as found; len(found.SCORES);"
        "print([name for name in ('pydantic', 'scipy', 'pandas', 'keras') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert out.strip() == "[]"
