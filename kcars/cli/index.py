"""The `kcars index` commands: search, name and group photos. Heavy modules are imported inside the commands."""

import os
from pathlib import Path

import click

from kcars.cli.photos import box_options, model_of_index, model_option, newest, photos_given, warn_of_scenes
from kcars.cli.types import PATH
from kcars.core.errors import KcarsError
from kcars.core.plain_text import echo, echo_exact, warn
from kcars.posthoc.decision import PairDecision

index_argument = click.argument("index", type=PATH)
photos_argument = click.argument("photos", type=PATH, nargs=-1, required=True, metavar="FOLDER|PHOTOS...")
built_by_option = click.option(
    "--model", "place", metavar="RUN|EXPORT", type=PATH,
    help="Model of the index, or an export of it.  [default: the one that built the index]",
)  # fmt: skip
boxes_option = click.option(
    "--boxes", type=PATH,
    help="CSV with path, left, top, right, bottom, instead of the boxes of the layout; paths are relative to its folder.",
)  # fmt: skip
names_option = click.option("--no-names", is_flag=True, help="Ignore the names that the layout gives.")


@click.group(name="index")
def index_group():
    """Search, name and group photos by a verifier's embeddings."""


@index_group.command()
@click.argument("folder", type=PATH)
@model_option
@click.option("--out", required=True, type=PATH, help="Folder of the index.")
@boxes_option
@names_option
@click.option("--exact", is_flag=True, help="Compare with every photo (exact search).")
@click.option("--force", is_flag=True, help="Replace an existing index in --out.")
def build(folder, place, out, boxes, no_names, exact, force):
    """Embed all photos of FOLDER into an index.

    Subfolders are included. Makes and models are taken from the layout, if it has them.

    \b
    Example:
      kcars index build cars --model runs/demo-verify --out cars.index
    """
    from kcars.gallery import ingest
    from kcars.gallery.store import check_place
    from kcars.inference.predictor import load

    check_place(out, force)
    if not os.path.isdir(folder):
        raise KcarsError(f"{folder}: folder not found")
    listed = _listed([folder], not no_names)
    model = load(place or newest("verify"))
    _report(ingest.build(model, _in_boxes(model, listed, boxes), out, exact, force, warn))


@index_group.command()
@index_argument
@photos_argument
@built_by_option
@boxes_option
@names_option
def add(index, photos, place, boxes, no_names):
    """Add folders or single photos to INDEX. Files that it already contains are reported and skipped.

    \b
    Example:
      kcars index add cars.index more_cars gate.jpg
    """
    from kcars.gallery import ingest
    from kcars.gallery.store import read_facts

    read_facts(index)  # Fails before a model is loaded.
    listed = _listed(photos, not no_names)
    model = model_of_index(index, place)
    _report(ingest.add(model, _in_boxes(model, listed, boxes), index, warn))


@index_group.command()
@index_argument
@click.argument("name")
@photos_argument
@built_by_option
@boxes_option
def enroll(index, name, photos, place, boxes):
    """Enroll a few PHOTOS of a model as NAME.

    `kcars predict --index INDEX` then recognises NAME. Photos that INDEX already contains are renamed to NAME.

    \b
    Example:
      kcars index enroll cars.index "Fiat 127" front.jpg rear.jpg side.jpg
    """
    from kcars.gallery import ingest
    from kcars.gallery.store import read_facts

    read_facts(index)
    name, listed = ingest.as_name(name), _listed(photos, False)
    model = model_of_index(index, place)
    _report(ingest.enroll(model, name, _in_boxes(model, listed, boxes), index, warn))


@index_group.command()
@index_argument
@click.argument("photos", type=PATH, nargs=-1, metavar="[FOLDER|PHOTOS...]")
@click.option("--stale", is_flag=True, help="Also remove photos whose files are missing, moved or overwritten.")
def remove(index, photos, stale):
    """Remove folders or single photos from INDEX. The photo files need not exist and are not changed.

    \b
    Examples:
      kcars index remove cars.index cars/Ardenne gate.jpg
      kcars index remove cars.index --stale
    """
    from kcars.gallery import upkeep

    if not photos and not stale:
        raise KcarsError("PHOTOS: is missing; name photos or folders, or give --stale")
    _report(upkeep.remove(index, photos, stale, warn))


@index_group.command()
@index_argument
@click.argument("folders", type=PATH, nargs=-1, metavar="[FOLDER...]")
@click.pass_context
def check(context, index, folders):
    """Find photo files that are missing or changed.

    Compares the photos of INDEX with their files, and reports missing, moved and overwritten ones. Moved files are searched
    for in the folders of the other photos and in each FOLDER. The exit code is 1 if any is found.

    \b
    Example:
      kcars index check cars.index archive
    """
    from kcars.gallery.store import Gallery
    from kcars.gallery.upkeep import MEANING, stale_photos

    _refuse_missing(folders)
    photos = Gallery.open(index).photos
    found = stale_photos(photos, folders)
    for one in found:
        echo(f"{one.kind}: {one.path}" + (f" is now {one.place}" if one.place else ""))
    files = len({photo.path for photo in photos})
    echo(f"index {index}: {files} files, {files - len(found)} as they were embedded")
    for kind, meaning in MEANING.items():
        if count := sum(one.kind == kind for one in found):
            echo(f"  {kind} {count}: each {meaning}")
    context.exit(1 if found else 0)


