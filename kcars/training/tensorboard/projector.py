"""Files for TensorBoard's Projector: embeddings of photos by the checkpoint, with names and thumbnails."""

import io
import math
from pathlib import Path

import cv2
import numpy as np

from kcars.core.files import write_text, written_whole
from kcars.core.rng import generator
from kcars.data.photo_table import PhotoTable, PixelStore
from kcars.models.outputs import network_outputs
from kcars.runs.checkpoint import load_best
from kcars.runs.run import Run
from kcars.tasks import task_module
from kcars.tasks.plan import Network, Plan

MOST, TILE_PX, SPRITE_PX = 2000, 64, 8192  # Photos; side of a thumbnail; maximum side of a sprite in browsers.
CONFIG, FOLDER = "projector_config.pbtxt", "projector"


def project(run: Run, plan: Plan, network: Network, store: PixelStore, epoch: int) -> None:
    """Write the vectors of validation photos, or of training photos if there are none, for the checkpoint of `epoch`.

    Does nothing if they exist. The configuration is written last, so the files that it names are complete.
    """
    files, folder = run.files, "tensorboard"
    rows = chosen_rows(plan)
    of = "validation" if len(plan.validation) else "training"
    name = f"{of} photos, epoch {epoch}"
    config = f"{folder}/{CONFIG}"
    if files.has(config) and f'"{name}"' in files.read_text(config):
        return
    vectors = _vectors(run, plan, network, store, rows)
    place = files.folder(f"{folder}/{FOLDER}")
    files.remove(config)
    write_vectors(place / "vectors.tsv", vectors)
    write_names(place / "photos.tsv", plan.dataset.table, rows)
    write_sprite(place / "sprite.jpg", store, rows)
    files.write_text(config, configuration(name, vectors.shape))


def chosen_rows(plan: Plan) -> np.ndarray:
    """Return up to MOST rows, sampled by seed, in order."""
    rows = plan.validation if len(plan.validation) else plan.train
    return np.sort(generator(plan.strategy.train.seed, "projector", 0).permutation(rows)[:MOST])


def _vectors(run: Run, plan: Plan, network: Network, store: PixelStore, rows: np.ndarray) -> np.ndarray:
    """Return the vectors (n, d) float32 of the checkpoint, from a copy, so that training is not affected."""
    from kcars.models.networks import in_float32

    copy = in_float32(network.scored)
    load_best(copy, run.best_weights)
    model = task_module(plan.strategy.task).vectors(plan, Network(copy, copy))
    return network_outputs(model, store, plan.strategy.evaluate.batch, mirror=False)(rows)


def write_vectors(path: Path, vectors: np.ndarray) -> None:
    """Write one line per photo; five digits suffice for display."""
    text = io.StringIO()
    np.savetxt(text, vectors, fmt="%.5g", delimiter="\t")
    write_text(path, text.getvalue())


def write_names(path: Path, table: PhotoTable, rows: np.ndarray) -> None:
    """Write a header, then one line per photo: make, model, path."""
    lines = [("make", "model", "photo")]
    for row in rows:
        make, model = (table.name(target, int(table.ids[target][row])) for target in ("make", "model"))
        lines.append((make, model, str(table.paths[row])))
    # A tab or a line break in a name would split it.
    write_text(path, "".join("\t".join(" ".join(part.split()) for part in line) + "\n" for line in lines))


def write_sprite(path: Path, store: PixelStore, rows: np.ndarray) -> None:
    """Write thumbnails row by row into one square image, in the order of the rows."""
    columns = math.ceil(math.sqrt(len(rows)))
    sprite = np.zeros((columns * TILE_PX, columns * TILE_PX, 3), np.uint8)
    for place, row in enumerate(rows):
        photo = store.read(np.array([row]))[0]  # One at a time, because 2,000 large photos would fill the memory.
        top, left = place // columns * TILE_PX, place % columns * TILE_PX
        sprite[top : top + TILE_PX, left : left + TILE_PX] = cv2.resize(
            photo, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA
        )
    assert len(sprite) <= SPRITE_PX
    encoded = cv2.imencode(".jpg", sprite[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    with written_whole(path, "wb") as file:
        file.write(encoded.tobytes())


def configuration(name: str, shape: tuple[int, int]) -> str:
    """Return the text of projector_config.pbtxt, a TensorBoard `ProjectorConfig`."""
    return f"""embeddings {{
  tensor_name: "{name}"
  tensor_path: "{FOLDER}/vectors.tsv"
  tensor_shape: {shape[0]}
  tensor_shape: {shape[1]}
  metadata_path: "{FOLDER}/photos.tsv"
  sprite {{
    image_path: "{FOLDER}/sprite.jpg"
    single_image_dim: {TILE_PX}
    single_image_dim: {TILE_PX}
  }}
}}
"""
