"""Answers as HTML: what they tell, and that no name breaks out of it."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from support.compcars_tree import write_photo

from kcars.demo import shown
from kcars.demo.answers import Compared, Found, Named
from kcars.gallery.photos import Kept
from kcars.gallery.search import Match, SearchResult
from kcars.inference.explain import HeatMap
from kcars.inference.predictions import Comparison, Prediction

MODEL = SimpleNamespace(card={"decision": {"threshold": -1.0}, "target": "model"}, no_maps="")
NO_MAPS = SimpleNamespace(card=MODEL.card, no_maps="No map.")
SEEN = np.full((20, 30, 3), 128, np.uint8)
HOT = HeatMap("car.jpg", np.array([[1, 0], [0, 0]], np.float32), (0, 0, 30, 20), SEEN)
COLD = HeatMap("car.jpg", np.zeros((2, 2), np.float32), (0, 0, 30, 20), SEEN)


def text(html):
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def prediction(*names):
    return Prediction("car.jpg", names, (("Fiat", 0.9),), names[0][0])


def test_names_are_told_with_bars_as_long_as_they_are_likely():
    html = shown.named(Named(prediction(("Fiat 127", 0.75), ("Fiat 500", 0.004)), HOT), MODEL)
    assert "Fiat 127 75 % confidence" in text(html)
    assert re.findall(r"width: ([\d.]+)%", html) == ["75.0", "0.4"]
    assert "<\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}%" in html.replace("&lt;", "<")
    assert "By make: Fiat 90 %" in text(html)
    assert html.count("data:image/jpeg;base64,") == 1 and "strongest region: upper left" in html


def test_without_maps_a_line_says_why():
    html = shown.named(Named(prediction(("Fiat 127", 0.75))), NO_MAPS)
    assert "<img" not in html and "No map." in html
    assert "no supporting region" in shown.named(Named(prediction(("Fiat 127", 0.75)), COLD), MODEL)


def test_names_are_no_markup():
    html = shown.named(Named(prediction(("<b>&{{x}}${y}", 0.75))), MODEL)
    assert "<b>" not in html and "&lt;b&gt;&amp;{{x}}${y}" in html


@pytest.mark.parametrize(("distance", "told"), [(0.5, "Same model"), (3.0, "Different models")])
def test_a_comparison_stands_on_its_ruler(distance, told):
    found = Comparison("a", "b", distance, 0.6, distance < 1, "")
    html = shown.compared(Compared(found, (HOT, COLD)), MODEL)
    assert told in text(html) and f"Distance {distance:.3f} Threshold 1.000" in text(html)
    (threshold,), (mark,) = re.findall(r"width: ([\d.]+)%", html), re.findall(r"left: ([\d.]+)%", html)
    assert float(mark) <= 100 and (float(mark) < float(threshold)) == (distance < 1)
    assert html.count("data:image/jpeg") == 2 and "First photo" in html


def test_found_photos_are_cut_to_their_boxes_and_a_lost_one_is_told(tmp_path):
    write_photo(tmp_path / "a.jpg")
    kept = [Kept(str(tmp_path / "a.jpg"), "", "Fiat", "127", (0, 0, 30, 20)), Kept(str(tmp_path / "gone.jpg"), "")]
    matches = (Match(kept[0], "Fiat 127", 0.5, 0.9), Match(kept[1], "", 1.5, 0.2))
    html = shown.found(Found(SearchResult("car.jpg", None, matches)), MODEL)
    assert html.count("data:image/jpeg") == 1 and "The file of this photo is missing" in html
    assert "Fiat 127 90 % same model distance 0.500" in text(html)
    assert "no name 20 % same model distance 1.500, beyond the threshold" in text(html)


def test_the_nearest_name_leads_and_unknown_is_told():
    result = SearchResult("car.jpg", None, ())
    named = shown.found(Found(result, Prediction("car.jpg", (("Fiat 127", 0.9),), (), "Fiat 127")), MODEL)
    assert text(named).startswith("Fiat 127 The nearest name; probability of the same model: 90 %")
    unknown = shown.found(Found(result, Prediction("car.jpg", (("Fiat 127", 0.1),), (), "unknown", known=False)), MODEL)
    assert text(unknown).startswith("Unknown The nearest name is Fiat 127, but its distance is too large")


@pytest.mark.parametrize(
    ("share", "told"), [(0, "0 %"), (0.001, "< 1 %"), (0.5, "50 %"), (0.999, "> 99 %"), (1, "100 %")]
)
def test_shares_are_rounded_but_not_to_none_or_all(share, told):
    assert shown.percent(share).replace("\N{NO-BREAK SPACE}", " ") == told
