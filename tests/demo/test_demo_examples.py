"""Drawn photos to try the page with."""

from PIL import Image

from kcars.demo.examples import HEIGHT_PX, SINGLE, WIDTH_PX, draw_examples


def test_they_show_what_they_say_and_are_the_same_each_time(tmp_path):
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        drawn.append(draw_examples(tmp_path / name, 0.05))
    one, two = drawn
    assert len({name for name, _ in one.single}) == SINGLE
    assert [told for told, _, _ in one.pairs] == ["one model twice", "two models of one make", "two makes"]
    for (name, file), (again, other) in zip(one.single, two.single, strict=True):
        assert name == again and file.read_bytes() == other.read_bytes()


def test_a_margin_cuts_the_car_out(tmp_path):
    sizes = []
    for name, margin in (("whole", None), ("tight", 0.0), ("wide", 0.1)):
        (tmp_path / name).mkdir()
        sizes.append(Image.open(draw_examples(tmp_path / name, margin).single[0][1]).size)
    whole, tight, wide = sizes
    assert whole == (WIDTH_PX, HEIGHT_PX)
    assert tight < wide and tight[1] < wide[1] < whole[1] and wide[0] <= whole[0]
