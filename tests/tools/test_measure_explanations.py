"""`tools/measure_explanations.py` on small runs, and its table of areas one knows."""

import sys

import numpy as np
import pytest
from support.paths import TOOLS

from kcars.inference.deletion import REPLACED

sys.path.insert(0, str(TOOLS))
import measure_explanations


@pytest.mark.parametrize("task", ["classify", "verify"])
def test_maps_and_rivals_are_measured_on_the_runs_own_photos(small_runs, drawn, task):
    areas = measure_explanations.measured(small_runs[task], drawn, 3, 4, seed=0)
    assert set(areas) == set(REPLACED)
    for maps in areas.values():
        assert set(maps) == {"map", "last grid", "centre", "random"}
        for values in maps.values():
            assert values.shape == (3,) and (values > 0).all() and (values < 1).all()
        assert len({tuple(values) for values in maps.values()}) > 2
    again = measure_explanations.measured(small_runs[task], drawn, 3, 4, seed=0)
    np.testing.assert_array_equal(areas["mean"]["random"], again["mean"]["random"])


def test_the_table_tells_paired_differences():
    ours = np.array([0.1, 0.5, 0.3])
    maps = {"map": ours, "last grid": ours, "centre": ours + 0.25, "random": ours + [0.0, 0.1, 0.2]}
    head, _, row, count = measure_explanations.table({"blur": maps}, seed=0)
    assert head.startswith("| in their place | map | last grid | centre | random | less last grid |")
    assert row.startswith(
        "| blur | 0.300 | 0.300 | 0.550 | 0.400 | +0.000 [+0.000, +0.000] | -0.250 [-0.250, -0.250] |"
    )
    assert "-0.100 [-0.200, +0.000]" in row or "-0.100 [-0.200, -0.000]" in row
    assert count == "3 photos or pairs"
