"""The kinds of faults in a dataset, and which of them invalidate results."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One finding: its kind, the photo or list line, details, and the second photo, if there is one."""

    kind: str
    path: str
    detail: str = ""
    other: str = ""


# kind -> (whether it invalidates results, meaning). Those that do make `kcars data check` end with exit code 1.
KINDS = {
    "missing": (True, "listed, but the file does not exist or cannot be read"),
    "empty": (True, "an empty file"),
    "no_photo": (True, "cannot be decoded"),
    "truncated": (True, "the file ends too early or is damaged"),
    "box_empty": (True, "the box contains no pixel of the photo; training and prediction refuse it"),
    "too_large": (True, "more bytes or pixels than kcars decodes"),
    "copy_in_two_splits": (True, "the same photo in training and test set"),
    "near_copy_in_two_splits": (True, "nearly the same photo in training and test set"),
    "copy_with_two_labels": (True, "the same photo with two models"),
    "near_copy_with_two_labels": (True, "nearly the same photo with two models"),
    "in_two_splits": (True, "listed in training and test set"),
    "model_in_two_splits": (True, "verification: a training model that is in the test pairs"),
    "model_in_train_and_test": (
        False,
        "the model is in the given train and test photos: verification needs other models for the test; classification does not",
    ),
    "pair_of_itself": (True, "a test pair of one photo with itself"),
    "pair_with_wrong_label": (True, "a pair of two models listed as same, or of one model listed as different"),
    "pair_of_missing_photo": (True, "a test pair with a photo that does not exist"),
    "pair_repeated": (True, "a test pair listed twice"),
    "no_class": (False, "next to the class folders, so without a class; it is left out"),
    "not_read": (False, "the file extension is not one of JPEG, PNG, WebP, BMP; it is skipped"),
    "not_listed": (False, "not listed in photos.csv; it is left out"),
    "linked_folder": (False, "a link to a folder, which is not followed; replace it by the folder itself"),
    "listed_twice": (False, "listed twice; it is used once"),
    "copy": (False, "the same photo twice, in one split with one model"),
    "near_copy": (False, "nearly the same photo twice, in one split with one model"),
    "model_of_one_photo": (False, "the model gives no same pair and cannot be validated"),
    "wrong_ending": (False, "the file type differs from the file extension"),
    "animated": (False, "several frames; the first one is used"),
    "cmyk": (
        False,
        "CMYK colours; they are converted, but the SavedModel of an export refuses the photo",
    ),
    "grey": (False, "no colours"),
    "sixteen_bit": (False, "16 bits per channel; the upper 8 are used"),
    "transparent": (False, "an alpha channel; it is ignored"),
    "rotated": (False, "turned by Exif; boxes refer to the upright photo"),
    "turn_not_applied": (
        False,
        "an orientation in XMP, or an unknown one in Exif, is not applied; the photo is read as stored",
    ),
    "blank": (False, "one uniform colour; nothing can be seen"),
    "tiny": (False, "a side below 32 px"),
    "box_outside": (False, "the box extends beyond the photo; it is clipped"),
    "degenerate_box": (False, "the box is empty or has a side below 32 px; the whole photo is used"),
    "unreadable_label": (False, "the label file is missing or cannot be read; the whole photo is used"),
}


def spoils(kind: str) -> bool:
    """Whether a fault of this kind invalidates scores."""
    return KINDS[kind][0]
