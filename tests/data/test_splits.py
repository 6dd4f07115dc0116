import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.data.photo_table import PhotoTable
from kcars.data.readers import compcars
from kcars.data.splits import draw_pairs, folds_by_make, held_out_models, stratified_share


def test_a_stratified_tenth_by_hand():
    labels = np.array([0] * 20 + [1] * 5 + [2] * 3 + [3])
    held = stratified_share(labels, 0.1, seed=1)
    assert np.bincount(labels[held], minlength=4).tolist() == [2, 1, 0, 0]
    assert (stratified_share(labels, 0.1, seed=1) == held).all()
    assert (stratified_share(labels, 0.1, seed=2) != held).any()


def test_held_out_models_come_as_two_a_make(drawn):
    dataset = compcars.read(drawn, "verify")
    held = held_out_models(dataset.table, dataset.train, 8, seed=0)
    table = dataset.table
    makes = [int(table.ids["make"][table.ids["model"] == model][0]) for model in held]
    assert len(held) == 8
    assert np.unique(makes, return_counts=True)[1].tolist() == [2, 2, 2, 2]


def test_two_makes_give_more_models_each_and_keep_one_to_train():
    model = np.repeat([1, 2, 3, 4, 5, 11, 12, 13, 14, 21], 3)
    table = PhotoTable(None, None, {"model": model, "make": model // 10}, None, None, None, None, {})
    rows = np.arange(len(model))
    held = held_out_models(table, rows, 8, seed=0)
    assert np.unique(held // 10, return_counts=True)[1].tolist() == [4, 3]
    assert len(held_out_models(table, rows, 4, seed=0)) == 4
    assert (held_out_models(table, rows, 8, seed=0) == held).all()


def test_too_few_models_are_refused(tree):
    dataset = compcars.read(tree.root, "verify")
    with pytest.raises(KcarsError, match="too few"):
        held_out_models(dataset.table, dataset.train, 8, seed=0)


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_pairs_are_what_their_difficulty_says(drawn, difficulty):
    dataset = compcars.read(drawn, "verify")
    table = dataset.table
    pairs = draw_pairs(table, dataset.train, difficulty, 200, seed=3)
    model, make, view = table.ids["model"], table.ids["make"], table.viewpoint
    assert pairs.same.sum() * 2 == len(pairs) > 100
    assert (pairs.same == (model[pairs.left] == model[pairs.right])).all()
    assert (pairs.left != pairs.right).all()
    assert len({frozenset(p) for p in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)}) == len(pairs)
    negative = pairs.same == 0
    one_make = make[pairs.left] == make[pairs.right]
    if difficulty == "easy":
        assert (view[pairs.left] == view[pairs.right]).all()
        assert not one_make[negative].any()
    if difficulty == "hard":
        assert one_make.all()
    again = draw_pairs(table, dataset.train, difficulty, 200, seed=3)
    assert (again.left == pairs.left).all()
    assert (draw_pairs(table, dataset.train, difficulty, 200, seed=4).left != pairs.left).any()


def test_folds_are_whole_makes_of_even_size():
    model = np.repeat([11, 12, 13, 21, 22, 31, 32, 41, 42, 43, 44, 51], 3)  # make 5 has one model: it only trains
    table = PhotoTable(None, None, {"model": model, "make": model // 10}, None, None, None, None, {})
    folds = folds_by_make(table, np.arange(len(model)), 4, seed=0)
    assert len(folds) == 2
    assert sorted(np.concatenate(folds)) == [11, 12, 13, 21, 22, 31, 32, 41, 42, 43, 44]
    assert not set(folds[0] // 10) & set(folds[1] // 10)
    assert sorted(len(set(fold // 10)) for fold in folds) == [2, 2]
    assert folds_by_make(table, np.flatnonzero(model < 30), 4, seed=0) == []
