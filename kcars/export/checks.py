"""Compares an export, loaded without kcars, with its run."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.plain_text import warn
from kcars.core.unfinished import temporary_folder
from kcars.export.check_photos import CheckPhoto
from kcars.images import formats
from kcars.images.decode import decode
from kcars.metrics.calibration import probabilities
from kcars.models.outputs import batch_outputs
from kcars.posthoc.decision import PairDecision
from kcars.posthoc.pipeline import Pipeline

TOLERANCE = 1e-4
RELOAD = Path(__file__).with_name("reload.py")
BATCH = 32


@dataclass(frozen=True)
class Check:
    """Photos with the run's outputs.

    pixels: (n, s, s, 3) uint8; jpeg: the subset that a SavedModel reads, as (indices, bytes, boxes (m, 4), -1 for none);
    wanted: logits (n, classes) or embeddings (n, d); source: description of the photos; refused: photos that a SavedModel
    must refuse, because it would decode other pixels, or kcars itself refuses them.
    """

    card: dict
    source: str
    pixels: np.ndarray
    jpeg: tuple[np.ndarray, list[bytes], np.ndarray]
    wanted: np.ndarray
    refused: tuple[CheckPhoto, ...] = ()

    @classmethod
    def of(cls, network, pipeline: Pipeline, card: dict, source: str, photos: list[CheckPhoto]) -> "Check":
        """Compute the run's outputs. Unreadable photos are reported and left out; KcarsError if all are unreadable."""
        given = card["input"]
        photos, pixels, unread = _read(photos, given["size_px"], given["padding"])
        if not photos:
            raise KcarsError(f"{source}: no photo can be read; give other photos with --data")
        parts = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
        outputs = np.concatenate(
            [batch_outputs(network, part, BATCH, given["mirror"], given["shift"]) for part in parts]
        )
        places = [n for n, photo in enumerate(photos) if formats.header(photo.data).read_by_tensorflow]
        jpeg = np.array(places, int), [photos[n].data for n in places], _edges([photos[n] for n in places])
        others = [photo for n, photo in enumerate(photos) if n not in set(places)]
        return cls(card, source, pixels, jpeg, pipeline(outputs), (*unread, *others)[:BATCH])


def _read(photos: list[CheckPhoto], size_px: int, padding: float) -> tuple[list, np.ndarray, list]:
    """Return (readable photos, their pixels (n, s, s, 3), unreadable photos, which are reported)."""
    read, pixels, unread = [], [], []
    for photo in photos:
        try:
            pixels.append(decode(photo.data, photo.box, size_px, padding))
            read.append(photo)
        except ValueError as error:
            unread.append(photo)
            warn(f"not compared: {photo.name}: {error}")
    return read, np.array(pixels, np.uint8), unread


def _edges(photos: Sequence[CheckPhoto]) -> np.ndarray:
    """Return the boxes (n, 4) float32 for a SavedModel."""
    return np.array([photo.box or (-1, -1, -1, -1) for photo in photos], np.float32).reshape(-1, 4)


def compared(kind: str, model: Path, check: Check, python: str = sys.executable) -> dict:
    """Return the differences of an export from the run; KcarsError if they are too large.

    python: an interpreter with the export's runtime, with or without kcars.
    """
    answers = _asked(kind, model, check, python)
    for photo, answered in zip(check.refused, answers.get("refused/answered", ()), strict=False):
        if answered:
            raise KcarsError(
                f"export {kind}: accepts {photo.name}, which it decodes differently from the run; nothing was written"
            )
    judge = {"classify": _named, "verify": _compared_pairs}[check.card["task"]]
    found = {}
    for signature, places in (("pixels", np.arange(len(check.pixels))), ("jpeg", check.jpeg[0])):
        own = {key.partition("/")[2]: value for key, value in answers.items() if key.startswith(signature + "/")}
        if own:
            pairs = {key: value for key, value in answers.items() if key.startswith("compare/")}
            found[signature] = judge(check, own, places, pairs if signature == "jpeg" else {})
    largest = max(one["largest_difference"] for one in found.values())
    changed = sum(one["changed"] for one in found.values())
    if not largest <= TOLERANCE or changed:  # True for NaN.
        raise KcarsError(
            f"export {kind}: outputs differ from the run's by up to {largest:.2g} ({TOLERANCE:g} is allowed), {changed} decisions "
            "changed; nothing was written"
        )
    return found


