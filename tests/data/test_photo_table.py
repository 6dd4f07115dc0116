import numpy as np

from kcars.data.photo_table import Classes
from kcars.data.readers import compcars


def test_classes_are_sorted_ids_and_unknown_is_minus_one(tree):
    dataset = compcars.read(tree.root, "classify")
    classes = Classes.of(dataset.table, "model", dataset.train)
    assert classes.ids.tolist() == [5, 9, 20, 21]
    assert classes.names == ["Model 5", "Model 9", "Model 20", "Model 21"]
    assert classes.labels(np.array([21, 5, 30, 1, 99])).tolist() == [3, 0, -1, -1, -1]


def test_names_of_makes_are_full_names_already_and_match_another_datasets():
    makes = Classes("make", np.array([3, 7]), ["Audi", "BMW"])
    assert makes.full_names() == ["Audi", "BMW"]
    assert makes.matched(Classes("make", np.array([1, 2, 3]), ["bmw", "Kia", "AUDI"])).tolist() == [1, -1, 0]
