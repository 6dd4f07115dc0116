"""The card of an export as Markdown."""

from pathlib import Path

from kcars.evaluation.score_table import NOT_SCORED, kept, labelled_by, number, splits
from kcars.export.card_texts import TEXTS, CardTexts, entry_text
from kcars.metrics.catalogue import columns, head
from kcars.models.outputs import views
from kcars.runs import model_card as cards
from kcars.tasks.texts import task_texts

LICENCES = (
    "The model was made with kcars (Apache-2.0). Its weights were trained on the dataset above, whose terms may apply to them: "
    "CompCars, for example, is for research only.",
    "Initial weights, if listed above, keep their own licence.",
)
_SERVE = """\
```sh
docker run -p 8501:8501 -v "$PWD/saved_model:/models/kcars" -e MODEL_NAME=kcars tensorflow/serving
{requests}
```
"""
_REQUEST = """\
python - {files} <<'PY' | curl -s -d @- http://localhost:8501/v1/models/kcars:predict
import base64, json, sys
photos = [{{"b64": base64.b64encode(open(name, "rb").read()).decode()}} for name in sys.argv[1:]]
print(json.dumps({{"signature_name": "{signature}", "inputs": {inputs}}}))
PY"""
_TENSORFLOW = """\
```python
import tensorflow as tf
model = tf.saved_model.load("saved_model/1")
{call}
```
"""
_PIXELS = """\
Other runtimes take pixels. This code converts JPEG files to the same pixels as kcars, bit for bit (`pip install opencv-python-headless`):

```python
{code}

pixels = np.stack([pixels_of("photo.jpg"), pixels_of("other.jpg")])
```
"""
_CLIENT = Path(__file__).with_name("client_pixels.py")
_ONNX = """\
```python
import onnxruntime  # pip install onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
({output},) = session.run(["{output}"], {{"pixels": pixels}})
```
"""
_LITERT = """\
```python
# One photo or more: LiteRT raises RuntimeError for an empty batch.
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert
{output} = Interpreter("model.tflite").get_signature_runner("pixels")(pixels=pixels)["{output}"]
```
"""


