"""Drawings: what stands on the axes, told by matplotlib's own objects, and that pixels come out."""

import numpy as np
import pytest

from kcars.training.tensorboard import drawings

RATES = np.linspace(0, 1, 101)


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_each_roc_curve_has_its_line_its_name_and_a_style_of_its_own():
    curves = {"perfect": (RATES, np.ones(101)), "chance level": (RATES, RATES), "worst": (RATES, np.zeros(101))}
    figure = drawings.roc_curves(curves, "title")
    axes = figure.axes[0]
    chance, *lines = axes.lines
    assert legend_of(figure) == ["chance", "perfect", "chance level", "worst"]
    assert axes.get_legend() is None, "a legend over the data hides it"
    for line, (_, true_positives) in zip(lines, curves.values(), strict=True):
        assert np.array_equal(line.get_ydata(), true_positives)
    assert len({line.get_color() for line in lines}) == len({str(line.get_linestyle()) for line in axes.lines}) == 3
    assert (axes.get_xlim(), axes.get_ylim(), axes.get_aspect()) == ((0, 1), (0, 1), 1)


def test_explained_photos_stand_beside_or_above_themselves_with_their_maps():
    photo, hot = np.zeros((40, 60, 3), np.uint8), np.full((40, 60, 3), 200, np.uint8)
    scale = np.zeros((1, 8, 3), np.uint8)
    alone = drawings.explained([("car.jpg", photo, hot)], scale, "Make 3: 80%", "What speaks for it")
    pair = drawings.explained([("a.jpg", photo, hot), ("b.jpg", photo, hot)], scale, "Same " * 30, "together")
    assert {"Make 3: 80%", "What speaks for it", "car.jpg"} <= {text.get_text() for text in alone.texts}
    places = [[axes.get_position() for axes in figure.axes] for figure in (alone, pair)]
    (one, other, bar), (left, right, left_hot, right_hot, _) = places
    assert one.y0 == other.y0 and one.x1 < other.x0 and bar.y1 < one.y0
    assert left.x0 == left_hot.x0 and left.y0 > left_hot.y1 and right.x0 == right_hot.x0
    for figure in (alone, pair):
        width, height = figure.get_size_inches() * figure.dpi
        figure.canvas.draw()
        for box in (text.get_window_extent() for text in figure.texts):
            assert min(box.x0, box.y0) >= 0 and box.x1 <= width and box.y1 <= height


def test_histograms_show_shares_of_each_kind():
    left, right = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    figure = drawings.distance_histograms(
        {"hard": np.stack([left, right, [3, 1], [0, 500]]), "easy": np.stack([left, right, [0, 0], [1, 1]])}, 1.25
    )
    hard, easy = figure.axes
    assert [patch.get_data().values.tolist() for patch in hard.patches[1::2]] == [[0.75, 0.25], [0, 1]]
    assert [patch.get_data().values.tolist() for patch in easy.patches[1::2]] == [[0, 0], [0.5, 0.5]]
    assert hard.lines[0].get_xdata()[0] == 1.25
    assert legend_of(figure) == ["same pairs", "different pairs", "threshold"]


def test_few_classes_tell_their_shares_and_a_class_without_photos_none():
    figure = drawings.confusion_matrix(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 2]]), ["a", "b", "c"])
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.75", "0.25", "1.00"]
    assert np.isnan(axes.images[0].get_array().filled(np.nan)[1]).all()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]


def test_many_classes_are_named_by_their_groups_and_the_confusions_told_in_words():
    confusion = 9 * np.eye(431, dtype=int)
    confusion[7, 8], confusion[200, 3] = 5, 2
    names = [f"Model {number}" for number in range(431)]
    figure = drawings.confusion_matrix(confusion, names, ["First"] * 100 + ["Second"] * 331)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["First", "Second"]
    assert axes.get_yticks().tolist() == [49.5, 265]
    told = axes.texts[0].get_text()
    assert told.index("5 of 14  Model 7\n") < told.index("2 of 11  Model 200\n")
    assert "Model 8" in told


@pytest.mark.parametrize("classes", [1, 2, 17, 81, 431])
def test_any_number_of_classes_can_be_drawn(classes):
    picture = drawings.pixels(drawings.confusion_matrix(np.eye(classes, dtype=int), ["name"] * classes))
    assert picture.dtype == np.uint8
    assert max(picture.shape) < 1600


def test_where_there_is_no_photo_every_row_is_empty_and_no_confusion_is_told():
    figure = drawings.confusion_matrix(np.zeros((20, 20), int), [f"Model {number}" for number in range(20)])
    axes, picture = figure.axes[0], drawings.pixels(figure)
    assert axes.images[0].get_array().mask.all()
    assert [text.get_text() for text in axes.texts] == ["Most common confusions\n\nnone"]
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1  # Its axes are drawn.


def test_a_grid_shows_every_photo_with_its_caption():
    photos = np.zeros((3, 8, 16, 3), np.uint8)
    photos[1] = (200, 30, 40)
    figure = drawings.photo_grid(photos, ["one", "two", "three"], columns=2)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["one", "two", "three"]
    assert (drawings.pixels(figure) == (200, 30, 40)).all(axis=-1).mean() > 0.1


def test_equal_numbers_give_equal_pixels():
    once, again = (drawings.pixels(drawings.roc_curves({"a": (RATES, RATES**0.5)})) for _ in range(2))
    assert np.array_equal(once, again)
