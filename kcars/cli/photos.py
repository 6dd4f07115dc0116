"""What the commands that take photos to a model share: which model, which photos, which boxes. Heavy imports inside."""

from dataclasses import replace
from pathlib import Path

import click

from kcars.cli.types import PATH
from kcars.core.errors import KcarsError
from kcars.core.plain_text import warn

LONGEST_SECONDS = 1e6
model_option = click.option(
    "--model", "place", metavar="RUN|EXPORT", type=PATH,
    help="A run folder, an export, or a model in it.  [default: the newest fitting run in runs/]",
)  # fmt: skip
risk_option = click.option(
    "--risk", type=float, metavar="SHARE",
    help='Answer "unknown" where answers as sure as this one erred more often than that on validation, such as 0.05.',
)  # fmt: skip
_BOXES = (
    click.option("--box", metavar="L,T,R,B", help="Where the car is, in pixels; for every photo named."),
    click.option(
        "--boxes", type=PATH,
        help="CSV of path, left, top, right, bottom; paths are below its folder.",
    ),
    click.option(
        "--detector", type=PATH,
        help="Your own ONNX detector: (1, 3, h, w) RGB 0..1 to (1, n, 6) left, top, right, bottom, score, class.",
    ),
    click.option(
        "--detector-classes", default="", metavar="A,B", help="Its classes that are vehicles, such as 2,5,7.  [default: all]",
    ),
)  # fmt: skip


def box_options(command):
    """--box, --boxes, --detector and --detector-classes, as `photos_given` takes them."""
    for option in reversed(_BOXES):
        command = option(command)
    return command


def photos_given(names, every, box, boxes, detector, detector_classes) -> tuple:
    """The photos to answer about, each with its box, and how many there are, None where only reading them tells."""
    from kcars.inference.photo_source import Detector, box_of, count_of, detected, in_boxes, photos_of, read_boxes

    if sum(option is not None for option in (box, boxes, detector)) > 1:
        raise KcarsError("--box, --boxes, --detector: exclude each other; give one")
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
    """The run below runs/ of a task that was scored last; told on standard error."""
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
    raise KcarsError(f"--model: is missing, and runs/ holds no scored run of task {task}; name a run or an export")


def model_of_index(index: Path, place: Path | None):
    """The Predictor that an index is used with: the one named, or that which built it. KcarsError where it is another."""
    from kcars.gallery.store import model_place, read_facts, refuse_other_model
    from kcars.inference.predictor import load

    facts = read_facts(index)
    model = load(place or model_place(index, facts))
    refuse_other_model(index, facts, model.card)
    return model


def warn_of_scenes(model, task: str, boxed, options: str) -> None:
    """Tell, once there are answers, that whole photos were read by a model that learned from cars cut out."""
    if model.task == task and model.card["input"]["learned_in_boxes"] and not boxed:
        warn(
            "whole photos were read; this model learned from cars cut out by their boxes: where a car does not fill its photo, give "
            f"its box ({options})"
        )


def _numbers(text: str) -> frozenset[int]:
    try:
        return frozenset(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise KcarsError(f"--detector-classes: {text!r} are no whole numbers; such as 2,5,7 are") from None
