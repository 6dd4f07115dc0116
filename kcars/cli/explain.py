"""`kcars explain`: which parts of a photo a run used. Heavy modules are imported inside the command."""

import os
from pathlib import Path

import click

from kcars.cli.photos import warn_of_scenes
from kcars.cli.types import PATH
from kcars.core.errors import KcarsError
from kcars.core.plain_text import echo, echo_exact, json_line


@click.command()
@click.argument("run", type=PATH)
@click.argument("photos", type=PATH, nargs=-1, required=True, metavar="PHOTO [PHOTO2]")
@click.option("--out", type=PATH, metavar="PICTURE.png", help="Picture to write: photos, maps and prediction.")
@click.option("--class", "name", metavar="NAME", help="Class to explain.  [default: the predicted class]")
@click.option("--box", metavar="L,T,R,B", help="Box of the car in a single photo, in pixels.")
@click.option("--left-box", metavar="L,T,R,B", help="Box of the car in the first of two photos.")
@click.option("--right-box", metavar="L,T,R,B", help="Box of the car in the second photo.")
@click.option("--json", "as_json", is_flag=True, help="Print the prediction and the map as a JSON object.")
def explain(run, photos, out, name, box, left_box, right_box, as_json):
    """Show which parts of a PHOTO, or of two compared photos, RUN used.

    \b
    Examples:
      kcars explain runs/demo-classify car.jpg --out why.png
      kcars explain runs/demo-verify gate.jpg exit.jpg --out why.png
    """
    asked = _asked(photos, {"--box": box, "--left-box": left_box, "--right-box": right_box})
    _refuse(photos, out, name, as_json)

    from kcars.inference.explain import load
    from kcars.tasks.texts import task_texts

    explainer = load(run)
    task = explainer.card["task"]
    texts = task_texts(task)
    if len(photos) != texts.photos:
        raise KcarsError(f"{run}: {texts.several}, not {len(photos)}")
    if name is not None and texts.of_pairs:
        raise KcarsError(f"--class: {run} compares photos and knows no classes; leave it out")
    figure, facts = _found(explainer, asked, name)
    warn_of_scenes(explainer.predictor, task, all(photo.box for photo in asked), texts.boxes)
    if out:
        from kcars.core.files import written_whole
        from kcars.training.tensorboard.drawings import in_own_style

        with written_whole(out, "wb") as file, in_own_style():
            figure().savefig(file, dpi=150, format="png")
    if as_json:
        echo_exact(json_line(facts))
    else:
        echo(out)


def _asked(photos: tuple[Path, ...], boxes: dict[str, str | None]) -> list:
    """Return the photos with their boxes; KcarsError if a box belongs to no photo."""
    from kcars.inference.photo_source import Photo, box_of, shown

    options = ["--box"] if len(photos) == 1 else ["--left-box", "--right-box"]
    for option, box in boxes.items():
        if box is not None and option not in options:
            raise KcarsError(
                f"{option}: is for {'two photos' if len(photos) == 1 else 'a single photo'}; give {', '.join(options)}"
            )
    return [
        Photo(shown(path), path, None if (box := boxes[option]) is None else box_of(box.split(","), option))
        for path, option in zip(
            photos, options, strict=False
        )  # The number of photos is checked once the run is loaded.
    ]


def _refuse(photos: tuple[Path, ...], out: Path | None, name: str | None, as_json: bool) -> None:
    """Raise KcarsError if no output is requested or the picture cannot be written."""
    if out is None and not as_json:
        raise KcarsError("--out: is missing; name a PNG file for the picture, or ask for numbers with --json")
    if out is not None and out.suffix.lower() != ".png":
        raise KcarsError(f"--out {out}: is not a PNG file name, such as why.png")
    if out is not None and any(
        os.path.exists(photo) and os.path.exists(out) and photo.samefile(out) for photo in photos
    ):
        raise KcarsError(f"--out {out}: is the photo itself; name another file")


def _found(explainer, photos: list, name: str | None) -> tuple:
    """Return (a function that draws the figure, the facts for JSON)."""
    from functools import partial

    from kcars.inference import explain

    if len(photos) == 1:
        why = explainer.name(*photos, name)
        return partial(explain.name_figure, why), explain.name_facts(why)
    why = explainer.pair(*photos)
    return partial(explain.pair_figure, why, explainer.card), explain.pair_facts(why, explainer.card)