def describe(found: dict) -> str:
    """Return one line about the comparison."""
    parts = []
    for signature, one in found.items():
        near = f", {one['near']} within the tolerance of the threshold" if one["near"] else ""
        decisions = f"{one['decisions']} of {one['decisions']} decisions equal{near}"
        parts.append(
            f"{signature} of {one['photos']} photos: largest difference {one['largest_difference']:.1e}, {decisions}"
        )
    return "; ".join(parts)


def _asked(kind: str, model: Path, check: Check, python: str) -> dict[str, np.ndarray]:
    with temporary_folder() as folder:
        questions, answers = folder / "questions.npz", folder / "answers.npz"
        _, photos, boxes = check.jpeg
        refused = [photo.data for photo in check.refused]
        asked = {"jpeg": _joined(photos), "lengths": _lengths(photos), "boxes": boxes}
        asked |= {
            "refused": _joined(refused),
            "refused_lengths": _lengths(refused),
            "refused_boxes": _edges(check.refused),
        }
        np.savez(questions, pixels=check.pixels, **asked)  # pyright: ignore[reportArgumentType]  No key is allow_pickle.
        command = [python, "-I", str(RELOAD), kind, str(model), str(questions), str(answers)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_quiet())  # noqa: S603  Our own program.
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise KcarsError(f"export {kind}: cannot be loaded again ({lines[-1][:200]}); nothing was written")
        with np.load(answers) as file:
            return dict(file)


def _joined(files: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(files), np.uint8)


def _lengths(files: list[bytes]) -> np.ndarray:
    return np.array([len(data) for data in files], int)


def _quiet() -> dict[str, str]:
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR"}


def _named(check: Check, own: dict, places: np.ndarray, pairs: dict) -> dict:
    """Compare logits (relative to their maximum if above 1), probabilities, and the predicted name of each photo."""
    wanted = check.wanted[places]
    ours, names = probabilities(wanted, check.card["decision"]["temperature"]), check.card["classes"]["names"]
    best = np.sort(ours, 1)[:, ::-1]
    near = best[:, 0] - best[:, min(1, best.shape[1] - 1)] <= TOLERANCE
    theirs = own["logits"].argmax(1)
    # Logits of about a thousand have three fewer decimals.
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    differences = [np.abs(own["logits"] - wanted).max(initial=0) / scale]
    if "names" in own:
        shown = best[:, : own["probabilities"].shape[1]]
        differences.append(np.abs(own["probabilities"] - shown).max(initial=0))
        changed = np.array([name.decode() for name in own["names"][:, 0]]) != np.array(names)[wanted.argmax(1)]
        if "makes" in own:
            differences.append(_makes_difference(check.card["classes"]["makes"], ours, own))
    else:
        differences.append(np.abs(own["probabilities"] - ours).max(initial=0))
        changed = theirs != wanted.argmax(1)
    return _summary(len(places), max(differences), changed, near)


def _makes_difference(makes: list[str], ours: np.ndarray, own: dict) -> float:
    """Return the largest difference between a make's probability and the sum over its models."""
    sums = {make: ours[:, [one == make for one in makes]].sum(1) for make in makes}
    rows = zip(own["makes"], own["make_probabilities"], strict=True)
    return max(abs(sums[name.decode()][n] - p) for n, row in enumerate(rows) for name, p in zip(*row, strict=True))


def _compared_pairs(check: Check, own: dict, places: np.ndarray, pairs: dict) -> dict:
    """Compare embeddings, and the decisions on each photo with the next."""
    wanted = check.wanted[places]
    decision = PairDecision.of(check.card["decision"])
    ours = np.linalg.norm(wanted[:-1].astype(np.float64) - wanted[1:], axis=1)
    theirs = np.linalg.norm(own["embedding"][:-1].astype(np.float64) - own["embedding"][1:], axis=1)
    differences, called = [np.abs(own["embedding"] - wanted).max(initial=0)], decision.same(theirs)
    if pairs:
        theirs, called = pairs["compare/distance"], pairs["compare/same"]
        likely = decision.probability(ours)
        differences.append(np.abs(pairs["compare/probability"] - likely).max(initial=0))
    differences.append(np.abs(theirs - ours).max(initial=0))
    near = np.abs(ours - decision.threshold) <= TOLERANCE
    return _summary(len(places), max(differences), called != decision.same(ours), near)


def _summary(photos: int, largest: float, changed: np.ndarray, near: np.ndarray) -> dict:
    return {
        "photos": photos,
        "largest_difference": float(largest),
        "decisions": int((~near).sum()),
        "near": int(near.sum()),
        "changed": int((changed & ~near).sum()),
    }
