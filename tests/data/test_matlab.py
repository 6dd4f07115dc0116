import numpy as np
import pytest
from scipy.io import savemat

from kcars.core.errors import KcarsError
from kcars.data import matlab


def saved(tmp_path, **variables):
    savemat(tmp_path / "a.mat", variables)
    return tmp_path / "a.mat"


def test_cells_are_text_and_empty_ones_empty(tmp_path):
    cells = np.array([["Audi", ""], [" A4 ", 7]], object)
    assert matlab.read_cells(saved(tmp_path, names=cells), "names") == [["Audi", ""], ["A4", "7"]]


def test_a_second_reading_starts_no_process(tmp_path, monkeypatch):
    file = saved(tmp_path, names=np.array([["once"]], object))
    matlab.read_cells(file, "names")
    monkeypatch.setattr(matlab, "_in_own_process", None)
    assert matlab.read_cells(file, "names") == [["once"]]


def test_what_is_none_is_one_line(tmp_path):
    file = saved(tmp_path, numbers=np.eye(2))
    with pytest.raises(KcarsError, match="it contains no variable names"):
        matlab.read_cells(file, "names")
    with pytest.raises(KcarsError, match="numbers is not a cell array"):
        matlab.read_cells(file, "numbers")
    file.write_bytes(b"no matrix")
    with pytest.raises(KcarsError, match=r"a\.mat: cannot be read as a MATLAB file"):
        matlab.read_cells(file, "names")
    with pytest.raises(KcarsError, match="cannot be read"):
        matlab.read_cells(tmp_path / "none.mat", "names")
    file.write_bytes(b"")
    with file.open("r+b") as handle:
        handle.truncate(64 * 2**20 + 1)
    with pytest.raises(KcarsError, match="at most 67,108,864 are read"):
        matlab.read_cells(file, "names")
