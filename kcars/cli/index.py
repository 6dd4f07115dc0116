"""The `kcars index` commands: photos to search among, to name by, to group. Everything heavy is imported inside one."""

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
    help="Where the model of the index, or an export of it, lies now.  [default: where it lay]",
)  # fmt: skip
boxes_option = click.option(
    "--boxes", type=PATH,
    help="CSV of path, left, top, right, bottom, in place of what the layout tells; paths are below its folder.",
)  # fmt: skip
names_option = click.option("--no-names", is_flag=True, help="Take no names from the layout.")


@click.group(name="index")
def index_group():
    """Search among photos by a verifier's embeddings, name by a few of them, group them."""


@index_group.command()
@click.argument("folder", type=PATH)
@model_option
@click.option("--out", required=True, type=PATH, help="The folder of the index.")
@boxes_option
@names_option
@click.option("--exact", is_flag=True, help="Compare with every photo, however many there are.")
@click.option("--force", is_flag=True, help="Replace an earlier index in --out.")
def build(folder, place, out, boxes, no_names, exact, force):
    """Embed every photo below FOLDER into an index, with make and model where its layout tells them.

    \b
    Example:
      kcars index build cars --model runs/demo-verify --out cars.index
    """
    from kcars.gallery import ingest
    from kcars.gallery.store import check_place
    from kcars.inference.predictor import load

    check_place(out, force)
    if not os.path.isdir(folder):
        raise KcarsError(f"{folder}: there is no such folder")
    listed = _listed([folder], not no_names)
    model = load(place or newest("verify"))
    _tell(ingest.build(model, _in_boxes(model, listed, boxes), out, exact, force, warn))


@index_group.command()
@index_argument
@photos_argument
@built_by_option
@boxes_option
@names_option
def add(index, photos, place, boxes, no_names):
    """Add the photos of folders, or single ones, to INDEX. A file that it holds already is told and not stored twice.

    \b
    Example:
      kcars index add cars.index more_cars gate.jpg
    """
    from kcars.gallery import ingest
    from kcars.gallery.store import read_facts

    read_facts(index)  # What can be told at once is told before a model is loaded.
    listed = _listed(photos, not no_names)
    model = model_of_index(index, place)
    _tell(ingest.add(model, _in_boxes(model, listed, boxes), index, warn))


@index_group.command()
@index_argument
@click.argument("name")
@photos_argument
@built_by_option
@boxes_option
def enroll(index, name, photos, place, boxes):
    """Give NAME to a model by a few PHOTOS of it; `kcars predict --index INDEX` knows it from then on.

    Photos that INDEX holds already are called NAME from now on.

    \b
    Example:
      kcars index enroll cars.index "Fiat 127" front.jpg rear.jpg side.jpg
    """
    from kcars.gallery import ingest
    from kcars.gallery.store import read_facts

    read_facts(index)
    name, listed = ingest.as_name(name), _listed(photos, False)
    model = model_of_index(index, place)
    _tell(ingest.enroll(model, name, _in_boxes(model, listed, boxes), index, warn))


@index_group.command()
@index_argument
@click.argument("photos", type=PATH, nargs=-1, metavar="[FOLDER|PHOTOS...]")
@click.option("--stale", is_flag=True, help="Also all whose files are gone, moved or overwritten.")
def remove(index, photos, stale):
    """Forget the photos of folders, or single ones, which need not be there any more. No file but INDEX is changed.

    \b
    Examples:
      kcars index remove cars.index cars/Ardenne gate.jpg
      kcars index remove cars.index --stale
    """
    from kcars.gallery import upkeep

    if not photos and not stale:
        raise KcarsError("PHOTOS: is missing; name photos or folders, or give --stale")
    _tell(upkeep.remove(index, photos, stale, warn))


