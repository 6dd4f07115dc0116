"""The card of an export as Markdown: for whoever finds the folder and never saw the training."""

from kcars import card as cards
from kcars.embed import views
from kcars.table import COLUMNS, HEADS

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
python - photo.jpg <<'PY' | curl -s -d @- http://localhost:8501/v1/models/kcars:predict
import base64, json, sys
photo = {{"b64": base64.b64encode(open(sys.argv[1], "rb").read()).decode()}}
print(json.dumps({{"signature_name": "{signature}", "inputs": {inputs}}}))
PY"""
_TENSORFLOW = """\
```python
import tensorflow as tf
model = tf.saved_model.load("saved_model/1")
{call}
```
"""
_ONNX = """\
```python
import onnxruntime
session = onnxruntime.InferenceSession("model.onnx")  # names, threshold and temperature: session.get_modelmeta()
({output},) = session.run(["{output}"], {{"pixels": pixels}})
```
"""


def markdown(card: dict) -> str:
    """The card's text."""
    parts = [
        _what(card),
        _scores(card),
        _how(card),
        _client(card),
        _checks(card),
        _classes(card),
        _limits(card),
        _origin(card),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _what(card: dict) -> str:
    count = len(card["classes"]["names"])
    if card["task"] == "classify":
        told = f"Names the {card['target']} of the car in a photo: one of {count}."
    else:
        told = (
            f"Tells whether two photos show cars of the same {card['target']}, also of {card['target']}s that training never saw "
            f"(it learned from {count})."
        )
    return f"# {card['strategy']}\n\n{told}"


def _scores(card: dict) -> str:
    columns = COLUMNS[card["task"]]
    splits = list(dict.fromkeys(key.partition("/")[0] for key in card["scores"]))
    rows = [["", *(HEADS.get(name, name) for name in columns)], ["---"] * (len(columns) + 1)]
    for split in splits:
        rows.append([split, *(_entry(card["scores"][f"{split}/{name}"]) for name in columns)])
        for rival, values in card["baselines"].items():
            rows.append([f"{rival} ({split})", *(_number(values[f"{split}/{name}"]) for name in columns)])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    chosen = "on data held out of training; the test was scored once"
    if card["protocol"] == "paper":
        chosen = "on the test itself, as in the paper: no honest estimate"
    lines = [
        f"Protocol {card['protocol']}: what was chosen was chosen {chosen}. In brackets 95 % intervals; below each, trivial rivals."
    ]
    if card["task"] == "verify":
        if card["metric"] == "lda":
            lines.append("Distances are of embeddings after linear discriminant analysis of the training photos'.")
        lines.append(f"Two photos within distance {-card['decision']['threshold']:.4f} are called the same.")
    else:
        lines.append(
            f"Logits are divided by {card['decision']['temperature']:.4f} (fitted on validation) before the softmax."
        )
    errors = [
        f"{split} {_entry(card['scores'][key])}"
        for split in splits
        if (key := f"{split}/calibration_error") in card["scores"]
    ]
    if errors:
        lines.append(f"Probabilities are off by (calibration error): {', '.join(errors)}.")
    return f"## Scores\n\n{table}\n\n" + " ".join(lines)


def _how(card: dict) -> str:
    classify, files = card["task"] == "classify", card["files"]
    text = (
        "## How to use it\n\nWith kcars: `kcars predict PHOTO --model .`"
        if classify
        else ("## How to use it\n\nWith kcars: `kcars compare PHOTO PHOTO --model .`")
    )
    if "saved_model" in files:
        inputs = '{"jpeg": [photo]}' if classify else '{"left": [photo], "right": [photo]}'
        request = _REQUEST.format(signature="serving_default" if classify else "compare", inputs=inputs)
        call = 'answer = model.signatures["jpeg"](jpeg=tf.constant([open("photo.jpg", "rb").read()]))  # names, probabilities'
        if not classify:
            call = 'answer = model.signatures["compare"](left=tf.constant([one]), right=tf.constant([other]))  # bytes of JPEG files'
        text += (
            "\n\nThe folder `saved_model` is what TensorFlow Serving takes as a model, version 1:\n\n"
            + _SERVE.format(requests=request)
        )
        text += f"\n{_signatures(card)}\n\nIn Python:\n\n" + _TENSORFLOW.format(call=call)
    if "onnx" in files:
        text += "\nONNX Runtime:\n\n" + _ONNX.format(output="probabilities" if classify else "embedding")
    if "litert" in files:
        text += '\nLiteRT: `ai_edge_litert.interpreter.Interpreter("model.tflite").get_signature_runner("pixels")(pixels=pixels)`.\n'
    return text


def _signatures(card: dict) -> str:
    rows = {
        "classify": [
            (
                "serving_default, jpeg",
                "jpeg (n,) bytes",
                "names, probabilities, makes, make_probabilities (n, 5), logits (n, classes)",
            ),
            ("jpeg_in_box", "jpeg (n,), boxes (n, 4) float32", "the same"),
            ("pixels", "pixels (n, size, size, 3) uint8", "the same"),
        ],
        "verify": [
            ("serving_default, jpeg, embed", "jpeg (n,) bytes", "embedding (n, d)"),
            ("embed_in_box", "jpeg (n,), boxes (n, 4) float32", "embedding (n, d)"),
            ("compare", "left (n,), right (n,) bytes", "distance, probability, same (n,)"),
            ("compare_in_box", "left, right, left_boxes, right_boxes", "distance, probability, same (n,)"),
            ("pixels", "pixels (n, size, size, 3) uint8", "embedding (n, d)"),
        ],
    }[card["task"]]
    return "| signature | inputs | outputs |\n| --- | --- | --- |\n" + "\n".join(
        f"| {' | '.join(row)} |" for row in rows
    )


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


def _classes(card: dict) -> str:
    if card["task"] != "classify":
        return ""
    return "## Classes\n\nIn the order of the logits: " + "; ".join(card["classes"]["names"]) + "."


def _limits(card: dict) -> str:
    lines = cards.LIMITS if card["task"] == "classify" else cards.LIMITS[1:]
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _origin(card: dict) -> str:
    data, weights, given = card["data"], card["weights"], card["input"]
    rows = [
        ("data", f"fingerprint `{data['fingerprint']}`, split {data['split']}; {data['training_photos']} photos to learn from, "
                 f"{data['validation_photos']} to choose on, {data['test_photos']} to test on"),
        ("best epoch", f"{card['best_epoch']} of {card['cost']['epochs']}" + ("" if card["finished"] else ", unfinished")),
        ("began with", f"{weights['file']}, SHA-256 `{weights['sha256']}`" if weights else "random weights"),
        ("size", f"{card['cost']['parameters']:,} parameters, {card['cost']['multiply_adds'] / 1e9:.2f} G multiply-adds a view, "
                 f"{len(views(given['size_px'], given['mirror'], given['shift']))} views a photo"),
        ("versions", ", ".join(f"{name} {version}" for name, version in card["versions"].items())),
        ("settings", "`card.json`"),
    ]  # fmt: skip
    table = "| | |\n| --- | --- |\n" + "\n".join(f"| {name} | {text} |" for name, text in rows)
    return f"## Where it comes from\n\n{table}\n\n" + "\n".join(f"- {line}" for line in LICENCES)


def _entry(entry: dict) -> str:
    if entry["low"] is None:
        return _number(entry["value"])
    return f"{_number(entry['value'])} [{entry['low']:.3f}, {entry['high']:.3f}]"


def _number(value) -> str:
    return "undefined" if value is None or value != value else f"{value:.3f}"
