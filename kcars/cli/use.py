"""The `kcars` commands that apply or export a trained model. Heavy modules are imported inside the commands."""

import click

from kcars.cli.photos import (
    LONGEST_SECONDS,
    box_options,
    model_of_index,
    model_option,
    newest,
    photos_given,
    risk_option,
    warn_of_scenes,
)
from kcars.cli.types import PATH
from kcars.core.errors import KcarsError
from kcars.core.plain_text import echo, echo_exact, warn


@click.command()
@click.argument("run", type=PATH)
@click.option(
    "--format", "formats", default="saved_model,onnx,litert", show_default=True, metavar="A,B",
    help="Formats to write: saved_model, onnx, litert.",
)  # fmt: skip
@click.option("--out", type=PATH, help="Output folder.  [default: RUN/export]")
@click.option("--force", is_flag=True, help="Replace an existing export in --out.")
@click.option("--data", "folder", type=PATH, help="New location of the run's dataset, if it moved.")
@click.option(
    "--photos",
    default=256,
    show_default=True,
    type=click.IntRange(min=2),
    help="Number of test photos for the comparison.",
)
def export(run, formats, out, force, folder, photos):
    """Export RUN as SavedModel, ONNX and LiteRT, with a model card; each file is reloaded and compared with the network.

    If the dataset is missing, the thumbnails in the run folder are used for the comparison.

    \b
    Examples:
      kcars export runs/demo-classify
      kcars export runs/demo-verify --format onnx --out models/verifier
    """
    from kcars.export import export as write
    from kcars.export.check_photos import test_photos
    from kcars.runs.run import Run

    opened, out = Run.open(run), out or run / "export"
    names = [name.strip() for name in formats.split(",") if name.strip()]
    card = write(opened, names, out, lambda: test_photos(opened, folder, photos), force, echo)
    for path in ("card.json", "README.md", *(file["path"] for file in card["files"].values())):
        echo(f"  {out / path}")


@click.command()
@click.argument("photos", type=PATH, nargs=-1, required=True, metavar="PHOTOS|FOLDER|VIDEO...")
@model_option
@click.option(
    "--index", type=PATH,
    help="Name cars by the photos of an index; --model is then the verifier that built it.",
)  # fmt: skip
@click.option("--top", default=5, show_default=True, type=click.IntRange(min=1), help="Number of names.")
@risk_option
@box_options
@click.option(
    "--every",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds between frames of a video.",
)
@click.option("--json", "kind", flag_value="json", help="Print one JSON object per line.")
@click.option("--csv", "kind", flag_value="csv", help="Print CSV, one line per name.")
def predict(photos, place, index, top, risk, box, boxes, detector, detector_classes, every, kind):
    """Name the cars in PHOTOS, folders of photos, or frames of videos. Damaged photos are reported and skipped.

    The exit code is 0 if any photo has a prediction, otherwise 2.

    \b
    Examples:
      kcars predict car.jpg --model runs/demo-classify
      kcars predict photos/ --top 3 --csv > names.csv
      kcars predict gate.mp4 --detector yolo.onnx --detector-classes 2,5,7 --risk 0.05
      kcars predict car.jpg --index cars.index
    """
    from tqdm import tqdm

    from kcars.inference.writers import writer

    if not 0 < every < LONGEST_SECONDS:
        raise KcarsError(f"--every: {every:g} is not a duration; give seconds above 0")
    wanted, count = photos_given(photos, every, box, boxes, detector, detector_classes)
    boxed = box or boxes or detector
    model, answers = _answers(wanted, place, index, top, risk)
    show, bad, good, whole = writer(kind), 0, 0, 0
    bar = tqdm(total=count, desc="naming", unit="photo", disable=None if kind else True)
    with bar:
        for answer in answers:
            bar.update()
            if isinstance(answer, tuple):
                bad += 1
                warn(f"skipped: {answer[1]}")
                continue
            if not good:
                warn_of_scenes(model, model.task, boxed, "--box, --boxes, --detector")
            good += 1
            whole += answer.box is None
            for line in show(answer):
                (echo_exact if kind else echo)(line)
    if boxes and whole:
        warn(f"{whole} photos have no line in {boxes} and were used whole")
    if bad:
        warn(f"{bad} of {bad + good} photos were skipped")
        if not good:
            raise KcarsError("no photo has a prediction")


def _answers(photos, place, index, top, risk) -> tuple:
    """Return (the model, a generator of predictions), from a classifier or from the names in an index."""
    from kcars.inference.predictor import load

    if index is None:
        model = load(place or newest("classify"))
        return model, model.predict_each(photos, top, risk)
    from kcars.gallery.naming import name_each
    from kcars.gallery.store import Gallery

    model = model_of_index(index, place)
    return model, name_each(model, Gallery.open(index), photos, top, risk)


@click.command()
@click.argument("left", type=PATH)
@click.argument("right", type=PATH)
@model_option
@risk_option
@click.option("--left-box", metavar="L,T,R,B", help="Box of the car in LEFT, in pixels.")
@click.option("--right-box", metavar="L,T,R,B", help="Box of the car in RIGHT, in pixels.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def compare(left, right, place, risk, left_box, right_box, as_json):
    """Decide whether the photos LEFT and RIGHT show the same make or model.

    \b
    Example:
      kcars compare gate.jpg exit.jpg --model runs/demo-verify
    """
    from kcars.inference.photo_source import Photo, box_of
    from kcars.inference.predictor import load
    from kcars.inference.writers import comparison_line

    sides = [
        Photo(str(path), path, box_of(box.split(","), f"--{side}-box") if box is not None else None)
        for side, path, box in (("left", left, left_box), ("right", right, right_box))
    ]
    model = load(place or newest("verify"))
    (echo_exact if as_json else echo)(comparison_line(model.compare(*sides, risk=risk), model.card, as_json))
    warn_of_scenes(model, "verify", left_box and right_box, "--left-box, --right-box")
