"""Names and boxes off the layouts that the readers know."""

import pytest
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.gallery.described import described, given, in_boxes


def facts(named):
    return [(one.photo.source.name, one.make, one.model) for one in named]


def test_compcars_gives_names_and_boxes_of_every_photo(tree):
    tree.photo(3, 5, 99)  # Stands in no list.
    for place in (tree.root, tree.root.parent, tree.root / "image"):
        found, unnamed = described(place, boxes=True)
        assert len(found) == 43 and not unnamed
        assert {(one.make, one.model) for one in found} == {
            (f"Make {make}", f"Model {model}") for model, make in tree.models.items()
        }
        assert {one.photo.box for one in found} == {(10.0, 5.0, 80.0, 55.0)}
        assert all(one.photo.source.is_file() for one in found)
    assert {one.photo.box for one in described(tree.root, boxes=False)[0]} == {None}


def test_class_folders_give_names(coloured_cars):
    found, unnamed = described(coloured_cars, boxes=True)
    assert facts(found)[:1] == [("0.png", "Audi", "A4")] and len(found) == 12 and not unnamed
    assert facts(described(coloured_cars / "Fiat", True)[0])[0] == ("0.png", "", "127")


def test_a_csv_gives_names_and_boxes(coloured_cars):
    lines = [
        "path,make,model,left,top,right,bottom",
        "Audi/A4/0.png,Audi,A4 Avant,1,2,30,40",
        "Fiat/127/0.png,Fiat,127,,,,",
    ]
    (coloured_cars / "photos.csv").write_text("\n".join(lines))
    found, _ = described(coloured_cars, boxes=True)
    assert facts(found) == [("0.png", "Audi", "A4 Avant"), ("0.png", "Fiat", "127")]
    assert [one.photo.box for one in found] == [(1.0, 2.0, 30.0, 40.0), None]


def test_other_layouts_give_photos_and_say_why_they_have_no_names(coloured_cars):
    write_photo(coloured_cars / "Fiat/127/2010/deep.jpg")
    found, unnamed = described(coloured_cars, boxes=True)
    assert len(found) == 13 and "deep.jpg" in unnamed
    assert {(one.make, one.model) for one in found} == {("", "")}
    _, told = given([coloured_cars], True, names=True)
    assert told[0].startswith(f"{coloured_cars}: gives no names: ")
    _, told = given([coloured_cars / "Audi/A4"], True, names=True)
    assert told == [f"{coloured_cars / 'Audi/A4'}: gives no names: it has no class folders"]


def test_a_photo_beside_class_folders_has_no_name_and_takes_none_away(coloured_cars, capsys):
    write_photo(coloured_cars / "loose.jpg")
    found, unnamed = described(coloured_cars, boxes=True)
    assert unnamed == "" and [one.photo.source.name for one in found if not one.model] == ["loose.jpg"]
    assert len(found) == 13 and "left out" not in capsys.readouterr().err


def test_files_have_no_names_and_folders_only_where_wanted(coloured_cars):
    photo = coloured_cars / "Audi/A4/0.png"
    found, told = given([photo, coloured_cars / "Fiat"], True, names=False)
    assert facts(found)[0] == ("0.png", "", "") and len(found) == 9 and not told
    assert {one.model for one in found} == {""}


def test_boxes_of_a_csv_take_the_place_of_those_of_the_layout(tree):
    (tree.root / "image/boxes.csv").write_text(
        "path,left,top,right,bottom\n3/5/2010/000.jpg,1,2,30,40\n3/5/2010/000.jpg,5,6,70,50\n"
    )
    found = in_boxes(described(tree.root, True)[0], tree.root / "image/boxes.csv")
    changed = [one.photo.box for one in found if one.photo.name.endswith("/3/5/2010/000.jpg")]
    assert changed == [(1, 2, 30, 40), (5, 6, 70, 50)]
    assert [one.photo.box for one in found].count((10, 5, 80, 55)) == 41


def test_a_folder_that_is_none_or_empty_is_told(tmp_path):
    with pytest.raises(KcarsError, match="folder not found"):
        described(tmp_path / "none", True)
    with pytest.raises(KcarsError, match="contains no photos"):
        described(tmp_path, True)


@pytest.mark.parametrize("layout", ["list", "class folders", "no layout"])
def test_photos_outside_of_the_folder_are_refused(coloured_cars, tmp_path, layout):
    write_photo(tmp_path / "private/0.png")
    if layout == "list":
        (coloured_cars / "linked").symlink_to(tmp_path / "private")
        (coloured_cars / "photos.csv").write_text("path,make\nlinked/0.png,Fiat\n")
    else:
        link = coloured_cars / ("Fiat/127/9.png" if layout == "class folders" else "Fiat/127/deeper/9.png")
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(tmp_path / "private/0.png")
    with pytest.raises(KcarsError, match="leads out of this folder; photos must be below it"):
        described(coloured_cars, boxes=True)
