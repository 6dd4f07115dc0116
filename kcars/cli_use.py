"""The `kcars` commands that take a trained model to photos, or out of the house. Everything heavy is imported inside one."""

from dataclasses import replace
from pathlib import Path

import click

from kcars.errors import KcarsError

LONGEST_SECONDS = 1e6
model_option = click.option(
    "--model", "place", metavar="RUN|EXPORT", type=click.Path(path_type=Path),
    help="A run folder, an export, or a model in it.  [default: the newest fitting run in runs/]",
)  # fmt: skip
risk_option = click.option(
    "--risk", type=float, metavar="SHARE",
    help='Answer "unknown" where answers as sure as this one erred more often than that on validation, such as 0.05.',
)  # fmt: skip


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format", "formats", default="saved_model,onnx,litert", show_default=True, metavar="A,B",
    help="saved_model, onnx, litert.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="The folder.  [default: RUN/export]")
@click.option("--force", is_flag=True, help="Replace an earlier export in --out.")
@click.option(
    "--data", "folder", type=click.Path(path_type=Path), help="Where the dataset of the run lies now, if it moved."
)
@click.option("--photos", default=256, show_default=True, type=click.IntRange(min=2), help="Test photos to compare on.")
def export(run, formats, out, force, folder, photos):
    """Write RUN as SavedModel, ONNX and LiteRT, with a model card; each is loaded again and compared before success.

    Where the dataset does not lie at its place any more, the thumbnails in the run folder are compared on.

    \b
    Examples:
      kcars export runs/demo-classify
      kcars export runs/demo-verify --format onnx --out models/verifier
    """
    from kcars.export import export as write
    from kcars.export.check_photos import test_photos
    from kcars.run import Run

    opened, out = Run.open(run), out or run / "export"
    names = [name.strip() for name in formats.split(",") if name.strip()]
    card = write(opened, names, out, lambda: test_photos(opened, folder, photos), force, click.echo)
    for path in ("card.json", "README.md", *(file["path"] for file in card["files"].values())):
        click.echo(f"  {out / path}")


@click.command()
@click.argument("photos", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="PHOTOS|FOLDER|VIDEO...")
@model_option
@click.option("--top", default=5, show_default=True, type=click.IntRange(min=1), help="How many names.")
@risk_option
@click.option("--box", metavar="L,T,R,B", help="Where the car is, in pixels; for every photo named.")
@click.option(
    "--boxes",
    type=click.Path(path_type=Path),
    help="CSV of path, left, top, right, bottom; paths are below its folder.",
)
@click.option(
    "--detector", type=click.Path(path_type=Path),
    help="Your own ONNX detector: (1, 3, h, w) RGB 0..1 to (1, n, 6) left, top, right, bottom, score, class.",
)  # fmt: skip
@click.option(
    "--detector-classes",
    default="",
    metavar="A,B",
    help="Its classes that are vehicles, such as 2,5,7.  [default: all]",
)
@click.option(
    "--every",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Video: seconds between frames.",
)
@click.option("--json", "kind", flag_value="json", help="A JSON object a line, on standard output.")
@click.option("--csv", "kind", flag_value="csv", help="CSV, a line a name, on standard output.")
def predict(photos, place, top, risk, box, boxes, detector, detector_classes, every, kind):
    """Name the cars in PHOTOS, in folders of them, or in frames of videos. Bad photos are reported and passed over.

    Ends with exit code 0 where any photo was answered about, 2 where none was.

    \b
    Examples:
      kcars predict car.jpg --model runs/demo-classify
      kcars predict photos/ --top 3 --csv > names.csv
      kcars predict gate.mp4 --detector yolo.onnx --detector-classes 2,5,7 --risk 0.05
    """
    from tqdm import tqdm

    from kcars.answer_lines import writer
    from kcars.predict import load

    if sum(option is not None for option in (box, boxes, detector)) > 1:
        raise KcarsError("--box, --boxes, --detector: exclude each other; give one")
    if not 0 < every < LONGEST_SECONDS:
        raise KcarsError(f"--every: {every:g} is no time between frames; seconds above 0 are")
    wanted, count = _photos(photos, every, box, boxes, detector, detector_classes)
    model = load(place or _newest("classify"))
    warn_of_scenes(model, "classify", box or boxes or detector, "--box, --boxes, --detector")
    show, bad, good, whole = writer(kind), 0, 0, 0
    bar = tqdm(total=count, desc="naming", unit="photo", disable=None if kind else True)
    with bar:
        for answer in model.predict_each(wanted, top, risk):
            bar.update()
            if isinstance(answer, tuple):
                bad += 1
                click.echo(f"passed over: {answer[1]}", err=True)
                continue
            good += 1
            whole += answer.box is None
            for line in show(answer):
                click.echo(line)
    if boxes and whole:
        click.echo(f"{whole} photos have no line in {boxes} and were read whole", err=True)
    if bad:
        click.echo(f"{bad} of {bad + good} photos were passed over", err=True)
        if not good:
            raise KcarsError("no photo could be answered about")


