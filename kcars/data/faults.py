"""What can be wrong with a dataset: the kinds of fault, and which of them spoil results."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One finding: its kind, the photo (or list line) it is about, what was seen, and a second photo where it takes two."""

    kind: str
    path: str
    detail: str = ""
    other: str = ""


# kind -> (does it spoil results?, what it means). What spoils makes `kcars data check` end with exit code 1.
KINDS = {
    "missing": (True, "listed, and there is no such file that can be read"),
    "empty": (True, "a file of no bytes"),
    "no_photo": (True, "cannot be decoded"),
    "truncated": (True, "the file ends before the photo does, or is damaged within"),
    "box_empty": (True, "the box holds no pixel of the photo; training and answering refuse it"),
    "too_large": (True, "more bytes or pixels than kcars decodes"),
    "copy_in_two_splits": (True, "the same photo to learn from and to test on"),
    "near_copy_in_two_splits": (True, "nearly the same photo to learn from and to test on"),
    "copy_with_two_labels": (True, "the same photo under two models"),
    "near_copy_with_two_labels": (True, "nearly the same photo under two models"),
    "in_two_splits": (True, "listed to learn from and to test on"),
    "model_in_two_splits": (True, "verification: a model to learn from that stands in the test pairs"),
    "model_in_train_and_test": (
        False,
        "stands in the given train and test photos: verification by models needs others to test on; classification does not",
    ),
    "pair_of_itself": (True, "a test pair of one photo with itself"),
    "pair_with_wrong_label": (True, "a pair listed as same of two models, or as different of one"),
    "pair_of_missing_photo": (True, "a test pair of a photo that does not exist"),
    "pair_repeated": (True, "a test pair that stands twice in its list"),
    "no_class": (False, "lies beside the class folders and so is of no class; it is left out"),
    "not_read": (False, "ends like no photo that is read: JPEG, PNG, WebP, BMP; it is passed over"),
    "not_listed": (False, "stands in no line of photos.csv; it is left out"),
    "linked_folder": (False, "a link to a folder, which is not followed; put the folder itself there"),
    "listed_twice": (False, "stands twice in its list; it counts once"),
    "copy": (False, "the same photo twice, in one split under one model"),
    "near_copy": (False, "nearly the same photo twice, in one split under one model"),
    "model_of_one_photo": (False, "no positive pair can be drawn of it, and nothing validates it"),
    "wrong_ending": (False, "another file type than its name says"),
    "animated": (False, "several frames; the first one counts"),
    "cmyk": (
        False,
        "colours for printing; converted, which the SavedModel of an export does not do: it refuses the photo",
    ),
    "grey": (False, "no colours"),
    "sixteen_bit": (False, "16 bits a channel; the upper 8 count"),
    "transparent": (False, "an alpha channel; it is left out"),
    "rotated": (False, "Exif turns it; boxes count in the upright photo"),
    "turn_not_applied": (
        False,
        "XMP, or an unknown number in Exif, asks for a turn that is not made; the photo is read as stored",
    ),
    "blank": (False, "of one colour all over; there is nothing to be seen in it"),
    "tiny": (False, "a side under 32 px"),
    "box_outside": (False, "the box leaves the photo; it is cut to it"),
    "degenerate_box": (False, "the box is empty or under 32 px a side; the whole photo counts"),
    "unreadable_label": (False, "the label file is missing or cannot be read; the whole photo counts"),
}


def spoils(kind: str) -> bool:
    """Whether a fault of this kind makes scores worthless."""
    return KINDS[kind][0]
