"""The card of an export as Markdown: for whoever finds the folder and never saw the training."""

from pathlib import Path

from kcars.evaluation.score_table import NOT_SCORED, kept, labelled_by, number, splits
from kcars.export.card_texts import TEXTS, CardTexts, entry_text
from kcars.metrics.catalogue import columns, head
from kcars.models.outputs import views
from kcars.runs import model_card as cards
from kcars.tasks.texts import task_texts

LICENCES = (
    "The model was made by kcars (Apache-2.0). Its weights are learned from the dataset named above, whose terms may bind what "
    "is made of it: CompCars, for one, is given for research only.",
    "Weights that it began with, where the table above names some, keep their own licence.",
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
Other runtimes take pixels, which this makes of JPEG files as kcars does, to the bit (`pip install opencv-python-headless`):

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
# One photo or more: LiteRT raises RuntimeError at an empty batch.
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert
{output} = Interpreter("model.tflite").get_signature_runner("pixels")(pixels=pixels)["{output}"]
```
"""


def markdown(card: dict) -> str:
    """The card's text."""
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
        for rival, values in card["baselines"].items():
            rows.append([f"{rival} ({split})", *(number(values.get(f"{split}/{name}", "")) for name in names)])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    chosen = "on data held out of training; the test was scored once"
    if card["protocol"] == "paper":
        chosen = "on the test itself, as in the paper: no honest estimate"
        if task_texts(card["task"]).of_pairs and labelled_by(card) != card["target"]:
            chosen += "; pairs are labelled by model, as there"
    lines = [
        f"Protocol {card['protocol']}: what was chosen was chosen {chosen}. In brackets 95 % intervals; below each, trivial rivals."
    ]
    lines += TEXTS[card["task"]].scores(card)
    errors = [
        f"{split} {entry_text(card['scores'][key])}"
        for split in parts
        if (key := f"{split}/calibration_error") in card["scores"]
    ]
    if errors:
        lines.append(f"Probabilities are off by (calibration error): {', '.join(errors)}.")
    return f"## Scores\n\n{table}\n\n" + " ".join(lines)


def _how(card: dict) -> str:
    texts, common, files = TEXTS[card["task"]], task_texts(card["task"]), card["files"]
    text = f"## How to use it\n\nWith kcars: `{common.command}`"
    if "saved_model" in files:
        request = _REQUEST.format(signature=texts.signature, inputs=texts.inputs, files=texts.files)
        text += (
            "\n\nThe folder `saved_model` is what TensorFlow Serving takes as a model, version 1:\n\n"
            + _SERVE.format(requests=request)
        )
        text += f"\n{_signatures(texts)}\n\nIn Python:\n\n" + _TENSORFLOW.format(call=texts.call)
    if {"onnx", "litert"} & set(files):
        text += "\n" + _PIXELS.format(code=_client_code(card["input"]))
        text += "\n" + _ONNX.format(output=common.answer) * ("onnx" in files)
        text += _LITERT.format(output=common.answer) * ("litert" in files)
        text += "\n" + texts.decision(card)
    return text


def _client_code(given: dict) -> str:
    """The program of `client_pixels.py` for a model's size and padding."""
    own = f"SIZE_PX, MARGIN = {given['size_px']}, {given['padding']:g}"
    return _CLIENT.read_text().replace("SIZE_PX, MARGIN = 224, 0.1", own).strip()


def _signatures(texts: CardTexts) -> str:
    rows = "\n".join(f"| {' | '.join(row)} |" for row in texts.signatures)
    return f"| signature | inputs | outputs |\n| --- | --- | --- |\n{rows}"


def _client(card: dict) -> str:
    given = card["input"]
    cut = f"cut to the box, widened by {given['padding']:g} of its sides, " if given["crop"] == "box" else ""
    lines = [line.format(size_px=given["size_px"], cut=cut) for line in cards.CLIENT]
    if given["learned_in_boxes"]:
        lines.insert(0, "It learned from cars cut out by their boxes: give it boxes, or photos that a car fills.")
    return "## What a client must do\n\n" + "\n".join(f"- {line}" for line in lines)


def _checks(card: dict) -> str:
    rows = [
        "| format | size | compared | largest difference | decisions equal | too near to tell |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind, checks in card["checks"].items():
        for signature, one in checks.items():
            size = f"{card['files'][kind]['bytes'] / 2**20:.1f} MiB"
            rows.append(
                f"| {kind} | {size} | {signature}, {one['photos']} photos | {one['largest_difference']:.1e} | {one['decisions']} | {one['near']} |"
            )
    return f"## Checked against the run\n\nOn {card['checked_on']}, in a process without kcars:\n\n" + "\n".join(rows)


def _limits(card: dict) -> str:
    lines = cards.LIMITS[1:] if task_texts(card["task"]).of_pairs else cards.LIMITS
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _origin(card: dict) -> str:
    data, weights, given = card["data"], card["weights"], card["input"]
    rows = [
        ("data", f"fingerprint `{data['fingerprint']}`, split {data['split']}; {data['training_photos']} photos to learn from, "
                 f"{data['validation_photos']} to choose on, {data['test_photos']} to test on"),
        (f"{kept(card)} epoch", f"{card['best_epoch']} of {card['cost']['epochs']}" + ("" if card["finished"] else ", unfinished")),
        ("began with", f"{weights['file']}, SHA-256 `{weights['sha256']}`" if weights else "random weights"),
        ("size", f"{card['cost']['parameters']:,} parameters, {card['cost']['multiply_adds'] / 1e9:.2f} G multiply-adds a view, "
                 f"{len(views(given['size_px'], given['mirror'], given['shift']))} views a photo"),
        ("versions", ", ".join(f"{name} {version}" for name, version in card["versions"].items())),
        ("settings", "`card.json`"),
    ]  # fmt: skip
    table = "| | |\n| --- | --- |\n" + "\n".join(f"| {name} | {text} |" for name, text in rows)
    return f"## Where it comes from\n\n{table}\n\n" + "\n".join(f"- {line}" for line in LICENCES)
