"""Texts of the export card for each task."""

from collections.abc import Callable
from dataclasses import dataclass

from kcars.evaluation.score_table import number, retrieval_head, retrieval_keys
from kcars.posthoc import adjusted_head
from kcars.posthoc.decision import PairDecision
from kcars.posthoc.distance_transform import TOLD

_NAMES = """\
```python
import json
card = json.load(open("card.json"))  # also in an ONNX file: json.loads(session.get_modelmeta().custom_metadata_map["kcars"])
print([card["classes"]["names"][best] for best in probabilities.argmax(1)])
```
"""
_DECISION = """\
```python
distance = np.linalg.norm(embedding[0] - embedding[1])
same = distance <= {threshold:.6f}
probability = 1 / (1 + np.exp(-{scale:.6f} * ({offset:.6f} - distance)))  # of being the same
```
"""


@dataclass(frozen=True)
class CardTexts:
    """Texts of one task.

    what, scores, decision, classes: card -> description of the model, sentences below its scores, code that decides from the
    output of an ONNX or LiteRT file, and its classes; signature, inputs, files, call: for the examples of a SavedModel;
    signatures: rows of its table.
    """

    what: Callable[[dict], str]
    scores: Callable[[dict], list[str]]
    decision: Callable[[dict], str]
    classes: Callable[[dict], str]
    signature: str
    inputs: str
    files: str
    call: str
    signatures: tuple[tuple[str, str, str], ...]


def entry_text(entry: dict) -> str:
    if entry["low"] is None:
        return number(entry["value"])
    return f"{number(entry['value'])} [{entry['low']:.3f}, {entry['high']:.3f}]"


def _names_what(card: dict) -> str:
    return f"Predicts the {card['target']} of the car in a photo, one of {len(card['classes']['names'])}."


def _compares_what(card: dict) -> str:
    kind = "models" if card["classes"]["makes"] else "makes"
    return (
        f"Decides whether two photos show cars of the same {card['target']}, also for models not seen in training "
        f"(trained on {len(card['classes']['names'])} {kind})."
    )


def _names_scores(card: dict) -> list[str]:
    lines = []
    if card["adjusted"]:
        what = adjusted_head.told(card["adjusted"], card["protocol"])
        lines.append(f"The head was adjusted after training: {what}.")
    temperature = card["decision"]["temperature"]
    return [*lines, f"Logits are divided by {temperature:.4f} (fitted on validation) before the softmax."]


def _compares_scores(card: dict) -> list[str]:
    lines = [f"Distances are {TOLD[card['metric']]}."] if card["metric"] in TOLD else []
    lines.append(
        f"Two photos within distance {PairDecision.of(card['decision']).threshold:.4f} are predicted to be the same."
    )
    if found := [f"{retrieval_head(key)} {entry_text(card['scores'][key])}" for key in retrieval_keys(card["scores"])]:
        lines.append(f"Retrieval of test photos of the same {card['target']} among all: {', '.join(found)}.")
    return lines


TEXTS = {
    "classify": CardTexts(
        what=_names_what,
        scores=_names_scores,
        decision=lambda card: _NAMES,
        classes=lambda card: "## Classes\n\nIn the order of the logits: " + "; ".join(card["classes"]["names"]) + ".",
        signature="serving_default",
        inputs='{"jpeg": photos}',
        files="photo.jpg other.jpg",
        call='answer = model.signatures["jpeg"](jpeg=tf.constant([open("photo.jpg", "rb").read()]))  # names, probabilities',
        signatures=(
            (
                "serving_default, jpeg",
                "jpeg (n,) bytes",
                "names, probabilities, makes, make_probabilities (n, 5), logits (n, classes)",
            ),
            ("jpeg_in_box", "jpeg (n,), boxes (n, 4) float32", "the same"),
            ("pixels", "pixels (n, size, size, 3) uint8", "the same"),
        ),
    ),
    "verify": CardTexts(
        what=_compares_what,
        scores=_compares_scores,
        decision=lambda card: _DECISION.format(**vars(PairDecision.of(card["decision"]))),
        classes=lambda card: "",
        signature="compare",
        inputs='{"left": photos[:1], "right": photos[1:]}',
        files="left.jpg right.jpg",
        call='answer = model.signatures["compare"](left=tf.constant([one]), right=tf.constant([other]))  # bytes of JPEG files',
        signatures=(
            ("serving_default, jpeg, embed", "jpeg (n,) bytes", "embedding (n, d)"),
            ("embed_in_box", "jpeg (n,), boxes (n, 4) float32", "embedding (n, d)"),
            ("compare", "left (n,), right (n,) bytes", "distance, probability, same (n,)"),
            ("compare_in_box", "left, right, left_boxes, right_boxes", "distance, probability, same (n,)"),
            ("pixels", "pixels (n, size, size, 3) uint8", "embedding (n, d)"),
        ),
    ),
}