@click.command()
@click.argument("left", type=click.Path(path_type=Path))
@click.argument("right", type=click.Path(path_type=Path))
@model_option
@risk_option
@click.option("--left-box", metavar="L,T,R,B", help="Where the car is in LEFT, in pixels.")
@click.option("--right-box", metavar="L,T,R,B", help="Where the car is in RIGHT, in pixels.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object.")
def compare(left, right, place, risk, left_box, right_box, as_json):
    """Tell whether the photos LEFT and RIGHT show the same.

    \b
    Example:
      kcars compare gate.jpg exit.jpg --model runs/demo-verify
    """
    from kcars.answer_lines import comparison_line
    from kcars.photos_in import Photo, box_of
    from kcars.predict import load

    sides = [
        Photo(str(path), path, box_of(box.split(","), f"--{side}-box") if box is not None else None)
        for side, path, box in (("left", left, left_box), ("right", right, right_box))
    ]
    model = load(place or _newest("verify"))
    warn_of_scenes(model, "verify", left_box and right_box, "--left-box, --right-box")
    click.echo(comparison_line(model.compare(*sides, risk=risk), model.card, as_json))


def _photos(names, every, box, boxes, detector, detector_classes) -> tuple:
    """The photos to answer about, each with its box, and how many there are, None where only reading them tells."""
    from kcars.photos_in import Detector, box_of, count_of, detected, in_boxes, photos_of, read_boxes

    photos = photos_of(names, every)
    if boxes:
        return in_boxes(photos, read_boxes(boxes)), None
    if detector:
        return detected(photos, Detector(detector, _numbers(detector_classes))), None
    if box is not None:
        one = box_of(box.split(","), "--box")
        photos = (replace(photo, box=one) for photo in photos)
    return photos, count_of(names)


def _newest(task: str) -> Path:
    """The run below runs/ of a task that was scored last; told on standard error."""
    from kcars.run import Run

    found = sorted(Path("runs").glob("*/scores.json"), key=lambda file: -file.stat().st_mtime)
    for file in found:
        try:
            run = Run.open(file.parent)
            if run.strategy().task == task:
                click.echo(f"model: {run.folder}", err=True)
                return run.folder
        except KcarsError:
            continue
    raise KcarsError(f"--model: is missing, and runs/ holds no scored run of task {task}; name a run or an export")


def warn_of_scenes(model, task: str, boxed, options: str) -> None:
    """Tell on standard error where a model that learned from cars in their boxes is given whole photos."""
    if model.task == task and model.card["input"]["learned_in_boxes"] and not boxed:
        click.echo(
            "whole photos are read; this model learned from cars cut out by their boxes: where a car does not fill its photo, give "
            f"its box ({options})",
            err=True,
        )


def _numbers(text: str) -> frozenset[int]:
    try:
        return frozenset(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise KcarsError(f"--detector-classes: {text!r} are no whole numbers; such as 2,5,7 are") from None


COMMANDS = [export, predict, compare]