@index_group.command()
@index_argument
@click.argument("photo", type=PATH)
@click.option("-k", "count", default=10, show_default=True, type=click.IntRange(min=1), help="Number of photos.")
@built_by_option
@box_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line for each car.")
def search(index, photo, count, place, box, boxes, detector, detector_classes, as_json):
    """Show the photos of INDEX nearest to PHOTO.

    Each has its distance and the probability that both show the same make or model.

    \b
    Example:
      kcars index search cars.index gate.jpg -k 5
    """
    from kcars.gallery.search import json_line, lines, search_each
    from kcars.gallery.store import Gallery, read_facts

    if os.path.isdir(photo):
        raise KcarsError(f"{photo}: is a folder; name one photo")
    wanted, _ = photos_given([photo], 1.0, box, boxes, detector, detector_classes)
    read_facts(index)
    _refuse_missing([photo])
    model = model_of_index(index, place)
    for found in search_each(model, Gallery.open(index), wanted, count):
        for line in [json_line(found)] if as_json else lines(found):
            (echo_exact if as_json else echo)(line)
    warn_of_scenes(model, "verify", box or boxes or detector, "--box, --boxes, --detector")


@index_group.command()
@index_argument
@click.option("--out", required=True, type=PATH, help="New folder for the table and the contact sheets.")
@click.option(
    "--sure", default=0.8, show_default=True, metavar="PROBABILITY",
    help="Probability that two photos at a cluster's mean distance show the same; higher values give smaller, purer clusters.",
)  # fmt: skip
@click.option(
    "--least", default=5, show_default=True, type=click.IntRange(min=2), help="Minimum number of photos in a cluster."
)
@click.option("--unnamed", is_flag=True, help="Cluster only photos without a name.")
def cluster(index, out, sure, least, unnamed):
    """Cluster similar photos of INDEX.

    Writes clusters.csv and a contact sheet of each cluster. Needs no model, because the index contains the embeddings.

    \b
    Example:
      kcars index cluster street.index --out street_clusters --unnamed
    """
    from kcars.core.files import refuse_filled
    from kcars.gallery.cluster_summary import summary
    from kcars.gallery.clusters import (
        TABLE,
        cluster_numbers,
        cut_distance,
        rows_to_cluster,
        sheet_name,
        write_clusters,
    )
    from kcars.gallery.store import Gallery

    refuse_filled(out)
    gallery = Gallery.open(index)
    cut = cut_distance(gallery.facts["decision"], sure)
    rows = rows_to_cluster(gallery, unnamed)
    numbers = cluster_numbers(gallery.vector_index.vectors(rows), cut, least)
    write_clusters(gallery, rows, numbers, out)
    names = gallery.names()
    for line in summary(numbers, [names[row] for row in rows], cut, least):
        echo(line)
    echo(f"  {out / TABLE}")
    if numbers.max() >= 0:
        echo(f"  {out / sheet_name(0)} ... {out / sheet_name(numbers.max())}")


def _listed(places, names: bool) -> list:
    """Return the photos of files and folders with the boxes of their layouts; print warnings about them.

    Raises KcarsError if a file or folder is missing.
    """
    from kcars.gallery.described import given

    _refuse_missing(places)
    photos, warnings = given(places, True, names)
    for line in warnings:
        warn(line)
    return photos


def _refuse_missing(places) -> None:
    for place in places:
        if not os.path.exists(place):
            raise KcarsError(f"{place}: file or folder not found")


def _in_boxes(model, photos: list, boxes: Path | None) -> list:
    """Return the photos with boxes from a CSV, or from their layouts if the model was trained on boxes."""
    from kcars.gallery.described import in_boxes, whole

    photos = photos if model.card["input"]["crop"] == "box" else whole(photos)
    return in_boxes(photos, boxes) if boxes else photos


def _report(gallery) -> None:
    facts = gallery.facts
    echo(f"index {gallery.folder}: {facts['count']} photos, {facts['names']} names, {facts['dimensions']} numbers each")
    echo(_search_line(facts["vector_index"]))
    if facts["names"]:
        echo(_unknown_line(facts["open_set"], facts["decision"]))


def _search_line(vector_index: dict) -> str:
    if vector_index["kind"] == "exact":
        return "search: exact, compares every photo"
    return (
        f"search: {vector_index['probes']} of {vector_index['lists']} lists, finds {vector_index['recall@10']:.1%} of the ten nearest "
        f"(measured on {vector_index['recall_queries']} of the photos); kcars index build --exact compares every photo"
    )


def _unknown_line(own: dict | None, decision: dict) -> str:
    from kcars.gallery.open_set import LEAST_NAMES

    if own is None:
        return (
            f"unknown: photos at a distance above {PairDecision.of(decision).threshold:.3f}, the model's threshold for pairs; an index with "
            f"{LEAST_NAMES} or more names of two photos each chooses its own threshold"
        )
    return (
        f"unknown: photos at a distance above {PairDecision.of(own).threshold:.3f}; with each of the {own['photos']} named photos left out in turn, "
        f"{own['accepted']:.0%} are accepted, and {own['refused']:.0%} are rejected if their name is left out as well"
    )