def markdown(card: dict) -> str:
    """Return the card as Markdown."""
    parts = [
        f"# {card['strategy']}\n\n{TEXTS[card['task']].what(card)}",
        _scores(card),
        _how(card),
        _client(card),
        _checks(card),
        TEXTS[card["task"]].classes(card),
        _limits(card),
        _origin(card),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _scores(card: dict) -> str:
    names = columns(card["task"])
    parts = splits(card["scores"], card["task"], None)
    rows = [["", *map(head, names)], ["---"] * (len(names) + 1)]
    for split in parts:
        rows.append([split, *(entry_text(card["scores"].get(f"{split}/{name}", NOT_SCORED)) for name in names)])
        for baseline, values in card["baselines"].items():
            rows.append([f"{baseline} ({split})", *(number(values.get(f"{split}/{name}", "")) for name in names)])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    chosen = "on validation data; the test split was scored once"
    if card["protocol"] == "paper":
        chosen = "on the test split, as in the paper, so the scores are too optimistic"
        if task_texts(card["task"]).of_pairs and labelled_by(card) != card["target"]:
            chosen += "; pairs are labelled by model, as in the paper"
    lines = [
        f"Protocol {card['protocol']}: epoch and decision were chosen {chosen}. 95 % intervals are in brackets; trivial baselines follow each split."
    ]
    lines += TEXTS[card["task"]].scores(card)
    errors = [
        f"{split} {entry_text(card['scores'][key])}"
        for split in parts
        if (key := f"{split}/calibration_error") in card["scores"]
    ]
    if errors:
        lines.append(f"Calibration error of probabilities: {', '.join(errors)}.")
    return f"## Scores\n\n{table}\n\n" + " ".join(lines)


def _how(card: dict) -> str:
    texts, common, files = TEXTS[card["task"]], task_texts(card["task"]), card["files"]
    text = f"## How to use it\n\nWith kcars: `{common.command}`"
    if "saved_model" in files:
        request = _REQUEST.format(signature=texts.signature, inputs=texts.inputs, files=texts.files)
        text += "\n\nTensorFlow Serving loads the folder `saved_model` as version 1 of a model:\n\n" + _SERVE.format(
            requests=request
        )
        text += f"\n{_signatures(texts)}\n\nIn Python:\n\n" + _TENSORFLOW.format(call=texts.call)
    if {"onnx", "litert"} & set(files):
        text += "\n" + _PIXELS.format(code=_client_code(card["input"]))
        text += "\n" + _ONNX.format(output=common.answer) * ("onnx" in files)
        text += _LITERT.format(output=common.answer) * ("litert" in files)
        text += "\n" + texts.decision(card)
    return text


def _client_code(given: dict) -> str:
    """Return the code of `client_pixels.py` for a model's size and padding."""
    own = f"SIZE_PX, MARGIN = {given['size_px']}, {given['padding']:g}"
    return _CLIENT.read_text().replace("SIZE_PX, MARGIN = 224, 0.1", own).strip()


def _signatures(texts: CardTexts) -> str:
    rows = "\n".join(f"| {' | '.join(row)} |" for row in texts.signatures)
    return f"| signature | inputs | outputs |\n| --- | --- | --- |\n{rows}"


def _client(card: dict) -> str:
    given = card["input"]
    cut = f"cropped to the box, enlarged by {given['padding']:g} of its sides, " if given["crop"] == "box" else ""
    lines = [line.format(size_px=given["size_px"], cut=cut) for line in cards.CLIENT]
    if given["learned_in_boxes"]:
        lines.insert(
            0, "The model was trained on cars cropped to their boxes: give boxes, or photos that are filled by the car."
        )
    return "## Requirements for clients\n\n" + "\n".join(f"- {line}" for line in lines)


def _checks(card: dict) -> str:
    rows = [
        "| format | size | compared | largest difference | equal decisions | within tolerance |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind, checks in card["checks"].items():
        for signature, one in checks.items():
            size = f"{card['files'][kind]['bytes'] / 2**20:.1f} MiB"
            rows.append(
                f"| {kind} | {size} | {signature}, {one['photos']} photos | {one['largest_difference']:.1e} | {one['decisions']} | {one['near']} |"
            )
    return f"## Comparison with the run\n\nOn {card['checked_on']}, in a process without kcars:\n\n" + "\n".join(rows)


def _limits(card: dict) -> str:
    lines = cards.LIMITS[1:] if task_texts(card["task"]).of_pairs else cards.LIMITS
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _origin(card: dict) -> str:
    data, weights, given = card["data"], card["weights"], card["input"]
    rows = [
        ("data", f"fingerprint `{data['fingerprint']}`, split {data['split']}; {data['training_photos']} training photos, "
                 f"{data['validation_photos']} validation, {data['test_photos']} test"),
        (f"{kept(card)} epoch", f"{card['best_epoch']} of {card['cost']['epochs']}" + ("" if card["finished"] else ", unfinished")),
        ("initial weights", f"{weights['file']}, SHA-256 `{weights['sha256']}`" if weights else "random weights"),
        ("size", f"{card['cost']['parameters']:,} parameters, {card['cost']['multiply_adds'] / 1e9:.2f} G multiply-adds per view, "
                 f"{len(views(given['size_px'], given['mirror'], given['shift']))} views per photo"),
        ("versions", ", ".join(f"{name} {version}" for name, version in card["versions"].items())),
        ("settings", "`card.json`"),
    ]  # fmt: skip
    table = "| | |\n| --- | --- |\n" + "\n".join(f"| {name} | {text} |" for name, text in rows)
    return f"## Provenance\n\n{table}\n\n" + "\n".join(f"- {line}" for line in LICENCES)