@index_group.command()
@index_argument
@click.argument("folders", type=PATH, nargs=-1, metavar="[FOLDER...]")
@click.pass_context
def check(context, index, folders):
    """Compare the photos of INDEX with their files, and tell which are gone, moved or overwritten.

    Moved ones are looked for in the folders of the others, and below each FOLDER. Ends with exit code 1 where one is found.

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
        echo(f"{one.kind}: {one.path}" + (f" lies at {one.place} now" if one.place else ""))
    files = len({photo.path for photo in photos})
    echo(f"index {index}: {files} files, {files - len(found)} as they were embedded")
    for kind, meaning in MEANING.items():
        if count := sum(one.kind == kind for one in found):
            echo(f"  {kind} {count}: each {meaning}")
    context.exit(1 if found else 0)


@index_group.command()
@index_argument
@click.argument("photo", type=PATH)
@click.option("-k", "count", default=10, show_default=True, type=click.IntRange(min=1), help="How many photos.")
@built_by_option
@box_options
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each car, one a line.")
def search(index, photo, count, place, box, boxes, detector, detector_classes, as_json):
    """Show the photos of INDEX that are nearest to PHOTO, with distance and probability of showing the same.

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
@click.option("--out", required=True, type=PATH, help="A new folder for the table and the sheets.")
@click.option(
    "--sure", default=0.8, show_default=True, metavar="PROBABILITY",
    help="Photos of a cluster are, at their mean distance, the same with this probability; higher makes smaller and purer ones.",
)  # fmt: skip
@click.option("--least", default=5, show_default=True, type=click.IntRange(min=2), help="Photos that make a cluster.")
@click.option("--unnamed", is_flag=True, help="Only photos that have no name yet.")
def cluster(index, out, sure, least, unnamed):
    """Group the photos of INDEX by what they show: clusters.csv and a contact sheet of each cluster, to name it by.

    Needs no model: the embeddings lie in the index.

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
    """The photos of files and folders with the boxes of their layouts; what there is to tell of them is told.

    What is missing is refused, all of it.
    """
    from kcars.gallery.described import given

    _refuse_missing(places)
    photos, told = given(places, True, names)
    for line in told:
        warn(line)
    return photos


def _refuse_missing(places) -> None:
    for place in places:
        if not os.path.exists(place):
            raise KcarsError(f"{place}: there is no such file or folder")


def _in_boxes(model, photos: list, boxes: Path | None) -> list:
    """The photos in the boxes of a CSV, or of their layouts where the model learned from such."""
    from kcars.gallery.described import in_boxes, whole

    photos = photos if model.card["input"]["crop"] == "box" else whole(photos)
    return in_boxes(photos, boxes) if boxes else photos


def _tell(gallery) -> None:
    facts = gallery.facts
    echo(f"index {gallery.folder}: {facts['count']} photos, {facts['names']} names, {facts['dimensions']} numbers each")
    echo(_search_told(facts["vector_index"]))
    if facts["names"]:
        echo(_unknown_told(facts["open_set"], facts["decision"]))


def _search_told(vector_index: dict) -> str:
    if vector_index["kind"] == "exact":
        return "search: exact, by every photo"
    return (
        f"search: by {vector_index['probes']} of {vector_index['lists']} lists, which finds {vector_index['recall@10']:.1%} of the ten nearest "
        f"(measured on {vector_index['recall_queries']} of the photos); kcars index build --exact compares with all"
    )


def _unknown_told(own: dict | None, decision: dict) -> str:
    from kcars.gallery.open_set import LEAST_NAMES

    if own is None:
        return (
            f"unknown: beyond {PairDecision.of(decision).threshold:.3f}, the model's threshold for pairs; from {LEAST_NAMES} names of two photos on "
            "an index chooses its own"
        )
    return (
        f"unknown: beyond {PairDecision.of(own).threshold:.3f}, which accepts {own['accepted']:.0%} of {own['photos']} named photos that were left out in "
        f"turn, and refuses {own['refused']:.0%} of them with their name left out"
    )
