"""The tool's shares at places one knows by heart, and on a tiny run."""

import subprocess
import sys

import numpy as np
import pytest
from support.paths import SHALLOW_PROGRAM, TOOLS


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import measure_enrolment

    return measure_enrolment


def on_a_line(*places):
    return np.array(places, float)[:, None]


def test_models_that_stand_apart_are_named_rightly_and_others_not(tool):
    labels = np.repeat([5, 7], 3)
    apart = tool.named_rightly(on_a_line(0, 1, 2, 50, 51, 52), labels, 1, 4, 0, 1.0)
    assert apart[np.isfinite(apart)].tolist() == [1.0] * np.isfinite(apart).sum() and np.isfinite(apart).any()
    crossed = tool.named_rightly(on_a_line(0, 50, 100, 1, 51, 101), labels, 1, 30, 0, 1.0)
    assert 0 < np.nanmean(crossed) < 1


def test_it_agrees_with_naming_one_photo_after_the_other(tool):
    from kcars.gallery.names import Names

    random = np.random.default_rng(0)
    vectors, labels = random.normal(size=(24, 2)), np.repeat([3, 1, 2], 8)
    found = tool.named_rightly(vectors, labels, 3, 1, seed=9, scale=2.0)
    draw = tool.generator(9, "enrolment", 0)
    parts = [draw.permutation(np.flatnonzero(labels == label)) for label in (1, 2, 3)]
    enrolled = np.concatenate([part[:3] for part in parts])
    names = Names([str(label) for label in labels[enrolled]], vectors[enrolled], 2.0)
    for row in range(24):
        if row in enrolled:
            assert np.isnan(found[row])
        else:
            nearest = names.names[names.distances(vectors[row : row + 1]).argmin()]
            assert found[row] == (nearest == str(labels[row]))


def test_models_with_too_few_photos_are_left_out(tool):
    labels = np.repeat([1, 2, 3], [5, 5, 2])
    found = tool.named_rightly(on_a_line(*range(12)), labels, 2, 3, 0, 1.0)
    assert np.isnan(found[10:]).all() and np.isfinite(found[:10]).any()
    with pytest.raises(tool.KcarsError, match="fewer than two test models"):
        tool.named_rightly(on_a_line(*range(12)), labels, 5, 3, 0, 1.0)


def test_by_models_that_stand_apart_both_thresholds_tell_who_was_enrolled(tool):
    labels = np.repeat(np.arange(40), 4)
    vectors = np.stack([10.0 * labels + np.tile([0, 1, 2, 3], 40), np.zeros(160)], axis=1)
    found = tool.open_set_shares(vectors, 20.0, labels, 2, 3, 0, 4.0)
    assert {name: shares.tolist() for name, shares in found.items()}["for pairs"] == [1.0, 1.0]
    assert found["any"].tolist() == [1.0]
    assert found["of the index"].min() > 0.9
    assert "of the index" not in tool.open_set_shares(vectors, 20.0, labels, 1, 3, 0, 4.0)


def test_the_tool_tells_shares_with_intervals_and_rivals(small_runs):
    command = [
        sys.executable,
        SHALLOW_PROGRAM,
        str(TOOLS / "measure_enrolment.py"),
        str(small_runs["verify"]),
        "--photos",
        "1,3",
        "--draws",
        "2",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    named, unknown = done.stdout.split("\n\n6 of them enrolled")
    assert "for pairs" in unknown and "| of the index | none | 0." in unknown  # By single photos none is chosen.
    assert 0 <= float(unknown.split("| ROC-AUC |")[1].split("|")[1]) <= 1
    lines = named.splitlines()
    assert lines[0].startswith("8 unseen models")
    table = {line.split("|")[1].strip(): line.split("|")[2:4] for line in lines[2:]}
    assert set(table) == {"", "---", "embedding", "colour histogram", "raw pixels", "guessing"}
    assert [cell.strip() for cell in table["guessing"]] == ["0.125", "0.125"]
    for name in ("embedding", "raw pixels"):
        value, low, high = (float(part.strip("[], ")) for part in table[name][1].split())
        assert 0 <= low <= value <= high <= 1
