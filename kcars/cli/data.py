"""The `kcars data` commands. Heavy modules are imported inside the commands."""

import os
from pathlib import Path

import click

from kcars.cli.types import PATH, GivenPath
from kcars.core.errors import KcarsError
from kcars.core.plain_text import echo, echo_lines, warn


@click.group()
def data():
    """Make and inspect datasets."""


def _place(context, option, value: str | None) -> Path | None:
    """Return the dataset's path, None for drawn cars; KcarsError for `drawn` if a path of that name exists."""
    if value != "drawn":
        return None if value is None else Path(value)
    if os.path.lexists("drawn"):
        raise KcarsError("--data drawn: is ambiguous, because ./drawn exists; write ./drawn for the folder")
    return None


data_option = click.option(
    "--data", "folder", envvar="KCARS_DATA", type=GivenPath(), callback=_place,
    help="CompCars tree, CSV file, folder of class folders, layout of an installed reader, or `drawn` for drawn cars (or set KCARS_DATA).  [default: drawn]",
)  # fmt: skip


@data.command()
@click.argument("folder", type=PATH)
@click.option("--makes", default=12, show_default=True, help="Number of makes.")
@click.option("--models-per-make", default=7, show_default=True, help="Models per make; some are held out.")
@click.option("--photos-per-model", default=54, show_default=True, help="Mean number of photos per model.")
@click.option("--imbalance", default=2.0, show_default=True, help="Ratio of the largest class to the smallest.")
@click.option("--long-tail", is_flag=True, help="Few large and many small classes.")
@click.option("--night", default=0.0, show_default=True, help="Share of photos taken at night.")
@click.option("--rain", default=0.0, show_default=True, help="Share of photos taken in rain.")
@click.option(
    "--occlusion", default=0.0, show_default=True, help="Share of photos in which an object hides part of the car."
)
@click.option("--seed", default=0, show_default=True, help="Random seed.")
def synth(folder, **settings):
    """Draw a dataset of cars into FOLDER.

    Writes photos, labels, lists and pairs in the CompCars layout.

    \b
    Example:
      kcars data synth /tmp/drawn --photos-per-model 20
      kcars data synth /tmp/hard --imbalance 20 --long-tail --night 0.2 --rain 0.2 --occlusion 0.3
    """
    from kcars.drawn.synthetic import DrawnCars, draw

    draw(folder, DrawnCars(**settings))
    echo(f"drawn: {folder}")


@data.command()
@click.argument("out", type=PATH)
@data_option
@click.option(
    "--task", default="classify", show_default=True, type=click.Choice(["classify", "verify"]),
    help="Test split to sample from: verify has only models that training does not see.",
)  # fmt: skip
@click.option("--photos", default=3, show_default=True, type=click.IntRange(min=1), help="Photos per model.")
def sample(out, folder, task, photos):
    """Write a few test photos of each model to OUT.

    The new folder OUT has make/model/photo.jpg, cropped to the boxes.

    \b
    Examples:
      kcars data sample cars
      kcars data sample new_cars --task verify --photos 5
    """
    from kcars.core.files import refuse_filled
    from kcars.data.source import load
    from kcars.doctor.sample import write_sample
    from kcars.settings import DataSettings

    refuse_filled(out, "OUT")
    count = write_sample(load(folder, task, DataSettings(size_px=96)), photos, out)
    echo(f"{count} photos: {out}")


@data.command()
@click.argument("folder", type=PATH)
def init(folder):
    """Write FOLDER/photos.csv, one line per photo.

    Subfolders are included. Makes and models are filled in from folders make/model/ or class/; splits, boxes, viewpoints,
    years and groups are left for you to add.

    \b
    Example:
      kcars data init /data/my-cars
    """
    from kcars.data.readers.manifest import write

    file, unnamed = write(folder)
    echo(f"written: {file}")
    if unnamed:
        warn(f"{len(unnamed)} photos have no make and model, such as {unnamed[0]}: fill them in, or remove their lines")


@data.command()
@data_option
@click.option("--out", type=PATH, default="kcars-check", show_default=True, help="Folder for the two files.")
@click.pass_context
def check(context, folder, out):
    """Decode every photo, compare the lists, and report errors.

    Writes findings.csv and findings.html into --out. The exit code is 1 if an error invalidates results.

    \b
    Example:
      kcars data check --data /data/CompCars
    """
    from kcars.core.files import writable_folder
    from kcars.data.faults import spoils
    from kcars.data.source import listed_faults, load_every_task
    from kcars.doctor import check as doctor
    from kcars.doctor.page import write_page

    datasets, passed_over = load_every_task(folder)
    for reason in passed_over:
        warn(f"not checked: {reason}")
    writable_folder(out, "--out")
    faults = doctor.check(datasets, listed_faults(folder))
    roots = list(dict.fromkeys(dataset.table.root for dataset in datasets.values()))
    photos = len({path for dataset in datasets.values() for path in dataset.table.paths})
    doctor.write_csv(out / "findings.csv", faults)
    write_page(out / "findings.html", next(iter(datasets.values())).source, roots, faults, photos)
    echo_lines(doctor.summary(faults, photos))
    for name in ("findings.csv", "findings.html"):
        echo(f"  {out / name}")
    context.exit(1 if any(spoils(fault.kind) for fault in faults) else 0)


@data.command()
@data_option
@click.option("--all", "every", is_flag=True, help="Count every photo of a CompCars release, not only the listed ones.")
@click.option(
    "--pixels", is_flag=True, help="Print the pixel mean and standard deviation of up to 2,000 training photos."
)
@click.option("--sheet", type=PATH, help="Write a contact sheet of twelve models (.png or .jpg).")
@click.option("--out", type=PATH, help="Write makes.csv and models.csv into this folder.")
def stats(folder, every, pixels, sheet, out):
    """Count photos per make, model, viewpoint and split.

    \b
    Example:
      kcars data stats --data /data/CompCars --pixels --sheet cars.png
    """
    from kcars.core.csv_files import csv_text
    from kcars.core.files import writable_folder, write_text, written_whole
    from kcars.data.photo_table import is_photo_of
    from kcars.data.source import load_every_task
    from kcars.doctor import stats as statistics
    from kcars.images.pixel_store import Decoded
    from kcars.settings import DataSettings

    kind = {".png": "PNG", ".jpg": "JPEG"}.get(sheet.suffix) if sheet else None
    if sheet and not kind:
        raise KcarsError(f"--sheet {sheet}: ends in {sheet.suffix or 'nothing'}; allowed are .png and .jpg")
    settings = DataSettings(size_px=128, cache="off", split="all" if every else "listed")
    datasets, passed_over = load_every_task(folder, settings)
    for reason in passed_over:
        warn(f"not counted: {reason}")
    echo_lines(statistics.summary(datasets))
    dataset = next(iter(datasets.values()))
    if sheet and is_photo_of(dataset.table, sheet):
        raise KcarsError(f"--sheet {sheet}: is a photo of the dataset; name another file")
    if pixels:
        mean, deviation, photos = statistics.pixel_statistics(Decoded(dataset.table, settings), dataset.train)
        echo(f"pixels of {photos} training photos, RGB / 255: mean {mean.round(4)}, deviation {deviation.round(4)}")
    if sheet:
        with written_whole(sheet, "wb") as file:
            statistics.contact_sheet(dataset.table, dataset.train).save(file, kind)
        echo(f"  {sheet}")
    if out:
        writable_folder(out, "--out")
        for target in ("make", "model"):
            write_text(out / f"{target}s.csv", csv_text(statistics.class_counts(datasets, target)))
            echo(f"  {out / f'{target}s.csv'}")
