"""Options and loading of models, photos and boxes, shared by commands. Heavy modules are imported inside functions."""

from dataclasses import replace
from pathlib import Path

import click

from kcars.cli.types import PATH
from kcars.core.errors import KcarsError
from kcars.core.plain_text import warn

LONGEST_SECONDS = 1e6
model_option = click.option(
    "--model", "place", metavar="RUN|EXPORT", type=PATH,
    help="Run folder, export, or a model file in it.  [default: the newest suitable run in runs/]",
)  # fmt: skip
risk_option = click.option(
    "--risk", type=float, metavar="SHARE",
    help='Highest accepted error rate on validation, such as 0.05; less confident predictions are "unknown".',
)  # fmt: skip
_BOXES = (
    click.option("--box", metavar="L,T,R,B", help="Box of the car in pixels, for all photos."),
    click.option(
        "--boxes", type=PATH,
        help="CSV with path, left, top, right, bottom; paths are relative to its folder.",
    ),
    click.option(
        "--detector", type=PATH,
        help="Your own ONNX detector: (1, 3, h, w) RGB 0..1 to (1, n, 6) left, top, right, bottom, score, class.",
    ),
    click.option(
        "--detector-classes", default="", metavar="A,B", help="Detector classes that are vehicles, such as 2,5,7.  [default: all]",
    ),
)  # fmt: skip


def box_options(command):
    """Add --box, --boxes, --detector and --detector-classes, the arguments of `photos_given`."""
    for option in reversed(_BOXES):
        command = option(command)
    return command


def photos_given(names, every, box, boxes, detector, detector_classes) -> tuple:
    """Return the photos with their boxes, and their number, None if it is known only after reading them."""
    from kcars.inference.photo_source import Detector, box_of, count_of, detected, in_boxes, photos_of, read_boxes

    if sum(option is not None for option in (box, boxes, detector)) > 1:
        raise KcarsError("--box, --boxes, --detector: are mutually exclusive; give one")
    photos = photos_of(names, every)
    if boxes:
        return in_boxes(photos, read_boxes(boxes)), None
    if detector:
        return detected(photos, Detector(detector, _numbers(detector_classes))), None
    if box is not None:
        one = box_of(box.split(","), "--box")
        photos = (replace(photo, box=one) for photo in photos)
    return photos, count_of(names)


def newest(task: str) -> Path:
    """Return the last scored run of a task in runs/, and print it on standard error."""
    from kcars.runs.run import Run

    found = sorted(Path("runs").glob("*/scores.json"), key=lambda file: -file.stat().st_mtime)
    for file in found:
        try:
            run = Run.open(file.parent)
            if run.strategy().task == task:
                warn(f"model: {run.folder}")
                return run.folder
        except KcarsError:
            continue
    raise KcarsError(f"--model: is missing, and runs/ has no scored run of task {task}; name a run or an export")


def model_of_index(index: Path, place: Path | None):
    """Load the given Predictor, or the one that built the index; KcarsError if it is a different model."""
    from kcars.gallery.store import model_place, read_facts, refuse_other_model
    from kcars.inference.predictor import load

    facts = read_facts(index)
    model = load(place or model_place(index, facts))
    refuse_other_model(index, facts, model.card)
    return model


def warn_of_scenes(model, task: str, boxed, options: str) -> None:
    """Warn, after the first prediction, if a model trained on cropped cars was given whole photos."""
    if model.task == task and model.card["input"]["learned_in_boxes"] and not boxed:
        warn(
            "whole photos were used, but this model was trained on cars cropped to their boxes: if a car does not fill the photo, "
            f"give its box ({options})"
        )


def _numbers(text: str) -> frozenset[int]:
    try:
        return frozenset(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise KcarsError(f"--detector-classes: {text!r} are not integers; give, for example, 2,5,7") from None
