"""Whether an export answers as its run does: it is loaded without kcars, asked, and its answers are compared."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcars.calibration import probabilities, same_probability
from kcars.embed import batch_outputs
from kcars.errors import KcarsError
from kcars.images.decode import decode
from kcars.predict import finished
from kcars.unfinished import temporary_folder

TOLERANCE = 1e-4
RELOAD = Path(__file__).with_name("reload.py")
BATCH = 32


@dataclass(frozen=True)
class Check:
    """Photos that a run has answered about.

    pixels: (n, s, s, 3) uint8; jpeg: those of the n that are whole upright JPEGs, as (their places, bytes, boxes (m, 4), -1
    for none); wanted: logits (n, classes) or embeddings (n, d); source: what photos they are.
    """

    card: dict
    source: str
    pixels: np.ndarray
    jpeg: tuple[np.ndarray, list[bytes], np.ndarray]
    wanted: np.ndarray

    @classmethod
    def of(cls, network, metric, card: dict, source: str, photos: list[tuple[bytes, np.ndarray | None]]) -> "Check":
        """metric: of the run, None where it has none; photos: encoded bytes and box, None for the whole photo."""
        given = card["input"]
        try:
            pixels = np.stack([decode(data, box, given["size_px"], given["padding"]) for data, box in photos])
        except ValueError as error:
            raise KcarsError(f"{source}: one cannot be decoded ({error}); name other photos with --data") from None
        parts = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
        outputs = np.concatenate(
            [batch_outputs(network, part, BATCH, given["mirror"], given["shift"]) for part in parts]
        )
        places = [n for n, (data, _) in enumerate(photos) if data.startswith(b"\xff\xd8") and b"Exif\0\0" not in data]
        boxes = [photos[n][1] if photos[n][1] is not None else (-1, -1, -1, -1) for n in places]
        jpeg = np.array(places, int), [photos[n][0] for n in places], np.array(boxes, np.float32).reshape(-1, 4)
        return cls(card, source, pixels, jpeg, finished(card, outputs, metric))


def compared(kind: str, model: Path, check: Check, python: str = sys.executable) -> dict:
    """How far an export of a kind answers otherwise than the run; KcarsError where that is too far.

    python: an interpreter that has the export's runtime; it need not have kcars.
    """
    answers = _asked(kind, model, check, python)
    judge = _named if check.card["task"] == "classify" else _compared_pairs
    found = {}
    for signature, places in (("pixels", np.arange(len(check.pixels))), ("jpeg", check.jpeg[0])):
        own = {key.partition("/")[2]: value for key, value in answers.items() if key.startswith(signature + "/")}
        if own:
            pairs = {key: value for key, value in answers.items() if key.startswith("compare/")}
            found[signature] = judge(check, own, places, pairs if signature == "jpeg" else {})
    largest = max(one["largest_difference"] for one in found.values())
    changed = sum(one["changed"] for one in found.values())
    if not largest <= TOLERANCE or changed:  # NaN is no agreement.
        raise KcarsError(
            f"export {kind}: answers differ from the run's by up to {largest:.2g} ({TOLERANCE:g} is allowed), {changed} decisions "
            "changed; nothing was written"
        )
    return found


def told(found: dict) -> str:
    """One line of what was compared."""
    parts = []
    for signature, one in found.items():
        near = f", {one['near']} too near to tell" if one["near"] else ""
        decisions = f"{one['decisions']} of {one['decisions']} decisions equal{near}"
        parts.append(
            f"{signature} of {one['photos']} photos: largest difference {one['largest_difference']:.1e}, {decisions}"
        )
    return "; ".join(parts)


def _asked(kind: str, model: Path, check: Check, python: str) -> dict[str, np.ndarray]:
    with temporary_folder() as folder:
        questions, answers = folder / "questions.npz", folder / "answers.npz"
        _, photos, boxes = check.jpeg
        lengths = np.array([len(data) for data in photos], int)
        np.savez(
            questions, pixels=check.pixels, jpeg=np.frombuffer(b"".join(photos), np.uint8), lengths=lengths, boxes=boxes
        )
        command = [python, "-I", str(RELOAD), kind, str(model), str(questions), str(answers)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_quiet())  # noqa: S603  Our own.
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise KcarsError(f"export {kind}: cannot be loaded again ({lines[-1][:200]}); nothing was written")
        with np.load(answers) as file:
            return dict(file)


def _quiet() -> dict[str, str]:
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR"}


def _named(check: Check, own: dict, places: np.ndarray, pairs: dict) -> dict:
    """Logits and probabilities, and the likeliest name of each photo."""
    wanted = check.wanted[places]
    ours, names = probabilities(wanted, check.card["decision"]["temperature"]), check.card["classes"]["names"]
    best = np.sort(ours, 1)[:, ::-1]
    near = best[:, 0] - best[:, min(1, best.shape[1] - 1)] <= TOLERANCE
    theirs = own["logits"].argmax(1)
    differences = [np.abs(own["logits"] - wanted).max(initial=0)]
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
    """Between each make's probability and the sum over its models."""
    sums = {make: ours[:, [one == make for one in makes]].sum(1) for make in makes}
    rows = zip(own["makes"], own["make_probabilities"], strict=True)
    return max(abs(sums[name.decode()][n] - p) for n, row in enumerate(rows) for name, p in zip(*row, strict=True))


def _compared_pairs(check: Check, own: dict, places: np.ndarray, pairs: dict) -> dict:
    """Embeddings, and the decision on each photo and the next."""
    wanted = check.wanted[places]
    threshold = -check.card["decision"]["threshold"]
    ours = np.linalg.norm(wanted[:-1].astype(np.float64) - wanted[1:], axis=1)
    theirs = np.linalg.norm(own["embedding"][:-1].astype(np.float64) - own["embedding"][1:], axis=1)
    differences, called = [np.abs(own["embedding"] - wanted).max(initial=0)], theirs <= threshold
    if pairs:
        theirs, called = pairs["compare/distance"], pairs["compare/same"]
        likely = same_probability(ours, check.card["decision"])
        differences.append(np.abs(pairs["compare/probability"] - likely).max(initial=0))
    differences.append(np.abs(theirs - ours).max(initial=0))
    near = np.abs(ours - threshold) <= TOLERANCE
    return _summary(len(places), max(differences), called != (ours <= threshold), near)


def _summary(photos: int, largest: float, changed: np.ndarray, near: np.ndarray) -> dict:
    return {
        "photos": photos,
        "largest_difference": float(largest),
        "decisions": int((~near).sum()),
        "near": int(near.sum()),
        "changed": int((changed & ~near).sum()),
    }
